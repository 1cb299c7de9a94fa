"""What is written down for connected clients of messages that change or go; participants' changes
are written by their table's trigger."""

from __future__ import annotations

from datetime import datetime

from app.model import Message
from app.store.database import Tx

# Before the conversation's revision grows, under its row lock.
NOTE = """
INSERT INTO changes (conversation_sid, revision, thing_sid, chat_service_sid, kind, index, stamp)
SELECT sid, revision + 1, $2, chat_service_sid, $3, $4, $5 FROM conversations WHERE sid = $1
ON CONFLICT (conversation_sid, revision, thing_sid) DO UPDATE SET kind = excluded.kind
"""


async def note(tx: Tx, message: Message, kind: str) -> None:
    """A message of a locked conversation was updated or removed; the revision grows afterwards."""
    values = (message.sid, kind, message.index, stamp(tx.now))
    await tx.sql.execute(NOTE, message.conversation_sid, *values)


def stamp(now: datetime) -> int:
    """Microseconds since 1970."""
    return int(now.timestamp() * 1_000_000)
