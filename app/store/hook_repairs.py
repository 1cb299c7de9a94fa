"""What an operator may do to webhooks that wait or were given up: replay, skip, unblock.

Lock order: dead letters, then lanes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

import asyncpg
import orjson

from app import ids
from app.model.flows import FLOW
from app.model.outbox import HOOK
from app.store import outbox, settling
from app.store.outbox import NewItem

COLUMNS = tuple(NewItem.__annotations__)

RAISE = """
DELETE FROM dead_letters WHERE ctid = ANY (ARRAY (
  SELECT ctid FROM dead_letters
  WHERE account_sid = $1 AND died_at <= $3 AND {scope}
  ORDER BY seq LIMIT $4 FOR UPDATE SKIP LOCKED))
RETURNING seq, lane, kind, token, account_sid, conversation_sid, message_sid, event, scope, url,
  method, params::text, retries_max
"""
SCOPES: Mapping[str, str] = {
    "account": "kind = $2::text",
    "endpoint": "kind = 'hook' AND endpoint = $2::text",
    "conversation": "kind IN ('hook', 'flow') AND conversation_sid = $2::text",
    "seqs": "kind IN ('hook', 'flow') AND seq = ANY ($2::bigint[])",
}
"""What flows could not take in is told to them again too. All of an account goes kind by kind, each
along its index: what two kinds say shares no lane."""

LANE = """
SELECT l.lane, l.lease IS NOT NULL AND l.due > $3 AS leased FROM outbox o
JOIN lanes l ON l.lane = o.lane
WHERE o.seq = $2 AND o.account_sid = $1 AND o.kind = 'hook' FOR UPDATE OF l
"""
HEAD = """
SELECT seq FROM outbox WHERE lane >= $1 COLLATE "C" AND lane <= $1 COLLATE "C"
ORDER BY lane, seq LIMIT 1
"""
BURY = """
WITH gone AS (DELETE FROM outbox WHERE seq = $1 RETURNING *)
INSERT INTO dead_letters (
  seq, lane, kind, account_sid, conversation_sid, message_sid, receipt_sid, event, scope, url,
  method, params, retries_max, token, attempts, created_at, reason, died_at, endpoint)
SELECT g.seq, g.lane, g.kind, g.account_sid, g.conversation_sid, g.message_sid, g.receipt_sid,
  g.event, g.scope, g.url, g.method, g.params, g.retries_max, g.token, g.attempts, g.created_at,
  $2, $3, l.endpoint
FROM gone g JOIN lanes l ON l.lane = g.lane
"""
# Before all others, in whatever queue it waits; a paused endpoint is asked, and by this one.
FIRST = """
WITH first AS (
  UPDATE lanes SET due = $2::timestamptz - interval '1 day', lease = NULL WHERE lane = $1
  RETURNING endpoint
)
UPDATE hook_endpoints e SET next_at = $2,
  paused_until = CASE WHEN e.paused_until IS NOT NULL THEN $2::timestamptz END
FROM first f WHERE e.endpoint = f.endpoint AND e.probe IS NULL
"""


@dataclass(frozen=True, slots=True)
class Dead:
    """Which dead letters: an account's, those of one target or conversation, or these; as far as
    they died until a moment (what dies again while they are replayed is not taken again)."""

    account_sid: str
    until: datetime
    endpoint: str | None = None
    conversation_sid: str | None = None
    seqs: tuple[int, ...] = ()


async def replay(
    sql: asyncpg.Connection, dead: Dead, now: datetime, *, limit: int, new_tokens: bool = False
) -> int:
    """Put at most so many dead letters, the oldest first, to the ends of their lanes; gives how
    many.

    Their order among each other stays. Towards what was told since it is lost: they come after all
    that is in the lane already. The schedule begins anew, RetryCount too; the token is the one that
    they had, so that a receiver knows what it took before, unless new ones are asked for.
    """
    rows: list[asyncpg.Record] = []
    for scope, value in _scopes(dead):
        left = limit - len(rows)
        statement = RAISE.format(scope=SCOPES[scope])
        rows += await sql.fetch(statement, dead.account_sid, value, dead.until, left)
    rows.sort(key=lambda row: row["seq"])
    await outbox.add(sql, [_item(row, new_tokens) for row in rows], now)
    return len(rows)


async def skip(
    sql: asyncpg.Connection, account_sid: str, seq: int, reason: str, now: datetime
) -> str:
    """Give up the head of a lane, so that the lane goes on: done; or else unknown (there is no such
    item), busy (it is being called), behind (it is not the head)."""
    lane = await sql.fetchrow(LANE, account_sid, seq, now)
    said = await _state(sql, lane, seq)
    if lane is None or said != "done":
        return said
    await sql.execute(BURY, seq, reason, now)
    await settling.go_on(sql, [lane["lane"]], now)
    return said


async def unblock(sql: asyncpg.Connection, account_sid: str, seq: int, now: datetime) -> str:
    """The head of a lane is tried now, whatever its schedule says and though its endpoint is
    paused; answers as `skip`."""
    lane = await sql.fetchrow(LANE, account_sid, seq, now)
    said = await _state(sql, lane, seq)
    if lane is not None and said == "done":
        await sql.execute(FIRST, lane["lane"], now)
    return said


async def _state(sql: asyncpg.Connection, lane: Any, seq: int) -> str:
    if lane is None:
        return "unknown"
    if lane["leased"]:
        return "busy"
    return "done" if await sql.fetchval(HEAD, lane["lane"]) == seq else "behind"


def _scopes(dead: Dead) -> list[tuple[str, Any]]:
    if dead.seqs:
        return [("seqs", list(dead.seqs))]
    if dead.endpoint is not None:
        return [("endpoint", dead.endpoint)]
    if dead.conversation_sid is not None:
        return [("conversation", dead.conversation_sid)]
    return [("account", HOOK), ("account", FLOW)]


def _item(row: Any, new_token: bool) -> NewItem:
    values = {name: row[name] for name in COLUMNS if name in row.keys()}  # noqa: SIM118 - a Record
    if values["params"] is not None:
        values["params"] = orjson.loads(values["params"])
    if new_token:
        values["token"] = ids.token()
    return cast(NewItem, values)
