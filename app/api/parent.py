"""The conversation that a path leads through, for everything that lies below one."""

from __future__ import annotations

from typing import cast

from app.api.call import Call
from app.api.errors import NOT_FOUND
from app.api.limits import CONVERSATION
from app.errors import NotFound
from app.model import Conversation
from app.model.conversations import State
from app.rules.conversations import check_writable
from app.store import conversations
from app.store.database import Tx
from app.store.scope import Scope


async def named(call: Call, tx: Tx, scope: Scope, segment: str = "ConversationSid") -> Conversation:
    """The conversation that a segment of the path names, by SID or unique name; a change of it, or
    below it, is counted. Raises TooMany."""
    conversation = call.found(await conversations.find(tx, scope, call.key(segment)))
    call.count(CONVERSATION, conversation.sid)
    return conversation


async def locked(call: Call, tx: Tx, sid: str) -> Conversation:
    """The conversation, locked for a change of it or below it; bindings were changed before.

    Raises NotFound when it is gone, Invalid 50377 (closed), Conflict 50386 (initializing).
    """
    return await lock(tx, sid, call.missing())


async def lock(tx: Tx, sid: str, missing: NotFound | None = None) -> Conversation:
    """The same where no path leads; raises `missing`, or NotFound, when it is gone."""
    conversation = await conversations.lock(tx, sid)
    if conversation is None:
        path = f"/Conversations/{sid}"
        raise missing or NotFound(NOT_FOUND, f"The requested resource {path} was not found")
    writable(conversation)
    return conversation


def writable(conversation: Conversation) -> None:
    """Raises Invalid 50377 (closed), Conflict 50386 (initializing)."""
    check_writable(cast(State, conversation.state))
