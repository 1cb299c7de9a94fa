"""Pre-events on the way in: an inbound that somebody wants to decide on is set aside until then.

Set aside, it is in the ledger and has a place in the lane of its pair; both commit before its
carrier is answered, and whatever comes from that pair meanwhile gets a place behind it. A loop
(app/inbound/asking.py) puts the question, outside of every transaction, and sends the inbound on
its way again with the answer. Then it walks like any other: it gives up its place in the
transaction in which it takes effect, so a crash at any point loses nothing and repeats, at worst,
the question.

What was asked is compared with what would be asked now. When that is something else (the
conversation was closed meanwhile, or the pair got one), the new question is put before anything
happens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import asyncpg

from app.errors import Invalid
from app.model.outbox import ASK, ask_lane
from app.model.traffic import stored
from app.road import flowing
from app.road.convoy import Carriage, Load, Stale
from app.road.items import Answered, Arrival, Taken
from app.road.resolve import Bound, Create, Decision
from app.rules.conversations import check_attributes
from app.settings.limits import LimitSettings
from app.store import outbox, pre_targets, settling
from app.store.outbox import NewItem
from app.store.pre_targets import Place
from app.store.settling import Settled
from app.webhooks.before import Verdict

RULE = "pre_event"
REFUSED = "the pre-event webhook refused it"
UNANSWERED = "the pre-event webhook did not answer (on_timeout: closed)"


async def sort_out(
    sql: asyncpg.Connection, load: Load, carriages: Sequence[Carriage]
) -> list[Carriage]:
    """Those that go on; the others are set aside, refused or to be asked about again."""
    concerned = [one for one in carriages if _concerned(load, one)]
    if not concerned:
        return list(carriages)
    now_asked = await _questions(sql, load, concerned)
    for carriage in concerned:
        _judge(load, carriage, now_asked.get(id(carriage)))
    return [one for one in carriages if one.goes]


def question(decision: Decision, place: Place | None) -> tuple[str, str] | None:
    """What is asked about an inbound (event, and where it would happen); None: nothing. During
    autocreation only onConversationAdd is asked ("Conversations Webhooks")."""
    if place is None or place.target is None:
        return None
    match decision.action:
        case Bound(conversation_sid=sid):
            asked = "onMessageAdd", sid
        case Create():
            asked = "onConversationAdd", place.service_sid
        case _:
            return None
    return asked if asked[0] in place.target.filters else None


def where(account_sid: str, decision: Decision) -> tuple[str, str | None, str | None]:
    """Where a decision would take effect: account, conversation, service (None: the default)."""
    match decision.action:
        case Bound(conversation_sid=sid):
            return account_sid, sid, None
        case Create(service_sid=sid):
            return account_sid, None, sid
    return account_sid, None, None


def put_off(carriage: Carriage) -> bool:
    """Whether the question could not be put, for reasons of ours: nothing is decided then."""
    answered = carriage.arrival.answered
    if answered is None or answered.again_s is None:
        return False
    _wait(carriage, answered)
    return True


async def fence(sql: asyncpg.Connection, load: Load) -> None:
    """Lock the places of those that were asked about; raises Stale when one was taken over. Call it
    before any other lane is locked or added to: these come first in the order of lanes, those that
    begin to wait now among them (alone with what is only added, they are locked with that)."""
    places = [one.place for one in _answers(load)]
    beginning = {item["lane"] for item in load.items if item["kind"] == ASK}
    if beginning and (places or flowing.speaks(load)):
        lanes = sorted(beginning | {place.lane for place in places})
        await outbox.lock_lanes(sql, ASK, lanes, load.now)
    if places and len(await outbox.fence(sql, places)) < len(places):
        raise Stale


async def settle(sql: asyncpg.Connection, load: Load) -> None:
    """Give up the places of those that took effect; the others keep theirs until they are due."""
    settled = [Settled(one.place, one.outcome, due=one.due(load.now)) for one in _answers(load)]
    await settling.settle(sql, settled, load.now)


def _concerned(load: Load, carriage: Carriage) -> bool:
    facts = load.facts[carriage.pair]
    return facts.asks or facts.waits or carriage.arrival.answered is not None


async def _questions(
    sql: asyncpg.Connection, load: Load, carriages: Sequence[Carriage]
) -> Mapping[int, tuple[str, str]]:
    """What would be asked about each now, by the identity of the carriage."""
    doubtful = [one for one in carriages if load.facts[one.pair].asks]
    decided = [(one, one.decision) for one in doubtful if one.decision is not None]
    places = await pre_targets.places(
        sql, [where(one.arrival.account_sid, decision) for one, decision in decided]
    )
    asked = {
        id(one): question(decision, place)
        for (one, decision), place in zip(decided, places, strict=True)
    }
    return {key: value for key, value in asked.items() if value is not None}


def _judge(load: Load, carriage: Carriage, now_asked: tuple[str, str] | None) -> None:
    answered = carriage.arrival.answered
    if answered is None:
        if now_asked is not None or load.facts[carriage.pair].waits:
            _set_aside(load, carriage)
    elif answered.asked != now_asked:
        _wait(carriage, replace(answered, again_s=0.0))
    elif answered.verdict is not None:
        _obey(load, carriage, answered.verdict)


def _obey(load: Load, carriage: Carriage, verdict: Verdict) -> None:
    """What the customer decided. An answer that cannot be used takes nothing from a message that
    was acknowledged: it is published as it came."""
    decision = carriage.decision
    assert decision is not None
    why = {"closed": UNANSWERED, "rejected": REFUSED}.get(verdict.outcome)
    if why is not None:
        carriage.taken = Taken(outcome="dropped", rule=decision.rule, reason=why)
    else:
        carriage.changes = usable(verdict.changes, load.settings.limits)
        why = f"published, with another {', '.join(carriage.changes)}" if carriage.changes else None
    said = why or f"published as it is ({verdict.detail or verdict.outcome})"
    carriage.decision = replace(decision, steps=(*decision.steps, (RULE, said)))


def usable(changes: Mapping[str, str], limits: LimitSettings) -> dict[str, str]:
    """The changes that the resource itself would take; a body that is too long is cut later, like
    any inbound's."""
    return {key: text for key, text in changes.items() if _fits(key, text, limits)}


def _fits(key: str, text: str, limits: LimitSettings) -> bool:
    match key:
        case "attributes":
            try:
                check_attributes(text, bytes_max=limits.attributes_bytes_max)
            except Invalid:
                return False
        case "friendly_name":
            return len(text) <= limits.friendly_name_chars_max
        case "author":
            return 0 < len(text) <= limits.identity_chars_max
    return bool(text)


def _set_aside(load: Load, carriage: Carriage) -> None:
    arrival = carriage.arrival
    _wait(carriage, None)
    load.items.append(
        NewItem(
            lane=ask_lane(*carriage.pair),
            kind=ASK,
            token=carriage.message_sid,
            account_sid=arrival.account_sid,
            message_sid=carriage.message_sid,
            params=stored(arrival.inbound),
        )
    )


def _wait(carriage: Carriage, answered: Answered | None) -> None:
    """Nothing is decided about it yet."""
    if answered is not None:
        carriage.item = replace(carriage.arrival, answered=answered)
    carriage.decision = None
    carriage.taken = Taken(
        outcome="asked",
        rule=RULE,
        reason="somebody decides on it first",
        message_sid=carriage.message_sid,
    )


def _answers(load: Load) -> list[Answered]:
    items = (one.item for one in load.carriages if isinstance(one.item, Arrival))
    return [item.answered for item in items if item.answered is not None]
