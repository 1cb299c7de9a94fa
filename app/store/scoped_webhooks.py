"""Questions about the webhooks of one conversation; they change under its lock."""

from __future__ import annotations

from sqlalchemy import delete, select, update
from sqlmodel import SQLModel

from app import ids
from app.model import ScopedWebhook
from app.store.database import Tx
from app.store.slices import Key, Slice, cut

WEBHOOKS = SQLModel.metadata.tables["scoped_webhooks"]
W = WEBHOOKS.c

CHANGEABLE = {"url", "method", "filters", "triggers", "flow_sid", "echo", "payload"}
CHANGEABLE |= {"date_updated"}
COUNT = "SELECT count(*) FROM scoped_webhooks WHERE conversation_sid = $1"


async def find(tx: Tx, conversation_sid: str, sid: str) -> ScopedWebhook | None:
    """The webhook of this conversation with this SID."""
    if not ids.is_sid(sid, ids.WEBHOOK):
        return None
    named = W.sid == ids.lowered(sid)
    inside = W.conversation_sid == conversation_sid
    return await tx.first(ScopedWebhook, select(WEBHOOKS).where(inside, named))


async def page(tx: Tx, conversation_sid: str, wanted: Slice) -> list[ScopedWebhook]:
    """A slice of the webhooks of a conversation, in the order in which they were made."""
    inside = select(WEBHOOKS).where(W.conversation_sid == conversation_sid)
    return await tx.every(ScopedWebhook, cut(inside, (W.sid,), wanted))


def key(webhook: ScopedWebhook) -> Key:
    """Its place in `page`."""
    return (webhook.sid,)


async def count(tx: Tx, conversation_sid: str) -> int:
    """How many webhooks a conversation has."""
    found: int = await tx.sql.fetchval(COUNT, conversation_sid)
    return found


async def write(tx: Tx, webhook: ScopedWebhook) -> None:
    """Keep what changed."""
    changed = webhook.model_dump(include=CHANGEABLE)
    await tx.run(update(WEBHOOKS).where(W.sid == webhook.sid).values(changed))


async def remove(tx: Tx, sid: str) -> int:
    """Delete a webhook; gives how many there were."""
    return await tx.run(delete(WEBHOOKS).where(W.sid == sid))
