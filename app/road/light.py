"""Walking lightly: what a convoy of plain inbounds is decided on is read in one question that locks
nothing; its write enters, claims, checks that all is as it was read, and commits: one statement.

So it asks the database twice where others ask four times, and holds its locks for the time of that
statement alone. Most convoys are like that. Where something is not as it was read nothing was
written, and the convoy walks with locks, as all do that are not plain (app/road/walk.py): with
group texts, pre-event webhooks, rules that attach webhooks or identities, enriched payloads, event
streams, files that lie on our shelf.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import asyncpg

from app.model import Conversation
from app.model.streams import STREAM
from app.model.traffic import Member
from app.road import creation, ledger, messages, standing
from app.road.convoy import Carriage, Load
from app.road.items import Arrival, Draft
from app.rules.timers import next_timer
from app.store import road_light
from app.store.road import Below
from app.store.road_light import Home, Seen

BLANK: Mapping[str, Any] = {
    "friendly_name": None,
    "unique_name": None,
    "attributes": "{}",
    "state": "active",
    "message_count": 0,
    "removed_count": 0,
    "created_by": "system",
    "revision": 0,
    "grouped": False,
    "email_address": None,
    "email_name": None,
}
"""What every conversation that a pair begins has."""
CLAIMED = ("sid", "participant_sid", "channel", "address", "proxy_address")
BEGUN = (
    "account_sid",
    "chat_service_sid",
    "messaging_service_sid",
    "friendly_name",
    "inactive_timer_s",
    "closed_timer_s",
    "next_timer_at",
    "message_count",
    "revision",
)
"""What is written of a new conversation: of its claim, and of itself."""


class Heavy(Exception):
    """This convoy is not plain: it walks with locks."""


def plain(convoy: Sequence[Arrival | Draft]) -> bool:
    """Whether these may walk lightly, as far as they themselves tell: inbounds of pairs, that came
    just now, without files that lie on our shelf."""
    return all(
        isinstance(item, Arrival)
        and item.answered is None
        and not item.inbound.others
        and not any(part.kept is not None for part in item.inbound.media)
        for item in convoy
    )


async def look(sql: asyncpg.Connection, load: Load) -> None:
    """The first steps: every inbound has its decision and its conversation afterwards, which is
    there or will be. Raises Heavy when one of them is not plain after all, Stale when what is
    there does not fit."""
    first, again = ledger.sort(load)
    seen = await road_light.look(sql, [ledger.entry(one) for one in first.values()])
    for key, carriage in first.items():
        _know(load, carriage, seen.get(key))
    ledger.repeat(first, again, first)
    standing.note(load)
    going = load.going()
    creation.judge(load, going)
    creation.place(load, going)
    joined = {one.conversation_sid for one in load.going()} - load.new_conversations.keys()
    load.conversations = {sid: load.conversations[sid] for sid in joined}
    load.seen = {sid: one.revision for sid, one in load.conversations.items()}
    for claim in load.claims:
        carriage = load.new_conversations[claim["sid"]]
        _begin(load, carriage, claim, seen[ledger.key(carriage.arrival)].home)
    for carriage in load.going():
        messages.check_bound(load, carriage)
    standing.open_sessions(load)


async def write(sql: asyncpg.Connection, load: Load) -> None:
    """The last step. Raises Changed when nothing was written, because something is not as it was
    read."""
    rows = ledger.rows(load)
    moved = [row for row in rows["conversations"] if row["sid"] in load.seen]
    for row in moved:
        row["seen"] = load.seen[row["sid"]]
    unkept = {(row["carrier"], row["external_id"]): row["payload"] for row in rows["unkept"]}
    for decision in rows["decisions"] if unkept else ():
        decision["payload"] = unkept.get((decision["carrier"], decision["external_id"]))
    rows |= {"conversations": moved, "unkept": []}
    begun = [_begun(load, claim) for claim in load.claims]
    await road_light.write(sql, rows, load.items, begun, load.now)


def _know(load: Load, carriage: Carriage, seen: Seen | None) -> None:
    """Put down what is known of an inbound, if it is plain."""
    if seen is None or not seen.plain:
        raise Heavy
    load.facts[carriage.pair] = seen.facts
    conversation, below = seen.conversation, seen.below
    if conversation is not None and below is not None:
        _check(below)
        load.conversations.setdefault(conversation.sid, conversation)
        load.below[conversation.sid] = below


def _check(below: Below) -> None:
    if any(target.scope == STREAM for target in below.targets):
        raise Heavy


def _begin(load: Load, carriage: Carriage, claim: Mapping[str, Any], home: Home | None) -> None:
    """A conversation as it will be, with the one who writes in it."""
    if home is None or claim["webhook_sid"] or claim["identities"]:
        raise Heavy
    configuration = load.facts[carriage.pair].configuration
    if claim["service_sid"] != (configuration.auto_service_sid if configuration else None):
        raise Heavy  # its home is another one
    writer = Member(
        claim["participant_sid"],
        None,
        claim["address"],
        claim["proxy_address"],
        claim["channel"],
        *home.stands,
    )
    below = Below((writer,), home.targets)
    _check(below)
    conversation = _conversation(load, claim, home)
    load.conversations[conversation.sid] = conversation
    load.below[conversation.sid] = below
    load.roles[conversation.sid] = home.role_sid


def _conversation(load: Load, claim: Mapping[str, Any], home: Home) -> Conversation:
    now = load.now
    due = next_timer("active", now, now, home.inactive_timer_s, home.closed_timer_s)
    columns = {
        **BLANK,
        "sid": claim["sid"],
        "account_sid": claim["account_sid"],
        "chat_service_sid": home.chat_service_sid,
        "messaging_service_sid": claim["messaging_service_sid"] or home.messaging_service_sid,
        "inactive_timer_s": home.inactive_timer_s,
        "closed_timer_s": home.closed_timer_s,
        "active_at": now,
        "state_at": now,
        "next_timer_at": due[0] if due else None,
        "date_created": now,
        "date_updated": now,
    }
    return cast(Conversation, SimpleNamespace(**columns))


def _begun(load: Load, claim: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a new conversation, with its pair and who writes in it."""
    conversation = vars(load.conversations[claim["sid"]])
    row = {name: claim[name] for name in CLAIMED}
    row |= {name: conversation[name] for name in BEGUN}
    return row | {"role_sid": load.roles[claim["sid"]]}
