"""How far carriers' lists are compared with the inbox, and what was missing there.

Whoever looks holds a lease, and every step names it: a replica that lost its lease writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import orjson

from app.model.gaps import TRIES_MAX
from app.model.outbox import DELIVERY
from app.model.traffic import Inbound, restored, stored

PAGE_MAX = 10_000
"""No page has so many entries."""

# Each carrier is met once: what it dates before that moment was somebody else's to take.
MEET = """
INSERT INTO gap_looks (carrier, since, complete_until, due)
SELECT carrier, $2, $2, $3 FROM unnest($1::text[]) AS n (carrier) ORDER BY carrier
ON CONFLICT (carrier) DO NOTHING
"""

CLAIM = """
UPDATE gap_looks SET lease = $2, leased_until = $4
WHERE carrier = $1 AND due <= $3 AND (leased_until IS NULL OR leased_until <= $3)
RETURNING *
"""

KEEP = """
UPDATE gap_looks SET leased_until = $3, recovered = recovered + $4
WHERE carrier = $1 AND lease = $2
"""

OPEN = """
UPDATE gap_looks SET window_from = $3, window_until = $4, position = NULL, read = false, pages = 0
WHERE carrier = $1 AND lease = $2
"""

TURN = """
UPDATE gap_looks SET position = $3, read = $4, pages = pages + 1, leased_until = $5
WHERE carrier = $1 AND lease = $2
"""

ANEW = "UPDATE gap_looks SET position = NULL, pages = 0 WHERE carrier = $1 AND lease = $2"

CLOSE = """
UPDATE gap_looks SET complete_until = window_until, window_from = NULL, window_until = NULL,
  position = NULL, read = false, pages = 0
WHERE carrier = $1 AND lease = $2
"""

RELEASE = """
UPDATE gap_looks SET lease = NULL, leased_until = NULL, due = $3,
  failures = CASE WHEN $4::text IS NULL THEN 0 ELSE failures + 1 END, error = $4
WHERE carrier = $1 AND lease = $2
"""

MISSING = """
SELECT n.external_id FROM unnest($2::text[]) AS n (external_id)
WHERE NOT EXISTS (SELECT FROM inbox i WHERE i.carrier = $1 AND i.external_id = n.external_id)
"""

FIND = """
INSERT INTO gap_finds (carrier, external_id, sent_at, payload, place)
SELECT $1, n.external_id, n.sent_at, n.payload::jsonb, $5 - n.number
FROM unnest($2::text[], $3::timestamptz[], $4::text[])
  WITH ORDINALITY AS n (external_id, sent_at, payload, number)
ORDER BY n.external_id
ON CONFLICT (carrier, external_id) DO NOTHING
"""

NEXT = f"""
SELECT external_id, payload::text AS payload FROM gap_finds
WHERE carrier = $1 AND tries < {TRIES_MAX} ORDER BY sent_at, place LIMIT $2
"""

FORGET = "DELETE FROM gap_finds WHERE carrier = $1 AND external_id = ANY ($2::text[])"

TRIED = """
UPDATE gap_finds SET tries = tries + 1 WHERE carrier = $1 AND external_id = ANY ($2::text[])
"""

# Of a receipt with parts each is a send of its own.
STATUSES = """
SELECT external_id, status FROM receipts
WHERE carrier = $1 AND external_id = ANY ($2::text[]) AND parts IS NULL
UNION ALL
SELECT s.external_id, p.part ->> 'status'
FROM unnest($2::text[]) AS s (external_id)
JOIN receipts r ON r.parts @> jsonb_build_array(jsonb_build_object('id', s.external_id))
  AND r.carrier = $1
CROSS JOIN LATERAL jsonb_array_elements(r.parts) AS p (part)
WHERE p.part ->> 'id' = s.external_id
"""

# The head of a lane that was started and never settled: its outcome is not known. Whoever works on
# the lane now is left alone.
ASK_NOW = """
UPDATE lanes SET due = $2 WHERE lane = ANY (ARRAY (
  SELECT l.lane FROM lanes l
  WHERE l.lane = ANY ($1::text[]) AND (l.kind = $3 AND l.lease IS NULL AND l.due > $2) IS TRUE
    AND (SELECT o.started_at FROM outbox o WHERE o.lane >= l.lane AND o.lane <= l.lane
         ORDER BY o.lane, o.seq LIMIT 1) IS NOT NULL
  ORDER BY l.lane FOR UPDATE SKIP LOCKED))
"""

PROGRESS = "SELECT carrier, complete_until, recovered, error FROM gap_looks ORDER BY carrier"


@dataclass(frozen=True, slots=True)
class Look:
    """A carrier's turn, leased to us. Without a window none is under way; see `GapLook`."""

    carrier: str
    lease: str
    since: datetime
    complete_until: datetime
    window_from: datetime | None
    window_until: datetime | None
    position: str | None
    read: bool
    pages: int
    failures: int


class Lost(Exception):
    """The lease ran out, and another replica has it: nothing was written."""


async def claim(
    sql: asyncpg.Connection, carrier: str, lease: str, now: datetime, until: datetime
) -> Look | None:
    """This carrier's look, when it is due and nobody has it."""
    row = await sql.fetchrow(CLAIM, carrier, lease, now, until)
    return None if row is None else Look(**{name: row[name] for name in Look.__slots__})


async def meet(
    sql: asyncpg.Connection, carriers: Iterable[str], now: datetime, first: timedelta
) -> None:
    """Begin with those carriers that we do not know yet; their first look is due after `first`."""
    await sql.execute(MEET, sorted(carriers), now, now + first)


async def keep(sql: asyncpg.Connection, look: Look, until: datetime, recovered: int = 0) -> None:
    """Hold the lease longer; so many messages were recovered. Raises Lost."""
    await _ours(sql, look, KEEP, until, recovered)


async def open_window(
    sql: asyncpg.Connection, look: Look, from_: datetime, until: datetime
) -> None:
    """Begin a look at this window. Raises Lost."""
    await _ours(sql, look, OPEN, from_, until)


async def turn_page(
    sql: asyncpg.Connection, look: Look, position: str | None, leased_until: datetime
) -> None:
    """Remember where the next page is; None: the whole window is read. Raises Lost."""
    await _ours(sql, look, TURN, position, position is None, leased_until)


async def begin_anew(sql: asyncpg.Connection, look: Look) -> None:
    """The position means nothing any more: read the window from its beginning. Raises Lost."""
    await _ours(sql, look, ANEW)


async def close_window(sql: asyncpg.Connection, look: Look) -> None:
    """Everything in the window is compared and taken in. Raises Lost."""
    await _ours(sql, look, CLOSE)


async def release(sql: asyncpg.Connection, look: Look, due: datetime, error: str | None) -> None:
    """Give the lease back; the carrier's next turn is at `due`. Raises Lost."""
    await _ours(sql, look, RELEASE, due, error)


async def missing(sql: asyncpg.Connection, carrier: str, externals: Sequence[str]) -> set[str]:
    """Which of these ids never came."""
    rows = await sql.fetch(MISSING, carrier, externals)
    return {row["external_id"] for row in rows}


async def find(
    sql: asyncpg.Connection, carrier: str, inbounds: Sequence[Inbound], page: int
) -> None:
    """Keep what was missing until the whole window is read; what is kept already stays. Lists are
    newest first: of what was sent at one moment, what stands further behind comes first."""
    await sql.execute(
        FIND,
        carrier,
        [one.external_id for one in inbounds],
        [one.sent_at for one in inbounds],
        [orjson.dumps(stored(one)).decode() for one in inbounds],
        -page * PAGE_MAX,
    )


async def finds(sql: asyncpg.Connection, carrier: str, most: int) -> list[Inbound]:
    """What was missing, the earliest first."""
    rows = await sql.fetch(NEXT, carrier, most)
    return [restored(orjson.loads(row["payload"])) for row in rows]


async def forget(sql: asyncpg.Connection, carrier: str, externals: Sequence[str]) -> None:
    """These were taken in."""
    await sql.execute(FORGET, carrier, externals)


async def tried(sql: asyncpg.Connection, carrier: str, externals: Sequence[str]) -> None:
    """These broke the road once more."""
    await sql.execute(TRIED, carrier, externals)


async def statuses(
    sql: asyncpg.Connection, carrier: str, externals: Sequence[str]
) -> dict[str, list[str]]:
    """The statuses of these sends of ours, or parts of them: of a group text, of each receipt."""
    found: dict[str, list[str]] = {}
    for row in await sql.fetch(STATUSES, carrier, externals):
        found.setdefault(row["external_id"], []).append(row["status"])
    return found


async def ask_now(sql: asyncpg.Connection, lanes: Iterable[str], now: datetime) -> int:
    """Of these lanes, make those due now that wait with a send of which nobody knows what became;
    gives how many."""
    tag: str = await sql.execute(ASK_NOW, sorted(lanes), now, DELIVERY)
    return int(tag.rpartition(" ")[2])


async def progress(sql: asyncpg.Connection) -> list[Any]:
    """Every carrier: until when all is compared, how many were recovered, what is wrong."""
    rows: list[Any] = await sql.fetch(PROGRESS)
    return rows


async def _ours(sql: asyncpg.Connection, look: Look, statement: str, *values: Any) -> None:
    if await sql.execute(statement, look.carrier, look.lease, *values) != "UPDATE 1":
        raise Lost
