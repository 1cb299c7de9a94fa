"""Questions about receipts, for those who read them; deliveries write them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlmodel import SQLModel

from app import ids
from app.model import Receipt
from app.model.traffic import DeliveryStatus
from app.store.database import Tx
from app.store.slices import Key, Slice, cut

RECEIPTS = SQLModel.metadata.tables["receipts"]
R = RECEIPTS.c

STATUSES = "SELECT message_sid, status FROM receipts WHERE message_sid = ANY ($1::text[])"


async def find(tx: Tx, message_sid: str, sid: str) -> Receipt | None:
    """The receipt of this message with this SID."""
    if not ids.is_sid(sid, ids.RECEIPT):
        return None
    named = R.sid == ids.lowered(sid)
    return await tx.first(Receipt, select(RECEIPTS).where(R.message_sid == message_sid, named))


async def page(tx: Tx, message_sid: str, wanted: Slice) -> list[Receipt]:
    """A slice of the receipts of a message, in the order in which they were made."""
    inside = select(RECEIPTS).where(R.message_sid == message_sid)
    return await tx.every(Receipt, cut(inside, (R.sid,), wanted))


def key(receipt: Receipt) -> Key:
    """Its place in `page`."""
    return (receipt.sid,)


async def statuses(tx: Tx, message_sids: Sequence[str]) -> dict[str, list[DeliveryStatus]]:
    """The statuses of all receipts of these messages."""
    found: dict[str, list[DeliveryStatus]] = {sid: [] for sid in message_sids}
    for row in await tx.sql.fetch(STATUSES, message_sids):
        found[row["message_sid"]].append(row["status"])
    return found
