"""Questions about messages and their media. A message comes into being on the road alone."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, select, update
from sqlmodel import SQLModel

from app import ids
from app.model import Media, Message
from app.model.traffic import Inbound
from app.store import changes, conversations
from app.store.database import Tx
from app.store.slices import Key, Slice, cut

MESSAGES = SQLModel.metadata.tables["messages"]
MEDIA = SQLModel.metadata.tables["media"]
M = MESSAGES.c

INBOUNDS = """
SELECT message_sid, carrier, external_id, address, proxy_address FROM decisions
WHERE message_sid = ANY ($1::text[]) AND outcome <> 'duplicate'
"""

EDITABLE = {
    "author",
    "participant_sid",
    "body",
    "subject",
    "attributes",
    "date_created",
    "date_updated",
}


async def find(tx: Tx, conversation_sid: str, sid: str) -> Message | None:
    """The message of this conversation with this SID."""
    if not ids.is_sid(sid, ids.MESSAGE):
        return None
    named = M.sid == ids.lowered(sid)
    inside = M.conversation_sid == conversation_sid
    return await tx.first(Message, select(MESSAGES).where(inside, named))


async def page(tx: Tx, conversation_sid: str, wanted: Slice, *, descending: bool) -> list[Message]:
    """A slice of the messages of a conversation, by index."""
    inside = select(MESSAGES).where(M.conversation_sid == conversation_sid)
    return await tx.every(Message, cut(inside, (M.index,), wanted, descending=descending))


def key(message: Message) -> Key:
    """Its place in `page`."""
    return (message.index,)


async def media(tx: Tx, message_sids: Sequence[str]) -> dict[str, list[Media]]:
    """The media of these messages, in their order."""
    of = MEDIA.c.message_sid.in_(message_sids)
    statement = select(MEDIA).where(of).order_by(MEDIA.c.message_sid, MEDIA.c.position)
    found: dict[str, list[Media]] = {sid: [] for sid in message_sids}
    for item in await tx.every(Media, statement):
        found[item.message_sid or ""].append(item)
    return found


async def inbounds(tx: Tx, message_sids: Sequence[str]) -> dict[str, Inbound]:
    """What carriers brought these messages as, by SID, while the decisions on them are kept;
    without channel and content, which the messages have."""
    rows = await tx.sql.fetch(INBOUNDS, message_sids)
    return {
        row["message_sid"]: Inbound(
            row["carrier"], row["external_id"], "", row["address"], row["proxy_address"]
        )
        for row in rows
    }


async def write(tx: Tx, message: Message) -> None:
    """Keep an edit."""
    changed = message.model_dump(include=EDITABLE)
    await tx.run(update(MESSAGES).where(M.sid == message.sid).values(changed))
    await changes.note(tx, message, "updated")


async def remove(tx: Tx, message: Message) -> int:
    """Delete a message of a locked conversation with its media and receipts; gives how many there
    were."""
    gone = await tx.run(delete(MESSAGES).where(M.sid == message.sid))
    if gone:
        await changes.note(tx, message, "removed")
        await conversations.shrink(tx, message.conversation_sid)
    return gone
