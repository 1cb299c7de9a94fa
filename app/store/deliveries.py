"""What a delivery needs, and the receipts that it moves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

import asyncpg
import orjson

from app.model import Receipt
from app.model.parts import restored
from app.model.traffic import ContentTemplate, MediaPart, Status, Thread
from app.store import changes, standing
from app.store.contents import TEMPLATE_OF, template
from app.store.outbox import Claimed
from app.store.standing import NEWCOMER, Standing

ANSWERED_MAX = 200
"""How many messages back in a conversation a mail looks for the one that it answers."""

THREAD_OF = f"""
  (SELECT json_build_array(r.participant_sid, m.subject, c.friendly_name, c.email_name,
     (SELECT json_build_array(p.channel_metadata -> 'data' -> 'context' -> 'MessageId', p.subject)
      FROM messages p
      WHERE p.conversation_sid = m.conversation_sid AND p.index < m.index
        AND p.index >= m.index - {ANSWERED_MAX} AND p.participant_sid = r.participant_sid
        AND p.source = 'EMAIL'
      ORDER BY p.index DESC LIMIT 1))
   FROM conversations c WHERE c.sid = r.conversation_sid)"""

PARCELS = f"""
SELECT r.sid, r.channel, r.address, r.proxy_address, r.carrier, r.external_id, r.status,
  CASE WHEN r.channel = 'email' THEN {THREAD_OF}::text END AS thread,
  r.parts::text AS parts, m.body, m.date_created,
  json_build_array({standing.columns("r")})::text AS standing,
  (SELECT json_agg(json_build_array(coalesce(f.source_url, ''), f.content_type, f.size,
                   f.filename, CASE WHEN f.status IN ('stored', 'pending') THEN f.sid END,
                   f.status = 'pending')
                   ORDER BY f.position) FROM media f WHERE f.message_sid = m.sid)::text AS media,
  CASE WHEN m.content_sid IS NOT NULL THEN {TEMPLATE_OF} END AS content, m.content_variables
FROM receipts r JOIN messages m ON m.sid = r.message_sid
WHERE r.sid = ANY ($1::text[])
"""

PLACES = """
SELECT sid, conversation_sid, NULL AS carrier, NULL AS external_id
FROM receipts WHERE sid = ANY ($1::text[])
UNION ALL
SELECT r.sid, r.conversation_sid, r.carrier, r.external_id
FROM unnest($2::text[], $3::text[]) AS s (carrier, external_id)
JOIN receipts r ON r.carrier = s.carrier AND r.external_id = s.external_id
UNION ALL
SELECT r.sid, r.conversation_sid, r.carrier, s.external_id
FROM unnest($2::text[], $3::text[]) AS s (carrier, external_id)
JOIN receipts r ON r.parts @> jsonb_build_array(jsonb_build_object('id', s.external_id))
  AND r.carrier = s.carrier
"""

LOCK = """
SELECT sid FROM conversations WHERE sid = ANY ($1::text[]) ORDER BY sid FOR NO KEY UPDATE
"""

ROWS = "SELECT * FROM receipts WHERE sid = ANY ($1::text[])"

TOGETHER = """
SELECT s.* FROM receipts r
JOIN receipts s ON s.message_sid = r.message_sid AND s.proxy_address = r.proxy_address
WHERE r.sid = ANY ($1::text[])
"""

TOUCH = """
WITH touched AS (
  UPDATE conversations SET revision = revision + 1 WHERE sid = ANY ($1::text[])
  RETURNING sid, chat_service_sid, revision
)
INSERT INTO changes (conversation_sid, revision, thing_sid, chat_service_sid, kind, stamp)
SELECT t.sid, t.revision, m.sid, t.chat_service_sid, 'updated', $4
FROM unnest($2::text[], $3::text[]) AS m (sid, conversation_sid)
JOIN touched t ON t.sid = m.conversation_sid COLLATE "C"
"""

MOVE = """
UPDATE receipts r SET status = n.status, error_code = n.error_code,
  error_message = n.error_message, external_id = n.external_id, parts = n.parts,
  dropped = n.dropped, channel_message_sid = n.channel_message_sid, date_updated = $2
FROM json_to_recordset($1::text::json) AS n (
  sid text, status text, error_code int, error_message text, external_id text, parts jsonb,
  dropped text, channel_message_sid text)
WHERE r.sid = n.sid COLLATE "C"
"""

# The lane first, as whoever settles does. All receipts of a group text are those of one send.
REROUTE = """
WITH ours AS (SELECT lane FROM lanes WHERE lane = $1 AND lease = $2 FOR UPDATE)
UPDATE receipts SET carrier = $6
WHERE message_sid = $3 AND proxy_address = $4 AND ($5::text IS NULL OR sid = $5)
  AND status = 'queued' AND external_id IS NULL AND EXISTS (SELECT FROM ours)
RETURNING sid
"""

# The lane first, as whoever settles does.
NOTE_INSTEAD = """
WITH ours AS (SELECT lane FROM lanes WHERE lane = $1 AND lease = $2 FOR UPDATE)
UPDATE outbox SET params = nullif(
  coalesce(params, '{}') - 'instead' || jsonb_strip_nulls(jsonb_build_object('instead', $4::text)),
  '{}')
WHERE lane = $1 AND seq = $3 AND EXISTS (SELECT FROM ours)
"""

OTHERS = """
SELECT external_id FROM receipts
WHERE carrier = $1 AND external_id = ANY ($2::text[]) AND sid <> $3
  AND external_id IS DISTINCT FROM (SELECT own.external_id FROM receipts own WHERE own.sid = $3)
UNION ALL
SELECT s.external_id FROM unnest($2::text[]) AS s (external_id)
JOIN receipts r ON r.parts @> jsonb_build_array(jsonb_build_object('id', s.external_id))
  AND r.carrier = $1
WHERE s.external_id IS DISTINCT FROM
  (SELECT own.parts -> $4::int ->> 'id' FROM receipts own WHERE own.sid = $3)
"""

KEEP_EARLY = """
INSERT INTO early_statuses AS e (carrier, external_id, status, error_code, received_at)
SELECT DISTINCT ON (carrier, external_id) carrier, external_id, status, error_code, $5
FROM unnest($1::text[], $2::text[], $3::text[], $4::int[])
  AS s (carrier, external_id, status, error_code)
ORDER BY carrier, external_id, array_position($6::text[], status) DESC
ON CONFLICT (carrier, external_id)
DO UPDATE SET status = excluded.status, error_code = excluded.error_code
WHERE array_position($6, excluded.status) > array_position($6, e.status)
"""

TAKE_EARLY = """
DELETE FROM early_statuses e USING unnest($1::text[], $2::text[]) AS s (carrier, external_id)
WHERE e.carrier = s.carrier AND e.external_id = s.external_id
  AND e.carrier = ANY ($1::text[]) AND e.external_id = ANY ($2::text[])
RETURNING e.carrier, e.external_id, e.status, e.error_code
"""

RIPE_EARLY = """
SELECT e.carrier, e.external_id, e.status, e.error_code FROM early_statuses e
WHERE e.received_at > $1
  AND EXISTS (SELECT FROM receipts r
              WHERE r.carrier = e.carrier AND r.external_id = e.external_id)
UNION
SELECT e.carrier, e.external_id, e.status, e.error_code FROM early_statuses e
WHERE e.received_at > $1
  AND EXISTS (SELECT FROM receipts r
              WHERE r.parts @> jsonb_build_array(jsonb_build_object('id', e.external_id))
                AND r.carrier = e.carrier)
LIMIT 500
"""

External = tuple[str, str]
ORDER = ("queued", "sent", "delivered", "read", "undelivered", "failed")
"""Statuses in the order in which a receipt moves; an early one is kept only if it is further."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """What goes to one recipient, what is known of it already, and how they stand to the sender. Of
    what takes several messages, the `part` that is to go now, with its own channel, text, files and
    id; `status` is that of all, and `whole` what they are parts of."""

    channel: str
    address: str
    proxy_address: str
    carrier: str
    external_id: str | None
    status: str
    body: str | None
    date_created: datetime
    media: tuple[MediaPart, ...]
    template: ContentTemplate | None = None
    standing: Standing = NEWCOMER
    thread: Thread | None = None
    part: int | None = None
    whole: Parcel | None = None


async def parcels(sql: asyncpg.Connection, items: Sequence[Claimed]) -> Mapping[int, Parcel]:
    """The parcels of these items by their place; a receipt that is gone has none."""
    rows = {row["sid"]: row for row in await sql.fetch(PARCELS, [i.receipt_sid for i in items])}
    found = ((item, rows.get(item.receipt_sid)) for item in items)
    return {item.seq: _parcel(row, item.part) for item, row in found if row is not None}


async def places(
    sql: asyncpg.Connection, sids: Iterable[str], externals: Iterable[External]
) -> tuple[dict[str, str], dict[External, str]]:
    """The conversation of each receipt, and the receipt of each carrier's id, as far as known."""
    pairs = sorted(set(externals))
    rows = await sql.fetch(
        PLACES, sorted(set(sids)), [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    )
    found = {(row["carrier"], row["external_id"]): row["sid"] for row in rows if row["carrier"]}
    return {row["sid"]: row["conversation_sid"] for row in rows}, found


async def others(
    sql: asyncpg.Connection, carrier: str, externals: Sequence[str], receipt_sid: str, part: int
) -> set[str]:
    """Which of these ids of a carrier are known to be sends of other receipts, or of other parts,
    and not of this one as well: a group text is one send for several."""
    rows = await sql.fetch(OTHERS, carrier, externals, receipt_sid, part)
    return {row["external_id"] for row in rows}


async def reroute(sql: asyncpg.Connection, item: Claimed, parcel: Parcel, carrier: str) -> bool:
    """From now on this goes by another carrier; says whether it does: the lease still holds, and
    nobody has told what became of it."""
    one = None if "to" in (item.params or {}) else item.receipt_sid
    lane = (item.lane, item.lease, item.message_sid, parcel.proxy_address, one, carrier)
    changed = await sql.fetch(REROUTE, *lane)
    return item.receipt_sid in {row["sid"] for row in changed}


async def note_instead(sql: asyncpg.Connection, item: Claimed, instead: str | None) -> bool:
    """Note what this attempt sends a template in the place of (None: it sends none), for whoever
    has to say what went; says whether the lease still holds."""
    noted: str = await sql.execute(NOTE_INSTEAD, item.lane, item.lease, item.seq, instead)
    return noted == "UPDATE 1"


async def lock(sql: asyncpg.Connection, conversations: Iterable[str]) -> None:
    """Lock these conversations in the order of their SIDs."""
    await sql.execute(LOCK, sorted(set(conversations)))


async def rows(sql: asyncpg.Connection, sids: Iterable[str]) -> dict[str, Receipt]:
    """The receipts, read under their conversations' locks."""
    return {row["sid"]: _receipt(row) for row in await sql.fetch(ROWS, sorted(set(sids)))}


async def together(sql: asyncpg.Connection, sids: Iterable[str]) -> dict[str, Receipt]:
    """The receipts of the same messages, these included: of group texts, those of one send."""
    return {row["sid"]: _receipt(row) for row in await sql.fetch(TOGETHER, sorted(set(sids)))}


async def move(sql: asyncpg.Connection, receipts: Sequence[Receipt], now: datetime) -> None:
    """Write receipts that changed, and say so in the revision of their conversations."""
    if not receipts:
        return
    columns = ("sid", "status", "error_code", "error_message", "external_id", "parts", "dropped")
    changed = [
        {
            **{name: getattr(receipt, name) for name in columns},
            "channel_message_sid": receipt.channel_message_sid,
        }
        for receipt in receipts
    ]
    await sql.execute(MOVE, orjson.dumps(changed).decode(), now)
    of = {receipt.message_sid: receipt.conversation_sid for receipt in receipts}
    conversations = sorted(set(of.values()))
    await sql.execute(TOUCH, conversations, list(of), list(of.values()), changes.stamp(now))


async def keep_early(sql: asyncpg.Connection, statuses: Sequence[Status], now: datetime) -> None:
    """Keep statuses whose send we know nothing of yet."""
    told = sorted(
        (status for status in statuses if status.status is not None),
        key=lambda status: (status.carrier, status.external_id),
    )
    if told:
        columns: list[list[Any]] = [
            [status.carrier for status in told],
            [status.external_id for status in told],
            [status.status for status in told],
            [status.error_code for status in told],
        ]
        await sql.execute(KEEP_EARLY, *columns, now, list(ORDER))


async def take_early(sql: asyncpg.Connection, externals: Sequence[External]) -> list[Status]:
    """What carriers said of these sends before we knew them."""
    if not externals:
        return []
    found = await sql.fetch(
        TAKE_EARLY, [pair[0] for pair in externals], [pair[1] for pair in externals]
    )
    return [Status(*row) for row in found]


async def ripe_early(sql: asyncpg.Connection, since: datetime) -> list[Status]:
    """Early statuses, received since then, whose send is known by now (both were under way at
    once, in two processes); at most 500."""
    return [Status(*row) for row in await sql.fetch(RIPE_EARLY, since)]


def _receipt(row: Any) -> Receipt:
    values = dict(row)
    if values["parts"] is not None:
        values["parts"] = orjson.loads(values["parts"])
    return cast(Receipt, SimpleNamespace(**values))


def _parcel(row: Any, at: int) -> Parcel:
    whole = _whole(row)
    if row["parts"] is None:
        return whole
    outcome = orjson.loads(row["parts"])[at]
    part = restored(outcome)
    body, media = part.of(whole.body, whole.media)
    name = outcome["id"]
    return replace(
        whole, channel=part.channel, external_id=name, body=body, media=media, part=at, whole=whole
    )


def _whole(row: Any) -> Parcel:
    media = tuple(MediaPart(*part) for part in orjson.loads(row["media"] or "[]"))
    return Parcel(
        channel=row["channel"],
        address=row["address"],
        proxy_address=row["proxy_address"],
        carrier=row["carrier"],
        external_id=row["external_id"],
        status=row["status"],
        body=row["body"],
        date_created=row["date_created"],
        media=media,
        template=template(row["content"], row["content_variables"]),
        standing=standing.standing(*orjson.loads(row["standing"])),
        thread=_thread(row["thread"]),
    )


def _thread(said: str | None) -> Thread | None:
    if said is None:
        return None
    name, subject, topic, sender_name, answered = orjson.loads(said)
    return Thread(name, subject, topic, sender_name, *(answered or ()))
