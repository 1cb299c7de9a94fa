"""A webhook that is attached late is told of the messages that were there before it ("Conversation
Scoped Webhook Resource", ReplayAfter).

They are put into its lane in its own transaction: up to where the conversation has come, and then,
under the conversation's lock, what was added meanwhile. Messages after that find the webhook there:
no gap, no repeat, and in order.
"""

from __future__ import annotations

from app.model import Conversation, ScopedWebhook
from app.model.outbox import HOOK
from app.settings.models import Settings
from app.store import messages, outbox, webhooks
from app.store.database import Tx
from app.store.slices import Slice
from app.webhooks import events, tell

BATCH_MAX = 500  # messages in memory at once


async def replay(
    tx: Tx, settings: Settings, conversation: Conversation, webhook: ScopedWebhook, index: int
) -> int:
    """Tell a webhook that nobody else knows yet of the messages from this index on; gives the
    index that comes next."""
    targets = {conversation.sid: (webhooks.of_scoped(webhook),)}
    more = True
    while more:
        wanted = Slice(BATCH_MAX, (index - 1,))
        rows = await messages.page(tx, conversation.sid, wanted, descending=False)
        more, batch = len(rows) > BATCH_MAX, rows[:BATCH_MAX]
        media = await messages.media(tx, [message.sid for message in batch])
        added = [
            events.message_added(conversation, message, media[message.sid], message.source)
            for message in batch
        ]
        told = tell.items(added, targets, settings)
        await outbox.add(tx.sql, told, tx.now)
        if told:
            tx.rings.add(HOOK)
        index = batch[-1].index + 1 if batch else index
    return index
