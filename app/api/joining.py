"""Who may join a conversation: a free pair, and room ("Conversations Limits").

In the order of the locks: the pair is claimed first, then the conversation is locked, then there
must be room in it.
"""

from __future__ import annotations

from app.errors import Conflict, Invalid
from app.model import Conversation, Participant
from app.settings.models import Settings
from app.store import bindings, conversations, participants
from app.store.database import Tx

HELD = "A binding for this participant and proxy address already exists in Conversation"


async def claim(tx: Tx, participant: Participant) -> None:
    """Claim the participant's pair. Raises Conflict 50416: who holds it is in `details`, and the
    conversation's SID ends the text, where callers read it."""
    holder = await bindings.claim(tx, participant)
    if holder is None:
        return
    raise Conflict(
        50416,
        f"{HELD} {holder.conversation_sid}",
        {
            "conversation_sid": holder.conversation_sid,
            "participant_sid": holder.participant_sid,
            "state": holder.state,
        },
    )


async def check_room(
    tx: Tx, conversation: Conversation, participant: Participant, settings: Settings
) -> None:
    """Whether a locked conversation takes this participant. Raises Invalid 50373 (no messaging
    service), 50417, 50418 (too many), Conflict 50433 (the identity is in it)."""
    external = participant.address is not None
    if external:
        await _check_messaging_service(tx, conversation, participant, settings)
    limits, count = settings.limits, await participants.count(tx, conversation.sid)
    if count.total >= limits.participants_max:
        raise Invalid(50417, "Participants limit exceeded")
    if external and count.external >= limits.participants_external_max:
        raise Invalid(50418, "Non-Chat participants limit exceeded")
    identity = participant.identity
    if identity is not None and await participants.identified(tx, conversation.sid, identity):
        raise Conflict(50433, "Participant already exists")


async def _check_messaging_service(
    tx: Tx, conversation: Conversation, participant: Participant, settings: Settings
) -> None:
    """The conversation's, the sender's or the account's default one."""
    if conversation.messaging_service_sid is not None:
        return
    sender = settings.sender(participant.proxy_address or "")
    if sender is not None and sender.messaging_service is not None:
        return
    if (await conversations.defaults(tx, conversation.account_sid)).messaging_service_sid is None:
        raise Invalid(50373, "No Messaging Service assigned to Conversation")
