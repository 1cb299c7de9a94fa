"""What operators ask about webhooks and do to them, for `/ops/hooks` and `parley hooks`.

Targets are shown without query, user and fragment; what people said only as far as the setting
`ops.hooks_log` keeps it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from app import ids
from app.clock import iso_millis
from app.errors import Conflict, Invalid, NotFound
from app.model.flows import FLOW
from app.model.outbox import HOOK, endpoint
from app.ops.hiding import hidden, plain_url
from app.ops.render import table
from app.settings.models import Settings
from app.store import conversations, hook_repairs, hooks_log, webhooks
from app.store.database import Tx
from app.store.hook_repairs import Dead
from app.store.hooks_log import OUTCOMES, Row, Wanted
from app.webhooks import replay

PAGE_MAX = 200
NUMBER_MAX = (1 << 63) - 1
DIGITS_MAX = 19
BATCH_MAX = 500
"""Webhooks that are replayed in one transaction."""
WRONG, UNKNOWN, REFUSED = 20001, 20404, 20409
ENDPOINT = re.compile(r"[0-9a-f]{20}")
SKIPPED = "skipped by an operator"
WHY_NOT = {
    "busy": "it is being called: try again when that is over",
    "behind": "it is not the first of its lane: skip or unblock that one",
}

Json = dict[str, Any]


def whole(name: str, text: str, most: int = NUMBER_MAX) -> int:
    """A number that somebody typed, from 0 to `most`. Raises Invalid, which says it by this
    name."""
    if not (text.isascii() and text.isdecimal()):
        raise Invalid(WRONG, f"{name} should be a whole number")
    if len(text) > DIGITS_MAX or int(text) > most:
        raise Invalid(WRONG, f"{name} is too big: at most {most}")
    return int(text)


async def wanted(
    tx: Tx,
    account_sid: str,
    *,
    target: str | None = None,
    conversation: str | None = None,
    outcome: str | None = None,
    before: int | None = None,
) -> Wanted:
    """What a list is asked for. Raises Invalid, naming the parameter."""
    if conversation is not None and not conversation.startswith(ids.CONVERSATION):
        raise Invalid(WRONG, "Conversation should be a conversation's SID (CH...)")
    if outcome is not None and outcome not in OUTCOMES:
        raise Invalid(WRONG, f"Outcome should be one of {', '.join(OUTCOMES)}")
    named = None if target is None else await _endpoint(tx, account_sid, target)
    first = Wanted(account_sid).before if before is None else before
    return Wanted(account_sid, named, conversation, outcome, first)


async def attempts(tx: Tx, asked: Wanted, limit: int) -> list[Json]:
    """The last attempts."""
    return [_attempt(row) for row in await hooks_log.attempts(tx.sql, asked, limit)]


async def dead(tx: Tx, asked: Wanted, limit: int) -> list[Json]:
    """What was given up last."""
    return [_dead(row) for row in await hooks_log.dead(tx.sql, asked, limit)]


async def targets(tx: Tx, account_sid: str, after: str, limit: int) -> list[Json]:
    """Targets with queues of their own: they fail, or more wait for them than there are places."""
    rows = await hooks_log.targets(tx.sql, account_sid, after, limit)
    return [
        _shown(
            target=row["endpoint"],
            url=plain_url(row["url"]),
            state="paused" if row["paused_at"] else "crowded",
            paused_at=row["paused_at"],
            paused_until=row["paused_until"],
            pauses=row["pauses"],
            reason=hidden(row["reason"]) if row["reason"] else None,
        )
        for row in rows
    ]


async def show(tx: Tx, account_sid: str, number: int) -> Json:
    """One attempt whole, the others of the same webhook, and what has become of it. Raises
    NotFound."""
    row = await hooks_log.attempt(tx.sql, account_sid, number)
    if row is None:
        raise NotFound(UNKNOWN, f"there is no attempt {number}")
    others: Sequence[Row] = [row]
    if row["conversation_sid"] is not None:
        others = await hooks_log.of_item(
            tx.sql, account_sid, row["conversation_sid"], row["seq"], PAGE_MAX
        )
    waits = await hooks_log.waiting(tx.sql, account_sid, row["seq"], tx.now)
    given_up = None if waits else await hooks_log.one_dead(tx.sql, account_sid, row["seq"])
    return {
        **_attempt(row),
        "state": "waiting" if waits else "dead" if given_up else "done",
        "waiting": _waiting(waits) if waits else None,
        "dead": _dead(given_up) if given_up else None,
        "attempts": [_attempt(other) for other in others],
    }


async def raise_dead(tx: Tx, dead: Dead, *, new_tokens: bool = False) -> int:
    """Replay a batch of dead letters; gives how many. There may be more when it was a whole one."""
    count = await hook_repairs.replay(tx.sql, dead, tx.now, limit=BATCH_MAX, new_tokens=new_tokens)
    if count:
        tx.rings |= {HOOK, FLOW}
    return count


@dataclass(frozen=True, slots=True)
class Again:
    """How far a replay of messages has come: the index that comes next, the one where it ends, how
    many of this batch are told, and whether there are more."""

    index: int
    until: int
    told: int
    more: bool


async def replay_messages(
    tx: Tx,
    settings: Settings,
    conversation_sid: str,
    webhook_sid: str,
    index: int,
    until: int | None = None,
) -> Again:
    """Tell a webhook of the messages of a conversation again, from this index on, a batch of them.
    They come after what waits already, with tokens of their own. It ends (`until`) at the messages
    that came after it began: those are told as ever. Raises NotFound."""
    row = await conversations.lock(tx, conversation_sid)
    if row is None or row.account_sid != settings.account.sid:
        raise NotFound(UNKNOWN, f"there is no conversation {conversation_sid}")
    found = (await webhooks.targets(tx.sql, [conversation_sid])).get(conversation_sid, ())
    target = next((one for one in found if one.sid == webhook_sid), None)
    if target is None:
        raise NotFound(UNKNOWN, f"the conversation has no webhook {webhook_sid}")
    end = row.message_count if until is None else min(until, row.message_count)
    limit = min(BATCH_MAX, end - index)
    if limit <= 0:
        return Again(index, end, 0, more=False)
    index, told, more = await replay.batch(tx, settings, row, target, index, limit)
    return Again(index, end, told, more and index < end)


async def skip(tx: Tx, account_sid: str, seq: int) -> None:
    """Give up the first of a lane. Raises NotFound or Conflict."""
    _check(await hook_repairs.skip(tx.sql, account_sid, seq, SKIPPED, tx.now), seq)
    tx.rings.add(HOOK)


async def unblock(tx: Tx, account_sid: str, seq: int) -> None:
    """Try the first of a lane now. Raises NotFound or Conflict."""
    _check(await hook_repairs.unblock(tx.sql, account_sid, seq, tx.now), seq)
    tx.rings.add(HOOK)


async def resume(tx: Tx, account_sid: str, target: str) -> None:
    """Ask a paused target now. Raises Invalid or NotFound."""
    named = await _endpoint(tx, account_sid, target)
    if not await hooks_log.resume(tx.sql, account_sid, named, tx.now):
        raise NotFound(
            UNKNOWN, f"the target {plain_url(target)} is not paused, or is asked already"
        )
    tx.rings.add(HOOK)


def lines(rows: Sequence[Json]) -> list[str]:
    """Rows of a list for a terminal."""
    shown = [name for name in COLUMNS if any(name in row for row in rows)]
    return table([[f"{row.get(name, '')}" for name in shown] for row in rows])


COLUMNS = (
    *("id", "seq", "finished_at", "died_at", "event", "conversation_sid", "outcome", "status_code"),
    *("state", "paused_until", "pauses", "next_at", "target", "url", "reason"),
)


def _check(said: str, seq: int) -> None:
    if said == "unknown":
        raise NotFound(UNKNOWN, f"no webhook {seq} waits")
    if said != "done":
        raise Conflict(REFUSED, f"webhook {seq}: {WHY_NOT[said]}")


async def _endpoint(tx: Tx, account_sid: str, target: str) -> str:
    """The name of a target by itself, by a URL or by a webhook's SID."""
    if ENDPOINT.fullmatch(target):
        return target
    if target.startswith(("http://", "https://")):
        return endpoint(account_sid, target)
    if ids.is_sid(target, ids.WEBHOOK):
        url = await hooks_log.url_of(tx.sql, account_sid, target)
        if url is not None:
            return endpoint(account_sid, url)
    raise Invalid(WRONG, "Target should be a URL, the SID of a webhook, or the name of a target")


def _attempt(row: Row) -> Json:
    exchange = orjson.loads(row["exchange"]) if row["exchange"] else {}
    return _shown(
        id=row["id"],
        seq=row["seq"],
        attempt=row["number"],
        event=row["event"],
        conversation_sid=row["conversation_sid"],
        message_sid=row["message_sid"],
        target=row["endpoint"],
        method=exchange.get("method"),
        url=plain_url(row["target"]) if row["target"] else None,
        params=exchange.get("params"),
        outcome=row["outcome"],
        status_code=row["status_code"],
        response=hidden(row["detail"]) if row["detail"] else None,
        took_ms=exchange.get("ms"),
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        next_at=row["next_at"],
    )


def _dead(row: Row) -> Json:
    return _shown(
        seq=row["seq"],
        event=row["event"],
        conversation_sid=row["conversation_sid"],
        message_sid=row["message_sid"],
        target=row["endpoint"],
        url=plain_url(row["url"]) if row["url"] else None,
        attempts=row["attempts"],
        reason=hidden(row["reason"]),
        token=row["token"],
        created_at=row["created_at"],
        died_at=row["died_at"],
    )


def _waiting(row: Row) -> Json:
    state = "behind others in its lane"
    if row["head"]:
        state = "under way" if row["leased"] else "held" if row["held"] else "due"
    return _shown(
        seq=row["seq"],
        lane_state=state,
        due=row["due"],
        attempts=row["attempts"],
        token=row["token"],
        created_at=row["created_at"],
    )


def _shown(**values: Any) -> Json:
    return {
        name: iso_millis(value) if hasattr(value, "astimezone") else value
        for name, value in values.items()
        if value is not None
    }


def as_json(rows: Sequence[Mapping[str, Any]], key: str, limit: int) -> Json:
    """A list for programs; `before` is where it goes on, None at its end."""
    more = rows[-1][key] if len(rows) == limit else None
    return {"hooks": list(rows), "before": more}
