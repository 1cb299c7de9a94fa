"""What is measured in the database every few seconds: cheap questions only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import asyncpg

LOOKED_AT = 500
# The first items by place are the oldest of all but for the milliseconds of their transactions. A
# kind that is not among them is looked for at the heads of its lanes, those due first. Both are
# bounded: in a full outbox with more lanes of that kind, what is found may be a little too young.
OLDEST = """
SELECT k.kind, least(
  (SELECT min(o.created_at) FROM (SELECT kind, created_at FROM outbox ORDER BY seq LIMIT $2) o
   WHERE o.kind = k.kind),
  (SELECT min(h.created_at) FROM (
    (SELECT lane FROM lanes WHERE kind = k.kind ORDER BY due LIMIT $2)
    UNION ALL
    (SELECT lane FROM lanes WHERE kind = 'held' AND k.kind IN ('hook', 'delivery')
     ORDER BY due LIMIT $2)) l
   CROSS JOIN LATERAL (
    SELECT kind, created_at FROM outbox o WHERE o.lane >= l.lane AND o.lane <= l.lane
    ORDER BY o.lane, o.seq LIMIT 1) h
   WHERE h.kind = k.kind)) AS created_at
FROM unnest($1::text[]) AS k (kind)
"""

DEAD = """
SELECT k.kind, (SELECT count(*) FROM dead_letters d WHERE d.kind = k.kind) AS letters
FROM unnest($1::text[]) AS k (kind)
"""

PAUSED = "SELECT count(*) FROM hook_endpoints WHERE paused_at IS NOT NULL"
UNORDERED = "SELECT happened_at FROM stream_intake ORDER BY serial LIMIT 1"

# What each follower sends next, by its place in the log.
LAGS = """
SELECT s.type, min(e.logged_at) AS since
FROM stream_followers f
JOIN sinks s ON s.sid = f.sink_sid
JOIN stream_events e ON e.account_sid = f.account_sid AND e.position = f.position + 1
WHERE f.subscription_sid IS NOT NULL GROUP BY s.type
"""

LOSSES = "SELECT count(*) FROM stream_losses"


async def oldest(
    sql: asyncpg.Connection, kinds: tuple[str, ...], now: datetime
) -> Mapping[str, float]:
    """How many seconds the oldest item of each kind has been waiting in the outbox (as far as
    `LOOKED_AT` items and lanes tell); 0: none is."""
    found = dict.fromkeys(kinds, 0.0)
    for kind, created_at in await sql.fetch(OLDEST, kinds, LOOKED_AT):
        if created_at is not None:
            found[kind] = max(0.0, (now - created_at).total_seconds())
    return found


async def dead_letters(sql: asyncpg.Connection, kinds: tuple[str, ...]) -> Mapping[str, int]:
    """How many items of each kind were given up and are kept."""
    return dict(await sql.fetch(DEAD, kinds))


async def targets_paused(sql: asyncpg.Connection) -> int:
    """How many targets of webhooks are paused."""
    found: int = await sql.fetchval(PAUSED)
    return found


async def unordered_s(sql: asyncpg.Connection, now: datetime) -> float:
    """How many seconds the oldest event has been waiting for the sequencer; 0: none is."""
    since = await sql.fetchval(UNORDERED)
    return 0.0 if since is None else max(0.0, (now - since).total_seconds())


async def stream_lags(
    sql: asyncpg.Connection, sinks: tuple[str, ...], now: datetime
) -> Mapping[str, float]:
    """For each type of sink, how many seconds ago the oldest event was logged that is still to be
    sent; 0: none is."""
    found = dict.fromkeys(sinks, 0.0)
    for sink, since in await sql.fetch(LAGS):
        found[sink] = max(0.0, (now - since).total_seconds())
    return found


async def stream_losses(sql: asyncpg.Connection) -> int:
    """How many batches of events were given up and are remembered."""
    found: int = await sql.fetchval(LOSSES)
    return found
