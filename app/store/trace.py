"""What is known of one message or one conversation, found by any of its names.

Every question is answered from an index that exists for something else. A carrier's id is looked
up under each carrier that the table knows (a walk along its index), the SID of a channel's message
by the carrier's or the receipt's SID that it was made of, and what still waits by its lanes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from app import ids
from app.channels.facts import FACTS, SID_PREFIX_OTHER
from app.model.parts import is_reference, referred
from app.store.standing import last_inbound_at

ENTRIES_MAX = 200

OF_SID: Mapping[str, str] = {
    ids.CONVERSATION: "SELECT $1::text, NULL::text",
    ids.MESSAGE: """
        SELECT coalesce((SELECT conversation_sid FROM messages WHERE sid = $1),
          (SELECT conversation_sid FROM decisions WHERE message_sid = $1 LIMIT 1),
          (SELECT conversation_sid FROM attempts WHERE message_sid = $1 LIMIT 1)), $1""",
    ids.RECEIPT: "SELECT conversation_sid, message_sid FROM receipts WHERE sid = $1",
    ids.PARTICIPANT: "SELECT conversation_sid, NULL FROM participants WHERE sid = $1",
    ids.WEBHOOK: "SELECT conversation_sid, NULL FROM scoped_webhooks WHERE sid = $1",
    ids.MEDIA: """
        SELECT m.conversation_sid, m.sid FROM media f JOIN messages m ON m.sid = f.message_sid
        WHERE f.sid = $1""",
}
"""The conversation, and the message if it is about one, by the prefix of a SID."""

# The carriers of a table: from one to the next along the index, however many rows each has.
CARRIERS = """
WITH RECURSIVE carriers AS (
  (SELECT carrier FROM {table} t WHERE t.{indexed} ORDER BY carrier LIMIT 1)
  UNION ALL
  SELECT (SELECT t.carrier FROM {table} t
          WHERE t.carrier > c.carrier AND t.{indexed} ORDER BY t.carrier LIMIT 1)
  FROM carriers c WHERE c.carrier IS NOT NULL
)
SELECT {columns} FROM carriers c
JOIN {table} t ON t.carrier = c.carrier AND t.external_id = ANY ($1::text[]) AND t.{indexed}
"""
NAMED = "external_id IS NOT NULL"

DECIDED = CARRIERS.format(
    table="decisions", columns="t.*, t.steps::text AS said", indexed="message_sid IS NULL"
)
ENTERED = CARRIERS.format(table="inbox", columns="t.*", indexed=NAMED)
SENT = CARRIERS.format(
    table="receipts",
    columns="t.conversation_sid, t.message_sid, t.external_id, t.channel_message_sid",
    indexed=NAMED,
)
SENT_AS_PART = """
SELECT conversation_sid, message_sid FROM receipts
WHERE parts @> jsonb_build_array(jsonb_build_object('id', $1::text)) LIMIT 1
"""
EARLY = CARRIERS.format(table="early_statuses", columns="t.*", indexed=NAMED)

CONVERSATION = "SELECT * FROM conversations WHERE sid = $1"
OWNER = "SELECT account_sid FROM conversations WHERE sid = $1"
PARTICIPANTS = f"""
SELECT p.*, {last_inbound_at("p")} AS last_inbound_at
FROM participants p WHERE conversation_sid = $1 ORDER BY sid DESC LIMIT $2
"""
MESSAGES = """
SELECT sid, conversation_sid, index, author, source, length(body) AS characters, date_created,
  (SELECT count(*) FROM media f WHERE f.message_sid = m.sid) AS media
FROM messages m WHERE m.{scope} ORDER BY m.{order} DESC LIMIT $2
"""
DECIDED_ON = """
SELECT *, steps::text AS said FROM decisions
WHERE message_sid = ANY ($1::text[]) ORDER BY sid DESC LIMIT $2
"""
RECEIPTS = """
SELECT *, jsonb_array_length(parts) AS parts_count
FROM receipts WHERE message_sid = ANY ($1::text[]) ORDER BY sid DESC LIMIT $2
"""
ATTEMPTS = "SELECT * FROM attempts WHERE {scope} ORDER BY id DESC LIMIT $2"
DEAD = """
SELECT * FROM dead_letters
WHERE conversation_sid = $1 AND ($3::text IS NULL OR message_sid = $3)
ORDER BY seq DESC LIMIT $2
"""

# Lanes are named after whom they lead to (app/road/fanout.py, app/webhooks/tell.py). Those of
# webhooks that were removed meanwhile are found by the attempts made so far.
WAITING = """
WITH named AS (
  SELECT 'h:' || w.sid || ':' || c.sid AS lane
  FROM conversations c JOIN webhook_configurations w ON w.account_sid = c.account_sid
  WHERE c.sid = $1
  UNION SELECT 'h:' || sid || ':' || conversation_sid FROM scoped_webhooks
  WHERE conversation_sid = $1
  UNION SELECT unnest($4::text[])
  UNION SELECT lane FROM outbox WHERE seq = ANY ($5::bigint[])
)
SELECT o.kind, o.event, o.url, o.receipt_sid, o.attempts, o.started_at, o.created_at, l.due,
  l.lease IS NOT NULL AS leased, l.kind = 'held' AS held,
  NOT EXISTS (SELECT FROM outbox h WHERE h.lane >= o.lane AND (h.lane, h.seq) < (o.lane, o.seq))
    AS head
FROM named n
JOIN outbox o ON o.lane = n.lane COLLATE "C"
CROSS JOIN LATERAL (SELECT kind, due, lease FROM lanes WHERE lane = o.lane LIMIT 1) l
WHERE o.conversation_sid IS NOT DISTINCT FROM $1 AND ($3::text IS NULL OR o.message_sid = $3)
ORDER BY o.seq DESC LIMIT $2
"""

Row = Mapping[str, Any]


@dataclass(slots=True)
class Found:
    """The rows that tell the story, each kind newest first; `more` when some were left out."""

    conversation_sid: str | None
    message_sid: str | None
    more: bool = False
    entered: list[Row] = field(default_factory=list)
    decisions: list[Row] = field(default_factory=list)
    conversation: list[Row] = field(default_factory=list)
    participants: list[Row] = field(default_factory=list)
    messages: list[Row] = field(default_factory=list)
    receipts: list[Row] = field(default_factory=list)
    attempts: list[Row] = field(default_factory=list)
    dead: list[Row] = field(default_factory=list)
    waiting: list[Row] = field(default_factory=list)
    early: list[Row] = field(default_factory=list)


async def find(sql: asyncpg.Connection, name: str) -> Found | None:
    """What is known by this name: a SID, or a carrier's id of something received or sent."""
    name = name.strip()
    if is_reference(name):
        name = referred(name)[0]
    if ids.SID.fullmatch(name):
        name = ids.lowered(name)
    found = await _by_sid(sql, name) or await _by_carrier(sql, name)
    if found is None:
        return None
    if found.message_sid is not None:
        await _message(sql, found, found.message_sid)
    elif found.conversation_sid is not None:
        await _conversation(sql, found, found.conversation_sid)
    await _waiting(sql, found)
    return found


async def owners(sql: asyncpg.Connection, found: Found) -> set[str]:
    """The accounts that these rows are of: one, or none that is known."""
    rows = (*found.decisions, *found.entered, *found.receipts, *found.conversation)
    known = {row["account_sid"] for row in rows}
    if not known and found.conversation_sid is not None:
        rows = await sql.fetch(OWNER, found.conversation_sid)
        known = {row["account_sid"] for row in rows}
    return known


async def _by_sid(sql: asyncpg.Connection, name: str) -> Found | None:
    statement = OF_SID.get(name[:2]) if ids.SID.fullmatch(name) else None
    row = await sql.fetchrow(statement, name) if statement else None
    return Found(row[0], row[1]) if row is not None else None


async def _by_carrier(sql: asyncpg.Connection, name: str) -> Found | None:
    """By a carrier's id, as it is or as a channel's message SID is made of it."""
    entered = await sql.fetch(ENTERED, [name])
    for row in entered:
        if row["message_sid"] is not None:
            return await _by_sid(sql, row["message_sid"])
    for row in await sql.fetch(SENT, _made_of(name)):
        if name in (row["external_id"], row["channel_message_sid"]):
            return Found(row["conversation_sid"], row["message_sid"])
    for row in await sql.fetch(SENT_AS_PART, name):
        return Found(row["conversation_sid"], row["message_sid"])
    if ids.SID.fullmatch(name):  # of a carrier whose ids are no SIDs
        of_receipt = await _by_sid(sql, ids.RECEIPT + name[2:])
        if of_receipt is not None:
            return of_receipt
    decisions = await sql.fetch(DECIDED, [name])
    early = await sql.fetch(EARLY, [name])
    if not (decisions or entered or early):
        return None
    return Found(None, None, decisions=decisions, entered=entered, early=early)


def _made_of(name: str) -> list[str]:
    """The carriers' ids that this may be the channel's SID of (`channel_message_sid`)."""
    if not ids.SID.fullmatch(name):
        return [name]
    prefixes = {facts.sid_prefix for facts in FACTS.values() if facts.sid_prefix}
    return [prefix + name[2:] for prefix in sorted({*prefixes, SID_PREFIX_OTHER, name[:2]})]


async def _message(sql: asyncpg.Connection, found: Found, sid: str) -> None:
    """The rows of one message, and of its conversation when the message created it."""
    one = {"scope": "sid = $1", "order": "sid"}
    found.messages = await sql.fetch(MESSAGES.format(**one), sid, 1)
    if found.messages:
        found.conversation_sid = found.messages[0]["conversation_sid"]
    found.decisions = await _last(found, sql, DECIDED_ON, [sid])
    found.receipts = await _last(found, sql, RECEIPTS, [sid])
    found.attempts = await _last(found, sql, ATTEMPTS.format(scope="message_sid = $1"), sid)
    if found.conversation_sid is None:
        return
    found.dead = await _last(found, sql, DEAD, found.conversation_sid, sid)
    if any(row["outcome"] == "created" for row in found.decisions):
        found.conversation = await sql.fetch(CONVERSATION, found.conversation_sid)


async def _conversation(sql: asyncpg.Connection, found: Found, sid: str) -> None:
    """The last rows of one conversation."""
    inside = "conversation_sid = $1"
    found.conversation = await sql.fetch(CONVERSATION, sid)
    found.participants = await _last(found, sql, PARTICIPANTS, sid)
    found.messages = await _last(found, sql, MESSAGES.format(scope=inside, order="index"), sid)
    found.receipts = await _last(found, sql, RECEIPTS, [row["sid"] for row in found.messages])
    found.attempts = await _last(found, sql, ATTEMPTS.format(scope=inside), sid)
    # Of a message that was removed, the attempts still tell that there was one.
    about = {row["sid"] for row in found.messages}
    about |= {row["message_sid"] for row in found.attempts if row["message_sid"] is not None}
    found.decisions = await _last(found, sql, DECIDED_ON, sorted(about))
    found.dead = await _last(found, sql, DEAD, sid, None)


async def _waiting(sql: asyncpg.Connection, found: Found) -> None:
    lanes = {
        f"d:{row['account_sid']} {row['proxy_address']}:{row['address']}"
        for row in found.receipts
        if row["status"] == "queued"
    }
    forwarded = {
        row["received_at"]: f"h:sender:{row['proxy_address']}:{row['address']}"
        for row in found.decisions
        if row["outcome"] == "forwarded"
    }
    lanes |= set(forwarded.values())
    tried = [row["seq"] for row in found.attempts]
    waiting = await _last(
        found, sql, WAITING, found.conversation_sid, found.message_sid, sorted(lanes), tried
    )
    # A forwarded message has no SID of ours: its item was made at the moment of the decision.
    found.waiting = [row for row in waiting if not forwarded or row["created_at"] in forwarded]


async def _last(
    found: Found, sql: asyncpg.Connection, statement: str, of: Any, *more: Any
) -> list[Row]:
    """The last rows of one kind; notes when there are more."""
    rows: Sequence[Row] = await sql.fetch(statement, of, ENTRIES_MAX + 1, *more)
    found.more |= len(rows) > ENTRIES_MAX
    return list(rows[:ENTRIES_MAX])
