"""Carriers that fail and are left alone, and the lanes that wait for them.

While a carrier is paused, lanes that can go by no other leave the queue of deliveries when they are
due: they are `held` under the name of their route (`model.outbox.route`), each moved once. Where
only what is at the head can go by no other, the lane is held when that was tried
(`model.outbox.narrowed`). Lock order: lanes, then pauses; lanes that are let go again are passed
over when somebody holds them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

LISTED = """
SELECT carrier, reason, pauses, paused_at, paused_until, probe FROM carrier_pauses ORDER BY carrier
"""
PAUSE = """
INSERT INTO carrier_pauses (carrier, reason, pauses, paused_at, paused_until)
VALUES ($1, $2, 1, $3, $4) ON CONFLICT (carrier) DO NOTHING RETURNING pauses
"""
# Only by who was let through: its word is the last one.
PAUSE_AGAIN = """
UPDATE carrier_pauses SET reason = $3, pauses = pauses + 1, paused_until = $4, probe = NULL
WHERE carrier = $1 AND probe = $2 RETURNING pauses
"""
YIELD = """
UPDATE carrier_pauses SET paused_until = $3, probe = NULL WHERE carrier = $1 AND probe = $2
"""
PROBE = """
UPDATE carrier_pauses SET probe = $2, paused_until = $4
WHERE carrier = $1 AND paused_until <= $3 RETURNING carrier
"""
# What was under way before the pause says nothing of now.
RESUME = "DELETE FROM carrier_pauses WHERE carrier = $1 AND paused_at < $2 RETURNING paused_at"

HOLD = "UPDATE lanes SET kind = 'held', lease = NULL, due = $2 WHERE lane = ANY ($1::text[])"
# The routes that lanes are held under: from one to the next along the index, however many lanes.
ROUTES = """
WITH RECURSIVE routes AS (
  (SELECT endpoint FROM lanes WHERE kind = 'held' AND endpoint >= 'd:' AND endpoint < 'd;'
   ORDER BY endpoint LIMIT 1)
  UNION ALL
  SELECT (SELECT l.endpoint FROM lanes l
          WHERE l.kind = 'held' AND l.endpoint > r.endpoint AND l.endpoint < 'd;'
          ORDER BY l.endpoint LIMIT 1)
  FROM routes r WHERE r.endpoint IS NOT NULL
)
SELECT endpoint FROM routes WHERE endpoint IS NOT NULL
"""
FREE = """
UPDATE lanes l SET kind = 'delivery', endpoint = regexp_replace(l.endpoint, '^d:.*[|]', 'd:')
WHERE l.lane = ANY (ARRAY (
  SELECT h.lane FROM unnest($1::text[]) AS r (endpoint)
  CROSS JOIN LATERAL (
    SELECT lane FROM lanes WHERE kind = 'held' AND endpoint = r.endpoint COLLATE "C"
    ORDER BY due LIMIT $2 FOR UPDATE SKIP LOCKED) h))
RETURNING l.lane
"""


@dataclass(frozen=True, slots=True)
class Paused:
    """A carrier that is left alone until a time: for the `pauses`-th time in a row since
    `paused_at`, and why. `probe` is the turn of who was let through and has not said yet."""

    carrier: str
    reason: str
    pauses: int
    paused_at: datetime
    paused_until: datetime
    probe: str | None = None


async def listed(sql: asyncpg.Connection) -> list[Paused]:
    """The carriers that are paused, by their names."""
    return [Paused(**row) for row in await sql.fetch(LISTED)]


async def pause(
    sql: asyncpg.Connection, carrier: str, reason: str, now: datetime, until: datetime
) -> bool:
    """Leave this carrier alone; says whether nobody did so before."""
    return await sql.fetchval(PAUSE, carrier, reason, now, until) is not None


async def pause_again(
    sql: asyncpg.Connection, carrier: str, turn: str, reason: str, until: datetime
) -> bool:
    """Who had this turn found that the carrier still fails: it is left alone for longer. Says
    whether it was still that one's turn."""
    return await sql.fetchval(PAUSE_AGAIN, carrier, turn, reason, until) is not None


async def pass_on(sql: asyncpg.Connection, carrier: str, turn: str, now: datetime) -> None:
    """Who had this turn found nothing: another one may be let through now."""
    await sql.execute(YIELD, carrier, turn, now)


async def probe(
    sql: asyncpg.Connection, carrier: str, turn: str, now: datetime, until: datetime
) -> bool:
    """Whether the pause is over and this turn is to let one send through; nobody else may until
    then."""
    return await sql.fetchval(PROBE, carrier, turn, now, until) is not None


async def resume(sql: asyncpg.Connection, carrier: str, begun_at: datetime) -> datetime | None:
    """A send that began then was answered: the carrier is well, if it was paused before that. Gives
    since when it was."""
    since: datetime | None = await sql.fetchval(RESUME, carrier, begun_at)
    return since


async def hold(sql: asyncpg.Connection, lanes: Sequence[str], now: datetime) -> None:
    """These lanes, leased in this transaction, wait for their carriers."""
    await sql.execute(HOLD, lanes, now)


async def routes(sql: asyncpg.Connection) -> list[str]:
    """The routes that lanes are held under."""
    return [row["endpoint"] for row in await sql.fetch(ROUTES)]


async def free(sql: asyncpg.Connection, routes: Sequence[str], limit: int) -> list[str]:
    """At most so many lanes of each of these routes are due again, those held longest first."""
    return [row["lane"] for row in await sql.fetch(FREE, routes, limit)]
