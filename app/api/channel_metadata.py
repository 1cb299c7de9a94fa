"""What the channel told about a message, as it was told (the message's `channel_metadata` link)."""

from __future__ import annotations

from typing import Any

from app.api.call import Call, takes
from app.api.parent import named
from app.errors import NotFound
from app.store import messages


@takes()
async def fetch(call: Call) -> dict[str, Any]:
    """The stored object. Raises NotFound 50530 when the channel told nothing."""
    async with call.begin() as (tx, scope):
        conversation = await named(call, tx, scope)
        found = await messages.find(tx, conversation.sid, call.key("MessageSid"))
        told = call.found(found).channel_metadata
    if told is None:
        raise NotFound(50530, "Channel Metadata not found")
    return told
