"""What a delivery needs, and the receipts that it moves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

import asyncpg
import orjson

from app.model import Receipt
from app.model.traffic import ContentTemplate, MediaPart, Status
from app.store import changes, standing
from app.store.contents import TEMPLATE_OF, template
from app.store.outbox import Claimed
from app.store.standing import NEWCOMER, Standing

PARCELS = f"""
SELECT r.sid, r.channel, r.address, r.proxy_address, r.carrier, r.external_id, r.status,
  m.body, m.date_created,
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
  error_message = n.error_message, external_id = n.external_id,
  channel_message_sid = n.channel_message_sid, date_updated = $2
FROM json_to_recordset($1::text::json) AS n (
  sid text, status text, error_code int, error_message text, external_id text,
  channel_message_sid text)
WHERE r.sid = n.sid COLLATE "C"
"""

OTHERS = """
SELECT external_id FROM receipts
WHERE carrier = $1 AND external_id = ANY ($2::text[]) AND sid <> $3
  AND external_id IS DISTINCT FROM (SELECT own.external_id FROM receipts own WHERE own.sid = $3)
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
RETURNING e.carrier, e.external_id, e.status, e.error_code
"""

RIPE_EARLY = """
SELECT e.carrier, e.external_id, e.status, e.error_code
FROM early_statuses e
WHERE e.received_at > $1
  AND EXISTS (SELECT FROM receipts r
              WHERE r.carrier = e.carrier AND r.external_id = e.external_id)
LIMIT 500
"""

External = tuple[str, str]
ORDER = ("queued", "sent", "delivered", "read", "undelivered", "failed")
"""Statuses in the order in which a receipt moves; an early one is kept only if it is further."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """What goes to one recipient, what is known of it already, and how they stand to the sender."""

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


async def parcels(sql: asyncpg.Connection, items: Sequence[Claimed]) -> Mapping[int, Parcel]:
    """The parcels of these items by their place; a receipt that is gone has none."""
    rows = {row["sid"]: row for row in await sql.fetch(PARCELS, [i.receipt_sid for i in items])}
    return {item.seq: _parcel(rows[item.receipt_sid]) for item in items if item.receipt_sid in rows}


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
    sql: asyncpg.Connection, carrier: str, externals: Sequence[str], receipt_sid: str | None
) -> set[str]:
    """Which of these ids of a carrier are known to be sends of other receipts, and not of this one
    as well: a group text is one send for several."""
    rows = await sql.fetch(OTHERS, carrier, externals, receipt_sid)
    return {row["external_id"] for row in rows}


async def lock(sql: asyncpg.Connection, conversations: Iterable[str]) -> None:
    """Lock these conversations in the order of their SIDs."""
    await sql.execute(LOCK, sorted(set(conversations)))


async def rows(sql: asyncpg.Connection, sids: Iterable[str]) -> dict[str, Receipt]:
    """The receipts, read under their conversations' locks."""
    found = await sql.fetch(ROWS, sorted(set(sids)))
    return {row["sid"]: cast(Receipt, SimpleNamespace(**row)) for row in found}


async def together(sql: asyncpg.Connection, sids: Iterable[str]) -> dict[str, Receipt]:
    """The receipts of the same messages, these included: of group texts, those of one send."""
    found = await sql.fetch(TOGETHER, sorted(set(sids)))
    return {row["sid"]: cast(Receipt, SimpleNamespace(**row)) for row in found}


async def move(sql: asyncpg.Connection, receipts: Sequence[Receipt], now: datetime) -> None:
    """Write receipts that changed, and say so in the revision of their conversations."""
    if not receipts:
        return
    columns = ("sid", "status", "error_code", "error_message", "external_id")
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


def _parcel(row: Any) -> Parcel:
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
    )
