"""The log of webhooks: attempts, what was given up, targets with queues of their own. Newest first;
every list is bounded and walks an index from where it begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

OUTCOMES = ("delivered", "refused", "unreachable")

SHOWN = """
a.id, a.seq, a.number, a.conversation_sid, a.message_sid, a.event, a.target, a.endpoint, a.outcome,
a.status_code, a.detail, a.started_at, a.finished_at, a.next_at, a.exchange::text
"""
# One walk for each outcome, each along the same index.
OF_ACCOUNT = f"""
SELECT a.* FROM unnest($3::text[]) AS o (outcome) CROSS JOIN LATERAL (
  SELECT {SHOWN} FROM attempts a
  WHERE a.account_sid = $1 AND a.outcome = o.outcome AND a.id < $4 AND $2::text IS NULL
  ORDER BY a.id DESC LIMIT $5) a
ORDER BY a.id DESC LIMIT $5
"""
OF_TARGET = f"""
SELECT a.* FROM unnest($3::text[]) AS o (outcome) CROSS JOIN LATERAL (
  SELECT {SHOWN} FROM attempts a
  WHERE a.endpoint = $2 AND a.account_sid = $1 AND a.outcome = o.outcome AND a.id < $4
  ORDER BY a.id DESC LIMIT $5) a
ORDER BY a.id DESC LIMIT $5
"""
OF_CONVERSATION = f"""
SELECT {SHOWN} FROM attempts a
WHERE a.conversation_sid = $2 AND a.account_sid = $1 AND a.outcome = ANY ($3::text[]) AND a.id < $4
  AND ($6::text IS NULL OR a.endpoint = $6)
ORDER BY a.id DESC LIMIT $5
"""
OF_ITEM = f"""
SELECT {SHOWN} FROM attempts a WHERE a.conversation_sid = $2 AND a.account_sid = $1 AND a.seq = $3
ORDER BY a.id DESC LIMIT $4
"""
ONE = f"SELECT {SHOWN} FROM attempts a WHERE a.id = $2 AND a.account_sid = $1"
WAITING = """
SELECT o.seq, o.lane, o.conversation_sid, o.message_sid, o.event, o.url, o.attempts, o.token,
  o.created_at, l.due, l.kind = 'held' AS held, l.lease IS NOT NULL AND l.due > $3 AS leased,
  NOT EXISTS (SELECT FROM outbox h WHERE h.lane >= o.lane AND (h.lane, h.seq) < (o.lane, o.seq))
    AS head
FROM outbox o JOIN lanes l ON l.lane = o.lane
WHERE o.seq = $2 AND o.account_sid = $1 AND o.kind = 'hook'
"""
# Of webhooks and of flows, each along the same index.
DEAD = """
SELECT d.* FROM unnest(ARRAY['hook', 'flow']) AS k (kind) CROSS JOIN LATERAL (
  SELECT seq, lane, conversation_sid, message_sid, event, url, endpoint, attempts, token, reason,
    created_at, died_at
  FROM dead_letters
  WHERE kind = k.kind AND account_sid = $1 AND {scope} AND seq < $3 ORDER BY seq DESC LIMIT $4) d
ORDER BY d.seq DESC LIMIT $4
"""
SCOPES: Mapping[str, str] = {
    "account": "$2::text IS NULL",
    "target": "endpoint = $2",
    "conversation": "conversation_sid = $2",
    "item": "seq = $2::text::bigint",
}
TARGETS = """
SELECT endpoint, url, paused_at, paused_until, pauses, reason FROM hook_endpoints
WHERE account_sid = $1 AND endpoint > $2 ORDER BY endpoint LIMIT $3
"""
# A probe goes at once; nobody is let through before it comes back.
RESUME = """
UPDATE hook_endpoints SET next_at = $3, paused_until = $3
WHERE endpoint = $2 AND account_sid = $1 AND paused_at IS NOT NULL AND probe IS NULL
RETURNING endpoint
"""
URL_OF = """
SELECT coalesce(post_url, pre_url) FROM webhook_configurations WHERE sid = $2 AND account_sid = $1
UNION ALL SELECT url FROM scoped_webhooks WHERE sid = $2 AND account_sid = $1
"""

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which attempts or dead letters: of an account, and perhaps of one target or conversation, or
    with one outcome; those before the one named `before`."""

    account_sid: str
    endpoint: str | None = None
    conversation_sid: str | None = None
    outcome: str | None = None
    before: int = (1 << 63) - 1


async def attempts(sql: asyncpg.Connection, wanted: Wanted, limit: int) -> Sequence[Row]:
    """The last attempts."""
    outcomes = [wanted.outcome] if wanted.outcome else list(OUTCOMES)
    common = outcomes, wanted.before, limit
    if wanted.conversation_sid is not None:
        named = wanted.account_sid, wanted.conversation_sid
        found = await sql.fetch(OF_CONVERSATION, *named, *common, wanted.endpoint)
    else:
        statement = OF_TARGET if wanted.endpoint is not None else OF_ACCOUNT
        found = await sql.fetch(statement, wanted.account_sid, wanted.endpoint, *common)
    rows: Sequence[Row] = found
    return rows


async def attempt(sql: asyncpg.Connection, account_sid: str, number: int) -> Row | None:
    """The attempt with this number in the log."""
    found: Row | None = await sql.fetchrow(ONE, account_sid, number)
    return found


async def of_item(
    sql: asyncpg.Connection, account_sid: str, conversation_sid: str, seq: int, limit: int
) -> Sequence[Row]:
    """The last attempts of one item, which is about this conversation."""
    rows: Sequence[Row] = await sql.fetch(OF_ITEM, account_sid, conversation_sid, seq, limit)
    return rows


async def waiting(sql: asyncpg.Connection, account_sid: str, seq: int, now: Any) -> Row | None:
    """An item that waits, and how its lane stands."""
    found: Row | None = await sql.fetchrow(WAITING, account_sid, seq, now)
    return found


async def dead(sql: asyncpg.Connection, wanted: Wanted, limit: int) -> Sequence[Row]:
    """What was given up last."""
    scope, value = "account", None
    if wanted.conversation_sid is not None:
        scope, value = "conversation", wanted.conversation_sid
    elif wanted.endpoint is not None:
        scope, value = "target", wanted.endpoint
    statement = DEAD.format(scope=SCOPES[scope])
    rows: Sequence[Row] = await sql.fetch(
        statement, wanted.account_sid, value, wanted.before, limit
    )
    return rows


async def one_dead(sql: asyncpg.Connection, account_sid: str, seq: int) -> Row | None:
    """The item with this number, when it was given up."""
    statement = DEAD.format(scope=SCOPES["item"])
    found: Row | None = await sql.fetchrow(statement, account_sid, str(seq), seq + 1, 1)
    return found


async def targets(
    sql: asyncpg.Connection, account_sid: str, after: str, limit: int
) -> Sequence[Row]:
    """Targets that fail, or that more wait for than there are places for, by name."""
    rows: Sequence[Row] = await sql.fetch(TARGETS, account_sid, after, limit)
    return rows


async def resume(sql: asyncpg.Connection, account_sid: str, endpoint: str, now: Any) -> bool:
    """Ask a paused target now; False when it is not paused, or is being asked already."""
    return await sql.fetchval(RESUME, account_sid, endpoint, now) is not None


async def url_of(sql: asyncpg.Connection, account_sid: str, webhook_sid: str) -> str | None:
    """Where the webhook with this SID leads."""
    found: str | None = await sql.fetchval(URL_OF, account_sid, webhook_sid)
    return found
