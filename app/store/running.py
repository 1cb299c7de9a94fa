"""Executions while they run: what a worker must know to go on, and where a run stands afterwards.

Lock order: conversations, executions in the order of their SIDs, media, lanes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg
import orjson

from app import ids
from app.model import Receipt
from app.model.flows import EXECUTION, FLOW, PLACE, TIMEOUT, UNDELIVERED, VERSION, flow_lane
from app.store import outbox
from app.store.database import sentence
from app.store.outbox import Claimed, NewItem
from app.store.settling import Settled

STEP_MAX = 500
"""Executions whose wait is over, in one transaction."""
CLOSED = "cancelled: the conversation was closed"

KEEP = sentence(__file__, "running_keep.sql")

PARCELS = """
SELECT i.seq, c.state, c.chat_service_sid, p.address, p.proxy_address,
  CASE WHEN c.grouped THEN (SELECT min(o.projected_address) FROM participants o
    WHERE o.conversation_sid = c.sid AND o.projected_address IS NOT NULL) END AS ours,
  f.sid IS NOT NULL AS known, f.published, f.revision,
  coalesce(coalesce(p.address, i.author) = ANY (f.test_users), false) AS tests,
  e.sid AS execution_sid, e.contact_channel_address, e.memory, e.version, e.taken,
  EXISTS (SELECT FROM executions t WHERE t.conversation_sid = c.sid AND t.flow_sid = f.sid
    AND t.taken = i.seq) AS taken_in
FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
  AS i (seq, account_sid, flow_sid, conversation_sid, participant_sid, author)
LEFT JOIN conversations c ON c.sid = i.conversation_sid COLLATE "C"
  AND c.account_sid = i.account_sid COLLATE "C"
LEFT JOIN participants p ON p.sid = i.participant_sid COLLATE "C"
LEFT JOIN flows f ON f.sid = i.flow_sid COLLATE "C" AND f.account_sid = i.account_sid COLLATE "C"
LEFT JOIN LATERAL (
  SELECT * FROM executions
  WHERE flow_sid = f.sid AND conversation_sid = c.sid AND status = 'active' LIMIT 1) e ON true
"""

DEFINITION = "SELECT definition FROM flow_revisions WHERE flow_sid = $1 AND revision = $2"
ENTERED = "SELECT published, revision FROM flows WHERE account_sid = $1 AND sid = $2"

OVER = """
WITH over AS (
  SELECT sid FROM executions WHERE due <= $1 ORDER BY due LIMIT $2
  FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE executions e SET due = NULL WHERE e.sid = ANY (ARRAY (SELECT sid FROM over))
RETURNING e.sid, e.account_sid, e.flow_sid, e.conversation_sid, e.version
"""

LOCK = """
WITH entered AS MATERIALIZED (
  SELECT sid FROM conversations WHERE sid = ANY ($1::text[]) ORDER BY sid FOR SHARE
)
SELECT e.sid
FROM unnest($2::text[], $3::text[]) AS i (flow_sid, conversation_sid)
JOIN executions e ON e.flow_sid = i.flow_sid COLLATE "C"
  AND e.conversation_sid = i.conversation_sid COLLATE "C" AND e.status = 'active'
WHERE (SELECT count(*) FROM entered) >= 0 AND e.conversation_sid = ANY ($3::text[])
ORDER BY e.sid FOR NO KEY UPDATE OF e
"""

END = """
UPDATE executions e SET status = 'ended', reason = i.reason, due = NULL, version = e.version + 1,
  date_updated = $4
FROM unnest($1::text[], $2::text[], $3::text[]) AS i (flow_sid, conversation_sid, reason)
WHERE e.flow_sid = i.flow_sid COLLATE "C" AND e.status = 'active'
  AND e.conversation_sid = i.conversation_sid COLLATE "C" AND e.conversation_sid = ANY ($2::text[])
"""

# The memory of who said a message names it; whether it waits there still is found out in its lane.
SAID = """
SELECT i.n, e.sid, e.flow_sid
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS i (conversation_sid, message_sid, n)
JOIN executions e ON e.conversation_sid = i.conversation_sid COLLATE "C" AND e.status = 'active'
WHERE strpos(e.memory, i.message_sid) > 0 AND e.conversation_sid = ANY ($1::text[])
ORDER BY i.n, e.sid
"""

CLOSE = """
WITH held AS (
  SELECT sid FROM executions WHERE conversation_sid = ANY ($1::text[]) AND status = 'active'
  ORDER BY sid FOR NO KEY UPDATE
)
UPDATE executions e SET status = 'ended', reason = $2, due = NULL, version = e.version + 1,
  date_updated = $3
WHERE e.sid = ANY (ARRAY (SELECT sid FROM held))
"""


@dataclass(frozen=True, slots=True)
class Parcel:
    """What a worker must know of an item. `state` None: the conversation is gone; `known`: the
    account has the flow; `revision` is the one that its author would run (None: only drafts).
    `memory` is that of the active execution, if there is one, and `contact` whom it talks with.
    `taken_in`: some execution, which may have ended, knows of this item already. `address` and
    `proxy_address` are the author's pair; `ours` is who we are in a group text (None: it is
    none)."""

    state: str | None
    service_sid: str
    address: str | None
    proxy_address: str | None
    ours: str | None
    known: bool
    revision: int | None
    execution_sid: str | None
    contact: str | None
    memory: str | None
    version: int
    taken: int
    taken_in: bool


@dataclass(frozen=True, slots=True)
class Keeping:
    """Where an execution stands now, and what becomes of the item under whose lease it went on:
    written together, if the lease still holds and nobody else changed the execution.

    `row` has the columns of the table (`version` is the one that was read, 0: it is new), `steps`
    rows of its history. Without `settled` the item stays where it is."""

    item: Claimed
    row: Mapping[str, Any]
    steps: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
    settled: Settled | None = None
    message_sid: str | None = None


@dataclass(frozen=True, slots=True)
class Ending:
    """An item that is done with, and why what its flow runs in its conversation ends with it."""

    settled: Settled
    reason: str

    @property
    def item(self) -> Claimed:
        """The item under whose lease it ends."""
        return self.settled.item


def flow_of(item: Claimed) -> str:
    """The flow whose item this is."""
    return (item.url or "").removeprefix(PLACE)


async def parcels(sql: asyncpg.Connection, items: Sequence[Claimed]) -> dict[int, Parcel]:
    """What is to be known of each item."""
    params = [item.params or {} for item in items]
    rows = await sql.fetch(
        PARCELS,
        [item.seq for item in items],
        [item.account_sid for item in items],
        [flow_of(item) for item in items],
        [item.conversation_sid for item in items],
        [one.get("ParticipantSid") for one in params],
        [one.get("Author") for one in params],
    )
    return {row["seq"]: _parcel(row) for row in rows}


async def keep(sql: asyncpg.Connection, keeping: Sequence[Keeping], now: datetime) -> set[str]:
    """Write where these executions stand; gives the SIDs of those that are kept. The others were
    changed by somebody else, or would begin in a conversation that is closed."""
    rows = orjson.dumps([one.row for one in keeping]).decode()
    steps = orjson.dumps([step for one in keeping for step in one.steps]).decode()
    return {row["sid"] for row in await sql.fetch(KEEP, rows, steps, now)}


async def definition(sql: asyncpg.Connection, flow_sid: str, revision: int) -> str | None:
    """The definition of a flow in one of its revisions."""
    found: str | None = await sql.fetchval(DEFINITION, flow_sid, revision)
    return found


async def entered(
    sql: asyncpg.Connection, account_sid: str, flow_sid: str, draft: bool
) -> int | None:
    """The revision of a flow of this account that another one enters; None: there is none."""
    row = await sql.fetchrow(ENTERED, account_sid, flow_sid)
    if row is None:
        return None
    revision: int | None = row["revision"] if draft else row["published"]
    return revision


async def time_out(sql: asyncpg.Connection, now: datetime, limit: int = STEP_MAX) -> int:
    """Put into their lanes that the waits of these executions are over, those first that are over
    longest; gives how many. Whether nobody replied before is found out there, in order."""
    rows = await sql.fetch(OVER, now, limit)
    items = [
        NewItem(
            lane=flow_lane(row["flow_sid"], row["conversation_sid"]),
            kind=FLOW,
            token=ids.token(),
            account_sid=row["account_sid"],
            conversation_sid=row["conversation_sid"],
            event=TIMEOUT,
            scope="studio",
            url=PLACE + row["flow_sid"],
            params={EXECUTION: row["sid"], VERSION: str(row["version"])},
        )
        for row in rows
    ]
    await outbox.add(sql, items, now)
    return len(items)


async def undelivered(sql: asyncpg.Connection, receipts: Sequence[Receipt]) -> list[NewItem]:
    """What the flows are told that said the messages of these receipts, which did not arrive."""
    given = [one.conversation_sid for one in receipts], [one.message_sid for one in receipts]
    rows = await sql.fetch(SAID, *given)
    return [failure(row["sid"], row["flow_sid"], receipts[row["n"] - 1]) for row in rows]


def failure(execution_sid: str, flow_sid: str, receipt: Receipt) -> NewItem:
    """What an execution is told of a message of its own that did not reach somebody."""
    return NewItem(
        lane=flow_lane(flow_sid, receipt.conversation_sid),
        kind=FLOW,
        token=ids.token(),
        account_sid=receipt.account_sid,
        conversation_sid=receipt.conversation_sid,
        message_sid=receipt.message_sid,
        event=UNDELIVERED,
        scope="studio",
        url=PLACE + flow_sid,
        params={
            EXECUTION: execution_sid,
            "Address": receipt.address,
            "Status": receipt.status,
            "ErrorCode": str(receipt.error_code or ""),
            "ErrorMessage": receipt.error_message or "",
        },
    )


async def lock(
    sql: asyncpg.Connection, keeping: Sequence[Keeping], ending: Sequence[Ending]
) -> None:
    """Lock what `keep` and `end` change, for a transaction that does both."""
    new = [one.row["conversation_sid"] for one in keeping if one.row["version"] == 0]
    items = [one.item for one in keeping] + [one.item for one in ending]
    places = [flow_of(item) for item in items], [item.conversation_sid for item in items]
    await sql.execute(LOCK, new, *places)


async def end(sql: asyncpg.Connection, ending: Sequence[Ending], now: datetime) -> None:
    """End what these flows run in these conversations. It is locked (`lock`) by the caller."""
    flows = [flow_of(one.item) for one in ending]
    conversations = [one.item.conversation_sid for one in ending]
    await sql.execute(END, flows, conversations, [one.reason for one in ending], now)


async def close(sql: asyncpg.Connection, conversations: Sequence[str], now: datetime) -> None:
    """End what runs in these locked conversations, which were closed."""
    await sql.execute(CLOSE, list(conversations), CLOSED, now)


def _parcel(row: Any) -> Parcel:
    return Parcel(
        state=row["state"],
        service_sid=row["chat_service_sid"] or "",
        address=row["address"],
        proxy_address=row["proxy_address"],
        ours=row["ours"],
        known=row["known"],
        revision=row["revision"] if row["tests"] else row["published"],
        execution_sid=row["execution_sid"],
        contact=row["contact_channel_address"],
        memory=row["memory"],
        version=row["version"] or 0,
        taken=row["taken"] or 0,
        taken_in=row["taken_in"],
    )
