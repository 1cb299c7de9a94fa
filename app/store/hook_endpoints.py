"""Where webhooks lead, and the queues of those places that fail or are crowded.

A lane that is due and whose endpoint has a row here leaves the common queue and waits in that of
its endpoint (kind `held`): each lane is moved once, and a queue that nobody may look at costs one
row, however long it is. A claimed lane is in no queue; when it is due again it comes as any other.
Lock order: lanes, then endpoints in the order of their names; whatever else is locked here is
passed over when somebody else holds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from app.store.database import sentence

DUE = sentence(__file__, "hooks_due.sql")
HOLD = sentence(__file__, "hooks_hold.sql")

# Only to a queue that there is: what is held without one is looked at by nobody.
LEAVE = """
UPDATE lanes l SET kind = 'held' WHERE l.lane = ANY ($1::text[])
  AND (SELECT e.endpoint FROM hook_endpoints e
       WHERE e.endpoint >= l.endpoint AND e.endpoint <= l.endpoint
       ORDER BY e.endpoint LIMIT 1) IS NOT NULL
"""
QUEUES = """
SELECT endpoint, paused_until FROM hook_endpoints
WHERE next_at <= $1 AND ($3::text[] IS NULL OR endpoint = ANY ($3::text[]))
ORDER BY next_at LIMIT $2 FOR UPDATE SKIP LOCKED
"""
TAKE = """
SELECT h.lane, w.endpoint FROM unnest($1::text[], $2::int[]) AS w (endpoint, places)
CROSS JOIN LATERAL (
  SELECT lane FROM lanes WHERE kind = 'held' AND endpoint = w.endpoint COLLATE "C"
  ORDER BY due LIMIT w.places FOR UPDATE SKIP LOCKED) h
"""
LOOK_AGAIN = """
UPDATE hook_endpoints e SET next_at = n.next_at, probe = n.probe,
  paused_until = CASE WHEN n.probe IS NULL THEN e.paused_until ELSE n.next_at END
FROM unnest($1::text[], $2::timestamptz[], $3::text[]) AS n (endpoint, next_at, probe)
WHERE e.endpoint = n.endpoint COLLATE "C" AND e.endpoint = ANY ($1::text[])
"""
# These rows are locked by a statement before: nobody brings a lane meanwhile.
END = """
DELETE FROM hook_endpoints e WHERE e.endpoint = ANY ($1::text[])
  AND (SELECT l.lane FROM lanes l WHERE l.kind = 'held' AND l.endpoint = e.endpoint LIMIT 1) IS NULL
"""
NEXT = """
SELECT least(
  (SELECT min(due) FROM lanes WHERE kind = 'hook'),
  (SELECT next_at FROM hook_endpoints WHERE next_at > $1 ORDER BY next_at LIMIT 1))
"""
LOCK = """
SELECT endpoint, paused_at, paused_until, pauses, probe FROM hook_endpoints
WHERE endpoint = ANY ($1::text[]) ORDER BY endpoint FOR UPDATE
"""
PAUSE = """
INSERT INTO hook_endpoints AS e (
  endpoint, account_sid, url, reason, pauses, paused_at, paused_until, next_at)
SELECT endpoint, account_sid, url, reason, pauses, paused_at, paused_until, paused_until
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::int[], $6::timestamptz[],
  $7::timestamptz[]) AS p (endpoint, account_sid, url, reason, pauses, paused_at, paused_until)
ORDER BY endpoint COLLATE "C"
ON CONFLICT (endpoint) DO UPDATE SET reason = excluded.reason, pauses = excluded.pauses,
  paused_at = excluded.paused_at, paused_until = excluded.paused_until,
  next_at = excluded.next_at, probe = NULL
"""
OPEN = """
UPDATE hook_endpoints SET paused_until = NULL, paused_at = NULL, pauses = 0, probe = NULL,
  reason = NULL, next_at = $2
WHERE endpoint = ANY ($1::text[])
"""


@dataclass(frozen=True, slots=True)
class DueLane:
    """A lane that is due; `apart`: its endpoint has a queue of its own."""

    lane: str
    endpoint: str | None
    apart: bool


@dataclass(frozen=True, slots=True)
class Look:
    """When a queue is looked at next; with `probe`, nobody but this lane is let through before."""

    endpoint: str
    next_at: datetime
    probe: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How an endpoint stands: since when it is paused and until when, which pause in a row that
    is, and the lane that was let through to try."""

    paused_at: datetime | None
    paused_until: datetime | None
    pauses: int
    probe: str | None


@dataclass(frozen=True, slots=True)
class Pause:
    """An endpoint that is to be left alone until a time."""

    endpoint: str
    account_sid: str
    url: str
    reason: str
    pauses: int
    paused_at: datetime
    paused_until: datetime


async def due(sql: asyncpg.Connection, now: datetime, limit: int) -> list[DueLane]:
    """Lanes of the common queue that are due, locked, the longest due first."""
    return [DueLane(**row) for row in await sql.fetch(DUE, now, limit)]


async def hold(sql: asyncpg.Connection, lanes: Sequence[DueLane], now: datetime) -> None:
    """These locked lanes leave the common queue for that of their endpoint."""
    of = {lane.endpoint: lane.lane for lane in lanes if lane.endpoint is not None}
    names = sorted(of)
    await sql.execute(HOLD, names, [of[name] for name in names], now)
    await sql.execute(LEAVE, [lane.lane for lane in lanes])


async def queues(
    sql: asyncpg.Connection, now: datetime, limit: int, only: Iterable[str] | None
) -> dict[str, datetime | None]:
    """Endpoints whose queue may be looked at (all, or of these), locked, and until when each was
    paused; the one that was looked at longest ago first."""
    names = None if only is None else list(only)
    rows = await sql.fetch(QUEUES, now, limit, names)
    return {row["endpoint"]: row["paused_until"] for row in rows}


async def take(sql: asyncpg.Connection, places: Mapping[str, int]) -> list[DueLane]:
    """At most so many lanes of the queue of each endpoint, locked, the longest due first."""
    rows = await sql.fetch(TAKE, list(places), list(places.values()))
    return [DueLane(row["lane"], row["endpoint"], True) for row in rows]


async def look_again(sql: asyncpg.Connection, looks: Sequence[Look]) -> None:
    """When these locked queues are looked at next."""
    columns = [[getattr(look, name) for look in looks] for name in ("endpoint", "next_at", "probe")]
    await sql.execute(LOOK_AGAIN, *columns)


async def end(sql: asyncpg.Connection, endpoints: Sequence[str]) -> None:
    """These locked queues go, if they are empty."""
    await sql.execute(END, endpoints)


async def next_due(sql: asyncpg.Connection, now: datetime) -> datetime | None:
    """When the next lane of the common queue is due, or a queue that may not be looked at yet."""
    found: datetime | None = await sql.fetchval(NEXT, now)
    return found


async def standing(sql: asyncpg.Connection, endpoints: Iterable[str]) -> dict[str, Standing]:
    """How these endpoints stand, locked; those that have no row stand well."""
    rows = await sql.fetch(LOCK, sorted(endpoints))
    return {
        row["endpoint"]: Standing(
            row["paused_at"], row["paused_until"], row["pauses"], row["probe"]
        )
        for row in rows
    }


async def pause(sql: asyncpg.Connection, pauses: Sequence[Pause]) -> None:
    """Leave these endpoints alone."""
    names = ("endpoint", "account_sid", "url", "reason", "pauses", "paused_at", "paused_until")
    await sql.execute(PAUSE, *([getattr(one, name) for one in pauses] for name in names))


async def reopen(sql: asyncpg.Connection, endpoints: Sequence[str], now: datetime) -> None:
    """All lanes of these locked endpoints may go."""
    await sql.execute(OPEN, endpoints, now)
