"""Who is connected, to any process.

A process says again and again that those who are connected to it still are; of one that says it no
more, somebody else takes them off.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import asyncpg

Person = tuple[str, str]
"""Service and identity."""

BEAT_S = 5.0
LOST = timedelta(seconds=20)
"""Of a process that was silent for so long, nobody is connected any more."""

COME = """
INSERT INTO presences (chat_service_sid, identity, process, beat_at)
SELECT service, identity, $3, $4 FROM unnest($1::text[], $2::text[]) AS p (service, identity)
ORDER BY service COLLATE "C", identity
ON CONFLICT (chat_service_sid, identity, process) DO UPDATE SET beat_at = excluded.beat_at
"""
GO = """
DELETE FROM presences o USING unnest($1::text[], $2::text[]) AS p (service, identity)
WHERE o.chat_service_sid = p.service COLLATE "C" AND o.identity = p.identity AND o.process = $3
"""
CLEAR = "DELETE FROM presences WHERE process = $1 RETURNING chat_service_sid, identity"
BEAT = "UPDATE presences SET beat_at = $2 WHERE process = $1"
SWEEP = """
DELETE FROM presences WHERE ctid = ANY (ARRAY (
  SELECT ctid FROM presences WHERE beat_at < $1
  ORDER BY beat_at LIMIT 500 FOR UPDATE SKIP LOCKED))
RETURNING chat_service_sid, identity
"""
# One row after the other, in one order: two processes may say the same of the same people.
SHOW = """
UPDATE users u SET revision = revision + 1, online_at = $3
FROM (
  SELECT u.sid FROM unnest($1::text[], $2::text[]) AS p (service, identity)
  JOIN users u ON u.chat_service_sid = p.service COLLATE "C" AND u.identity = p.identity
  JOIN services s ON s.sid = u.chat_service_sid AND s.reachability_enabled
  ORDER BY u.sid FOR NO KEY UPDATE OF u) AS shown
WHERE u.sid = shown.sid
"""


async def come(
    sql: asyncpg.Connection, people: Sequence[Person], process: str, now: datetime
) -> None:
    """These are connected to this process."""
    await sql.execute(COME, *_columns(people), process, now)


async def go(sql: asyncpg.Connection, people: Sequence[Person], process: str) -> None:
    """These are no longer."""
    await sql.execute(GO, *_columns(people), process)


async def clear(sql: asyncpg.Connection, process: str) -> list[Person]:
    """Nobody is connected to this process any more; gives who was."""
    return [(row[0], row[1]) for row in await sql.fetch(CLEAR, process)]


async def beat(sql: asyncpg.Connection, process: str, now: datetime) -> None:
    """Everybody who is connected to this process still is."""
    await sql.execute(BEAT, process, now)


async def sweep(sql: asyncpg.Connection, now: datetime) -> list[Person]:
    """Take off whom lost processes have left behind, at most 500 at once; gives who that was."""
    return [(row[0], row[1]) for row in await sql.fetch(SWEEP, now - LOST)]


async def show(sql: asyncpg.Connection, people: Sequence[Person], now: datetime) -> None:
    """Let others see that these came or went, where their service shows that."""
    if people:
        await sql.execute(SHOW, *_columns(people), now)


def _columns(people: Sequence[Person]) -> tuple[list[str], list[str]]:
    return [one[0] for one in people], [one[1] for one in people]
