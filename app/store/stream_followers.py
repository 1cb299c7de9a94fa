"""Followers: how far each subscription's events were sent; claimed by lease, settled under a fence.

A follower sleeps (`due` is NULL) when it has come to the head of its log. Who settles it holds the
head still (a share lock) while it looks whether there is more, and the sequencer wakes sleepers
after it moved the head: whichever comes second sees the other. Locks: sink or head, then follower.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import orjson

CLAIM = """
WITH due AS (
  SELECT sid FROM stream_followers WHERE due <= $1
  ORDER BY due LIMIT $2 FOR UPDATE SKIP LOCKED
)
UPDATE stream_followers f SET lease = $3, due = $4, attempts = f.attempts + 1
FROM due, sinks s WHERE f.sid = due.sid AND s.sid = f.sink_sid
RETURNING f.sid, f.account_sid, f.sink_sid, f.subscription_sid, f.position, f.upto, f.attempts,
  s.type AS sink_type, s.configuration::text AS configuration
"""
WANTED = """
SELECT subscription_sid, type, schema_version FROM subscribed_events
WHERE subscription_sid = ANY ($1::text[])
"""
NEXT_DUE = "SELECT min(due) FROM stream_followers WHERE due IS NOT NULL"
HOLD_HEAD = "SELECT position FROM stream_heads WHERE account_sid = $1 FOR SHARE"
SETTLE = """
UPDATE stream_followers SET lease = NULL, position = $3, upto = $4, attempts = $5, due = $6
WHERE sid = $1 AND lease = $2
"""
HOLD_SINK = "SELECT FROM sinks WHERE sid = $1 FOR NO KEY UPDATE"
END_TEST = """
WITH ended AS (DELETE FROM stream_followers WHERE sid = $1 AND lease = $2 RETURNING sink_sid)
UPDATE sinks s SET status = 'failed', date_updated = $4 FROM ended e
WHERE s.sid = e.sink_sid AND s.test_id = $1 AND s.status = 'validating' AND NOT $3
"""
LOSE = """
INSERT INTO stream_losses (
  account_sid, sink_sid, subscription_sid, first, last, events, reason, died_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""
RELEASE = """
UPDATE stream_followers f SET lease = NULL, due = $3
FROM unnest($1::text[], $2::text[]) AS c (sid, lease)
WHERE f.sid = c.sid COLLATE "C" AND f.lease = c.lease
"""


@dataclass(frozen=True, slots=True)
class Claimed:
    """A follower that is ours until the lease ends. `position` is done with; `upto` is where the
    batch ends that failed before, if one did. Without a subscription it is a test. `wanted` are the
    versions of the types that it sends."""

    sid: str
    lease: str
    account_sid: str
    sink_sid: str
    subscription_sid: str | None
    position: int
    upto: int | None
    attempts: int
    sink_type: str
    configuration: Mapping[str, Any]
    wanted: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Lost:
    """Positions that were given up, how many of their events this follower wanted, and why."""

    first: int
    last: int
    events: int
    reason: str


@dataclass(frozen=True, slots=True)
class Settled:
    """How far a claimed follower came, and when it goes on: at `due`, or (None) when there is
    something. `attempts` are those that failed at this position, `upto` where that batch ends."""

    follower: Claimed
    position: int
    upto: int | None = None
    attempts: int = 0
    due: datetime | None = None
    lost: Lost | None = None


async def claim(
    sql: asyncpg.Connection, *, limit: int, lease: str, now: datetime, lease_s: float
) -> list[Claimed]:
    """Lease up to `limit` followers that are due. Run inside a transaction."""
    rows = await sql.fetch(CLAIM, now, limit, lease, now + timedelta(seconds=lease_s))
    sids = [row["subscription_sid"] for row in rows if row["subscription_sid"] is not None]
    wanted: dict[str, dict[str, int]] = {}
    for sid, kind, version in await sql.fetch(WANTED, sids) if sids else ():
        wanted.setdefault(sid, {})[kind] = version
    return [
        Claimed(
            **{
                **dict(row),
                "lease": lease,
                "configuration": orjson.loads(row["configuration"]),
                "wanted": wanted.get(row["subscription_sid"], {}),
            }
        )
        for row in rows
    ]


async def next_due(sql: asyncpg.Connection) -> datetime | None:
    """When the next follower is due; None when all sleep."""
    due: datetime | None = await sql.fetchval(NEXT_DUE)
    return due


async def settle(sql: asyncpg.Connection, settled: Settled, now: datetime) -> bool:
    """Write down how far a follower came; False, and nothing, when its lease is not ours any more.
    Run inside a transaction."""
    one, due = settled.follower, settled.due
    head = await sql.fetchval(HOLD_HEAD, one.account_sid) or 0
    if due is None and head > settled.position:
        due = now
    said = await sql.execute(
        SETTLE, one.sid, one.lease, settled.position, settled.upto, settled.attempts, due
    )
    ours: bool = said == "UPDATE 1"
    if ours and settled.lost is not None:
        lost = settled.lost
        await sql.execute(
            LOSE,
            one.account_sid,
            one.sink_sid,
            one.subscription_sid,
            lost.first,
            lost.last,
            lost.events,
            _storable(lost.reason),
            now,
        )
    return ours


async def end_test(
    sql: asyncpg.Connection, follower: Claimed, now: datetime, *, arrived: bool
) -> None:
    """A test is over; a sink that was to be validated by one that did not arrive has failed. Run
    inside a transaction."""
    await sql.execute(HOLD_SINK, follower.sink_sid)
    await sql.execute(END_TEST, follower.sid, follower.lease, arrived, now)


async def release(sql: asyncpg.Connection, claimed: Sequence[Claimed], now: datetime) -> None:
    """Give leases back without settling: somebody else sends the same once more."""
    sids, leases = [one.sid for one in claimed], [one.lease for one in claimed]
    await sql.execute(RELEASE, sids, leases, now)


def _storable(text: str) -> str:
    """What a stranger's server said, without what PostgreSQL cannot hold."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode()
