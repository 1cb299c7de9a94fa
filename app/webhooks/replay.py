"""A webhook that is attached late is told of the messages that were there before it ("Conversation
Scoped Webhook Resource", ReplayAfter).

They are put into its lane in its own transaction: up to where the conversation has come, and then,
under the conversation's lock, what was added meanwhile. Messages after that find the webhook there:
no gap, no repeat, and in order.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from app.model import Conversation, Media, Message, ScopedWebhook
from app.model.traffic import Inbound
from app.settings.models import Settings
from app.store import messages, outbox, webhooks
from app.store.database import Tx
from app.store.slices import Slice
from app.store.webhooks import Target
from app.webhooks import events, origin, tell

BATCH_MAX = 500  # messages in memory at once


async def replay(
    tx: Tx, settings: Settings, conversation: Conversation, webhook: ScopedWebhook, index: int
) -> int:
    """Tell a webhook that nobody else knows yet of the messages from this index on; gives the
    index that comes next."""
    target = await webhooks.of_scoped(tx, webhook)
    more = True
    while more:
        index, _, more = await batch(tx, settings, conversation, target, index, BATCH_MAX)
    return index


async def batch(
    tx: Tx, settings: Settings, conversation: Conversation, target: Target, index: int, limit: int
) -> tuple[int, int, bool]:
    """Put onMessageAdded of at most so many messages from this index on to the end of the target's
    lane, as far as it wants them, with tokens of their own. Gives the index that comes next, how
    many are told, and whether there are more messages."""
    wanted = Slice(limit, (index - 1,))
    rows = await messages.page(tx, conversation.sid, wanted, descending=False)
    more, found = len(rows) > limit, rows[:limit]
    media = await messages.media(tx, [message.sid for message in found])
    brought = await messages.inbounds(tx, list(media)) if target.enriched else {}
    added = [
        events.message_added(
            conversation,
            message,
            media[message.sid],
            origin.of(message.source),
            _inbound(message, media[message.sid], brought.get(message.sid)),
        )
        for message in found
    ]
    told = tell.items(added, {conversation.sid: (target,)}, settings, tx.now)
    await outbox.add(tx.sql, told, tx.now)
    tx.rings.update(item["kind"] for item in told)
    return (found[-1].index + 1 if found else index), len(told), more


def _inbound(message: Message, media: Sequence[Media], found: Inbound | None) -> Inbound | None:
    """With the channel that it came by: a text with files came as mms."""
    if found is None:
        return None
    channel = message.source.lower()
    return replace(found, channel="mms" if channel == "sms" and media else channel)
