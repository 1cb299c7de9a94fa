"""Who may join a conversation: a free pair, a role that is there, an identity that is not in too
many, and room ("Conversations Limits").

In the order of the locks: the pair is claimed first, then the user is locked, then the
conversation, then there must be room in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.errors import Conflict, Invalid, NotFound
from app.model import Conversation, Participant, User
from app.model.permissions import CONVERSATION
from app.rules import groups
from app.settings.models import Settings
from app.store import bindings, conversations, participants, roles, users
from app.store.bindings import Holder
from app.store.database import Tx
from app.store.scope import Scope

HELD = "A binding for this participant and proxy address already exists in Conversation"
ALL_HELD = "Participant and proxy address pairs for one or more participants already in use"


async def role(tx: Tx, scope: Scope, given: str | None) -> str | None:
    """The role of somebody who joins: the one given, else the service's default one. Raises
    NotFound 50109 when the service has no such conversation role."""
    if given is None:
        return await roles.default(tx, scope.service_sid)
    found = await roles.held(tx, scope.service_sid, given)
    if found is None or found.type != CONVERSATION:
        raise NotFound(50109, "Conversation role not found")
    return found.sid


async def claim(tx: Tx, participant: Participant) -> None:
    """Claim the participant's pair, if it has one. Raises Conflict 50416: who holds it is in
    `details`, and the conversation's SID ends the text, where callers read it."""
    if participant.proxy_address is None:
        return
    holder = await bindings.claim(tx, participant)
    if holder is not None:
        raise refuse_held(holder)


def refuse_held(holder: Holder, before: str = "") -> Conflict:
    """50416, as `claim` raises it; what comes before its words."""
    return Conflict(50416, f"{before}{HELD} {holder.conversation_sid}", _held(holder))


async def claim_all(tx: Tx, joining: Sequence[Participant]) -> None:
    """Claim the pairs of all who have one. Raises Conflict 50425: every pair that is not free, and
    who holds it, is in `details`; nobody holds one that two of them name."""
    external = [one for one in joining if one.proxy_address is not None]
    first: dict[tuple[str | None, str | None], Participant] = {}
    for one in external:
        first.setdefault((one.proxy_address, one.address), one)
    again = [one for one in external if one not in first.values()]
    held = await bindings.claim_all(tx, list(first.values()))
    conflicts = [_pair(one) | _held(None) for one in again]
    conflicts += [_pair(one) | _held(holder) for one, holder in held]
    if conflicts:
        raise Conflict(50425, ALL_HELD, {"conflicts": conflicts})


async def enrol(tx: Tx, scope: Scope, identity: str | None, settings: Settings) -> list[User]:
    """The user of an identity that joins, when it was not there and is made now. Raises Invalid
    50214 when it is in as many conversations that are not closed as may be."""
    if identity is None:
        return []
    most = settings.limits.conversations_per_identity_max
    user, new = await users.enrol(tx, scope, identity)
    if not new and await users.busy(tx, scope, identity, most):
        raise Invalid(50214, "User conversation limit exceeded")
    return [user] if new else []


async def check_room(
    tx: Tx, conversation: Conversation, participant: Participant, settings: Settings
) -> None:
    """Whether a locked conversation takes this participant. Raises Invalid 50373 (no messaging
    service), 50434, 50435 (groups and others do not mix), 50417, 50418 (too many), Conflict 50433
    (the identity is in it)."""
    external = participant.address is not None
    if participant.proxy_address is not None:
        await _check_messaging_service(tx, conversation, participant, settings)
    limits, count = settings.limits, await participants.count(tx, conversation.sid)
    members = count.grouped + groups.is_member(participant)
    groups.check_alike(participant, count.total + 1, members)
    if count.total >= limits.participants_max:
        raise Invalid(50417, "Participants limit exceeded")
    if external and count.external >= limits.participants_external_max:
        raise Invalid(50418, "Non-Chat participants limit exceeded")
    await check_new(tx, conversation, participant.identity)


async def check_new(tx: Tx, conversation: Conversation, identity: str | None) -> None:
    """Whether an identity is not in a locked conversation yet. Raises Conflict 50433."""
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


def _pair(participant: Participant) -> dict[str, Any]:
    return {"address": participant.address, "proxy_address": participant.proxy_address}


def _held(holder: Holder | None) -> dict[str, Any]:
    return {
        "conversation_sid": holder and holder.conversation_sid,
        "participant_sid": holder and holder.participant_sid,
        "state": holder and holder.state,
    }
