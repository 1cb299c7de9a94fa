"""The outbox: items in lanes, claimed by lease, settled under a fence.

A lane's row exists while it has items. Who adds to a lane or settles it holds its row lock, so the
sequence numbers of a lane follow the order of commits, and a lane never vanishes under an item.
Lock order everywhere: bindings, users, conversations, executions, media, lanes in the order of
their names.

Queues are empty again and again. A vacuum at such a moment leaves it in the statistics, and until
the next one every way through these tables, and past all that was deleted since, looks as short to
the planner as the best: joins became loops over whole tables, and the road waited for their locks.
So whatever is asked of `outbox`, `lanes` and their like leaves no choice (tests/store/
test_emptied_queues.py): rows are named by an array of keys, or by their places (`ctid`), never by a
join of keys alone; what is asked of each row is a subselect; a range orders by all of its index,
because another index could give the rest. Places hold where an earlier statement has locked the
lane: nobody changes an item without that.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Required, TypedDict

import asyncpg
import orjson

from app.model.outbox import HOOK, endpoint
from app.store import paces
from app.store.database import sentence
from app.values import value

ADDING = sentence(__file__, "outbox_add.sql")
ADD = ADDING.replace("{only}", "")
CLAIM = sentence(__file__, "outbox_claim.sql")
HEADS = sentence(__file__, "outbox_heads.sql")
FENCE = sentence(__file__, "outbox_fence.sql")
START = (
    """
WITH leased AS (
  UPDATE lanes SET kind = 'hook', lease = $3, due = $4 WHERE lane = ANY ($1::text[])
)
"""
    + HEADS
)

SWEEP = """
DELETE FROM lanes l WHERE l.lane = ANY ($1::text[])
  AND (SELECT o.seq FROM outbox o WHERE o.lane = l.lane LIMIT 1) IS NULL
"""
TURN_HOLDS_S = 2.0
"""How long after its time a rated sender's turn may still be taken."""
GIVE_BACK = "UPDATE lanes SET lease = NULL, due = $2 WHERE lane = ANY ($1::text[])"
LOCK_LANES = """
INSERT INTO lanes AS l (lane, kind, due) SELECT lane, $2, $3 FROM unnest($1::text[]) AS i (lane)
ORDER BY lane COLLATE "C" ON CONFLICT (lane) DO UPDATE SET kind = l.kind WHERE false
"""
UNBEGIN = """
WITH back AS (UPDATE lanes SET lease = NULL, due = $2 WHERE lane = ANY ($1::text[]))
UPDATE outbox o SET attempts = o.attempts - 1, started_at = i.unknown_since
FROM unnest($1::text[], $3::bigint[], $4::timestamptz[]) AS i (lane, seq, unknown_since)
CROSS JOIN LATERAL (
  SELECT seq, ctid AS place FROM outbox WHERE (lane, seq) >= (i.lane COLLATE "C", i.seq)
  ORDER BY lane, seq LIMIT 1) h
WHERE o.ctid = h.place AND h.seq = i.seq
"""


class NewItem(TypedDict, total=False):
    """A thing to do, and the lane it must keep its place in: its row, as PostgreSQL reads it. What
    is left out is null, and costs nothing; what is None is null as well.

    `sender` is there where the sender's rate is limited. `params` is what a webhook says;
    `endpoint` the route of a delivery (of a webhook it is where its URL leads, which `written`
    works out)."""

    lane: Required[str]
    kind: Required[str]
    token: Required[str]
    account_sid: Required[str]
    conversation_sid: str | None
    message_sid: str | None
    receipt_sid: str | None
    sender: str | None
    event: str | None
    scope: str | None
    url: str | None
    method: str | None
    params: dict[str, str] | None
    retries_max: int | None
    endpoint: str | None


@value(frozen=True, slots=True)
class Claimed:
    """The head of a lane, ours until the lease ends. `unknown_since` is when an earlier attempt
    began whose outcome nobody knows; `attempts` counts this one."""

    seq: int
    lane: str
    lease: str
    kind: str
    account_sid: str
    conversation_sid: str | None
    message_sid: str | None
    receipt_sid: str | None
    event: str | None
    scope: str | None
    url: str | None
    method: str | None
    params: dict[str, str] | None
    retries_max: int | None
    token: str
    attempts: int
    unknown_since: datetime | None
    created_at: datetime
    started_at: datetime

    @property
    def part(self) -> int:
        """Which part of its message this delivery is about."""
        return int((self.params or {}).get("part", 0))

    @property
    def instead(self) -> str | None:
        """What the last attempt sent a template in the place of, where it did."""
        return (self.params or {}).get("instead")

    @property
    def endpoint(self) -> str | None:
        """Where this webhook leads."""
        return endpoint(self.account_sid, self.url) if self.url else None


class Due(NamedTuple):
    """A lane that is leased to us: whose pace it keeps, its turn, and where it leads."""

    lane: str
    sender: str | None
    slot_at: datetime | None
    endpoint: str | None


async def add(sql: asyncpg.Connection, items: Sequence[NewItem], now: datetime) -> None:
    """Put items at the end of their lanes. Call once per transaction, last."""
    if items:
        await sql.execute(ADD, written(items), now)


def written(items: Sequence[NewItem]) -> str:
    """The items as the statement takes them. Puts into each webhook the place that it leads to."""
    for item in items:
        if item["kind"] == HOOK and (url := item.get("url")) is not None:
            item["endpoint"] = endpoint(item["account_sid"], url)
    return orjson.dumps(items).decode()


async def claim(
    sql: asyncpg.Connection,
    kind: str,
    *,
    limit: int,
    lease: str,
    now: datetime,
    lease_s: float,
    rates: Mapping[str, float],
) -> list[Claimed]:
    """Lease up to `limit` lanes whose head is due and start an attempt of each head: `due`, then
    `begin`. Run inside a transaction."""
    lanes = await due(sql, kind, limit=limit, lease=lease, now=now, lease_s=lease_s)
    return await begin(sql, lanes, lease=lease, now=now, rates=rates)


async def due(
    sql: asyncpg.Connection, kind: str, *, limit: int, lease: str, now: datetime, lease_s: float
) -> list[Due]:
    """Lease up to `limit` lanes whose head is due, the longest due first."""
    rows = await sql.fetch(CLAIM, kind, now, limit, lease, now + timedelta(seconds=lease_s))
    return [Due(*row) for row in rows]


async def begin(
    sql: asyncpg.Connection,
    lanes: Sequence[Due],
    *,
    lease: str,
    now: datetime,
    rates: Mapping[str, float],
) -> list[Claimed]:
    """Start an attempt of the head of each of these leased lanes, in their order.

    `rates` gives sends per second by the names of paces (app/rules/paces.py): lanes of rated
    senders are given turns and wait for them without a lease.
    """
    held_since = now - timedelta(seconds=TURN_HOLDS_S)  # an older turn is lost: else all go at once
    paced = [
        (row.lane, row.sender)
        for row in lanes
        if row.sender is not None and (row.slot_at is None or row.slot_at < held_since)
    ]
    waiting = {lane for lane, _ in paced}
    ready = [row.lane for row in lanes if row.lane not in waiting]
    if paced:
        ready += await paces.turns(sql, paced, now, rates)
    if not ready:
        return []
    heads = await sql.fetch(HEADS, ready, now)
    return await _begun(sql, ready, heads, lease)


async def start(
    sql: asyncpg.Connection,
    lanes: Sequence[str],
    *,
    lease: str,
    now: datetime,
    lease_s: float,
) -> list[Claimed]:
    """Lease these locked lanes of webhooks and start an attempt of the head of each."""
    if not lanes:
        return []
    heads = await sql.fetch(START, lanes, now, lease, now + timedelta(seconds=lease_s))
    return await _begun(sql, lanes, heads, lease)


async def _begun(
    sql: asyncpg.Connection, lanes: Sequence[str], heads: Sequence[Any], lease: str
) -> list[Claimed]:
    places = {lane: place for place, lane in enumerate(lanes)}
    heads = sorted(heads, key=lambda row: places[row["lane"]])
    if len(heads) < len(lanes):  # nobody leaves a lane behind; if somebody did, it goes
        await sql.execute(SWEEP, sorted(set(lanes) - {row["lane"] for row in heads}))
    return [_claimed(row, lease) for row in heads]


async def next_due(sql: asyncpg.Connection, kind: str) -> datetime | None:
    """When the next lane of this kind is due; None when there is none."""
    due: datetime | None = await sql.fetchval("SELECT min(due) FROM lanes WHERE kind = $1", kind)
    return due


async def fence(sql: asyncpg.Connection, claimed: Sequence[Claimed]) -> set[int]:
    """Lock the lanes of these items; gives the items whose lease still holds. Others were taken
    over and must not be settled."""
    held = await sql.fetch(FENCE, sorted({item.lane for item in claimed}))
    lease_of = {row["lane"]: row["lease"] for row in held}
    return {item.seq for item in claimed if lease_of.get(item.lane) == item.lease}


async def lock_lanes(
    sql: asyncpg.Connection, kind: str, lanes: Sequence[str], now: datetime
) -> None:
    """Lock these lanes in the order of their names, whether they are there or begin now: for a
    transaction that settles some and adds to others."""
    await sql.execute(LOCK_LANES, lanes, kind, now)


async def release(sql: asyncpg.Connection, claimed: Sequence[Claimed], now: datetime) -> None:
    """Give leases back without settling: the attempts' outcomes stay unknown."""
    ours = await fence(sql, claimed)
    lanes = [item.lane for item in claimed if item.seq in ours]
    await sql.execute(GIVE_BACK, lanes, now)


async def unbegin(sql: asyncpg.Connection, claimed: Sequence[Claimed], due: datetime) -> None:
    """Put back, in the transaction that claimed them, what cannot be worked on before `due`."""
    if claimed:
        lanes = [item.lane for item in claimed]
        marks = [item.unknown_since for item in claimed]
        await sql.execute(UNBEGIN, lanes, due, [item.seq for item in claimed], marks)


def adding(items: str, now: str, only: str = "") -> str:
    """`ADD` as the end of a bigger statement, which gives it these parameters. With `only`, that
    condition is looked at before a lane is locked."""
    text = ADDING[ADDING.index("incoming AS") :].replace("$2", now).replace("$1", items)
    return text.replace("{only}", f" WHERE {only}" if only else "")


def _claimed(row: Any, lease: str) -> Claimed:
    values = dict(row)
    if values["params"] is not None:
        values["params"] = orjson.loads(values["params"])
    return Claimed(lease=lease, **values)
