"""The log of each account's events: one total order without gaps, in which nothing comes late.

A consumer reads "what is after position 17". That misses nothing only if nothing is ever put at or
before a position that somebody may have read. A sequence does not give that: its numbers are drawn
when a row is written and seen when its transaction commits, so 18 may be read before 17 is there,
and who went on from 18 never sees 17.

So there are two steps. The transaction of a change leaves its event in `stream_intake` (one insert,
with a `serial` that is drawn under the row lock of what changed: the serials of one conversation
are in the order of its changes). Nobody reads that table but the sequencer, of which there is one
at a time in a database: it holds an advisory lock. It takes what is *visible*, that is, committed,
in the order of the serials, and gives each event the next `position` of its account (1, 2, 3, ...).
A transaction that commits late is not seen by that turn; the next one gives it higher positions
than everything that was there to be read before. Positions and head commit together, under the lock
of the account's head: what is read up to position n is final, for ever.

What changed one conversation earlier holds its lock until it has committed, so a later change of it
neither draws its serial nor commits before: within a conversation the order of the positions is the
order of the changes, late or not.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from app.store.bells import CHANNEL
from app.store.database import sentence

# "streams" in ASCII: the advisory lock of whoever orders events.
TURN = 0x73747265616D73
TAKE_TURN = "SELECT pg_advisory_xact_lock($1)"
SEQUENCE = sentence(__file__, "stream_sequence.sql")
# A statement of its own: a follower that settled while we waited for the head is seen now.
WAKE = """
UPDATE stream_followers SET due = $2
WHERE account_sid = ANY ($1::text[]) AND due IS NULL AND subscription_sid IS NOT NULL
"""
TELL = "SELECT pg_notify($1, $2)"

ADD = """
INSERT INTO stream_intake (account_sid, id, type, about, data, happened_at)
SELECT account_sid, id, type, about, data, $6 FROM unnest(
  $1::text[], $2::text[], $3::text[], $4::text[], $5::text[]) WITH ORDINALITY
  AS i (account_sid, id, type, about, data, place)
ORDER BY place
"""
READ = """
SELECT position, id, type, about, happened_at, data FROM (
  SELECT position, id, type, about, happened_at, data,
    sum(octet_length(data)) OVER (ORDER BY position) - coalesce(octet_length(data), 0) AS before
  FROM (
    SELECT position, id, type, about, happened_at,
      CASE WHEN type = ANY ($3::text[]) THEN data END AS data
    FROM stream_events
    WHERE account_sid = $1 AND position > $2 AND ($4::bigint IS NULL OR position <= $4)
    ORDER BY position LIMIT $5) AS wanted) AS summed
WHERE coalesce(before, 0) < $6 ORDER BY position
"""
HEAD = "SELECT position FROM stream_heads WHERE account_sid = $1"
# Head and floor of one moment: what is above both is neither trimmed nor still to come.
EXTENT = """
SELECT coalesce((SELECT position FROM stream_heads WHERE account_sid = $1), 0) AS head,
  (SELECT min(position) FROM stream_events WHERE account_sid = $1) AS first
"""
MOVED_MAX = 1000
"""Events in one turn of the sequencer."""
BYTES_MAX = 1_000_000
"""Of data in one reading; the event that goes beyond it is the last."""


@dataclass(frozen=True, slots=True)
class Happened:
    """An event on its way into the intake; `data` is JSON, `about` what it happened to."""

    account_sid: str
    id: str
    type: str
    about: str
    data: str


@dataclass(frozen=True, slots=True)
class Logged:
    """An event at its position in the log. `data` is JSON; nothing when it was not asked for."""

    position: int
    id: str
    type: str
    about: str
    happened_at: datetime
    data: str | None


@dataclass(frozen=True, slots=True)
class Extent:
    """What there is of a log: the position before the first event that is kept, and the last."""

    before: int
    head: int


async def add(sql: asyncpg.Connection, happened: Sequence[Happened], now: datetime) -> None:
    """Leave events for the sequencer, in their order. What they are about is locked."""
    if happened:
        columns = [
            [getattr(one, name) for one in happened]
            for name in ("account_sid", "id", "type", "about", "data")
        ]
        await sql.execute(ADD, *columns, now)


async def sequence(
    sql: asyncpg.Connection, now: datetime, limit: int = MOVED_MAX
) -> Mapping[str, int]:
    """One turn of the sequencer, in a transaction: move what is visible into the logs and wake who
    follows them. Gives how many events each account got. Waits for another turn to end first."""
    await sql.execute(TAKE_TURN, TURN)
    moved = {row["account_sid"]: row["moved"] for row in await sql.fetch(SEQUENCE, now, limit)}
    if moved:
        await sql.execute(WAKE, sorted(moved), now)
    return moved


async def tell(sql: asyncpg.Connection, bells: Collection[str]) -> None:
    """Ring these bells in other processes, with the commit of this transaction."""
    await sql.execute(TELL, CHANNEL, " ".join(sorted(bells)))


async def read(
    sql: asyncpg.Connection,
    account_sid: str,
    after: int,
    types: Collection[str],
    *,
    limit: int,
    upto: int | None = None,
) -> list[Logged]:
    """At most `limit` events, and about 1 MB, after this position; those of other types than these
    lack data."""
    rows = await sql.fetch(READ, account_sid, after, sorted(types), upto, limit, BYTES_MAX)
    return [Logged(**dict(row)) for row in rows]


async def head(sql: asyncpg.Connection, account_sid: str) -> int:
    """The last position of an account's log; 0: there was nothing yet."""
    return await sql.fetchval(HEAD, account_sid) or 0


async def extent(sql: asyncpg.Connection, account_sid: str) -> Extent:
    """From where to where the log of an account reaches."""
    row = await sql.fetchrow(EXTENT, account_sid)
    first = row["first"]
    return Extent(row["head"] if first is None else first - 1, row["head"])
