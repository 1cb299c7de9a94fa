"""Channels of Programmable Chat's v3 ("Chat Channel Migration Resource"): a conversation under its
former name. All are private, as after their migration."""

from __future__ import annotations

from typing import Any

from app.api import parameters as kinds
from app.api.call import Call, takes
from app.api.conversations import MESSAGING_SERVICE_SID
from app.api.parent import locked, named
from app.clock import iso_seconds
from app.model import Conversation
from app.store import conversations, participants
from app.webhooks import events

PATH = "/Services/{ChatServiceSid}/Channels/{Sid}"
TYPE = kinds.choice("Type", {"private": "private"}, 50393, "Type value should be 'private'")


@takes(TYPE, MESSAGING_SERVICE_SID)
async def update(call: Call) -> dict[str, Any]:
    """Make a channel private, which it is, and give it a messaging service."""
    async with call.begin() as (tx, scope):
        sid = (await named(call, tx, scope, "Sid")).sid
        form = call.form
        conversation = await locked(call, tx, sid)
        if MESSAGING_SERVICE_SID in form:
            conversation.messaging_service_sid = form[MESSAGING_SERVICE_SID]
            conversation.date_updated = tx.now
            await conversations.write(tx, conversation)
            await call.tell(tx, events.conversation_updated(conversation, call.origin))
        members = (await participants.count(tx, sid)).total
    return show(conversation, members, call)


def show(conversation: Conversation, members: int, call: Call) -> dict[str, Any]:
    """The resource."""
    c = conversation
    return {
        "sid": c.sid,
        "account_sid": c.account_sid,
        "service_sid": c.chat_service_sid,
        "friendly_name": c.friendly_name,
        "unique_name": c.unique_name,
        "attributes": c.attributes,
        "type": "private",
        "date_created": iso_seconds(c.date_created),
        "date_updated": iso_seconds(c.date_updated),
        "created_by": c.created_by,
        "members_count": members,
        "messages_count": c.message_count - c.removed_count,
        "messaging_service_sid": c.messaging_service_sid,
        "url": f"{call.links.host}/v3/Services/{c.chat_service_sid}/Channels/{c.sid}",
    }
