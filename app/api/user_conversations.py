"""User conversations ("User Conversation Resource"): the conversations that a user is in, seen from
its side."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from app.api import parameters as kinds
from app.api.call import Call, takes
from app.api.conversations import show_timers
from app.api.forms import Form
from app.api.grouping import regroup, settle
from app.api.page import Listing
from app.api.parent import locked, writable
from app.api.parent import named as parent
from app.api.reading import LAST_READ_INDEX, LAST_READ_TIMESTAMP, read, unread
from app.api.users import named
from app.clock import iso_seconds
from app.model import Conversation, Participant, User
from app.store import bindings, conversations, memberships, participants
from app.store.database import Tx
from app.store.memberships import Membership
from app.store.scope import Scope
from app.webhooks import events, proposals
from app.webhooks.events import Event

LEVELS = {level: level for level in ("default", "muted")}
NOTIFICATION_LEVEL = kinds.choice("NotificationLevel", LEVELS, 50210, "Invalid notification level")

LISTING = Listing("conversations", (str, str))


@takes()
async def page(call: Call) -> dict[str, Any]:
    """The conversations that a user is in, closed ones too, in the order of their SIDs."""
    async with call.begin() as (tx, scope):
        user = await named(call, tx, scope, "UserSid")
        wanted = call.wanted(LISTING)
        rows = await memberships.of_identity(tx, scope, user.identity, wanted.slice)
        beyond = await memberships.beyond(tx, rows, memberships.LISTED_MAX)
    return wanted.answer(rows, memberships.key, partial(show, user=user, call=call, beyond=beyond))


@takes()
async def fetch(call: Call) -> dict[str, Any]:
    """One conversation of a user."""
    async with call.begin() as (tx, scope):
        user = await named(call, tx, scope, "UserSid")
        conversation = await parent(call, tx, scope)
        membership = await _membership(call, tx, conversation, user)
        beyond = await memberships.beyond(tx, [membership])
    return show(membership, user, call, beyond)


async def _updating(call: Call, tx: Tx, scope: Scope) -> list[Event]:
    participant = await _member(call, tx, scope)
    _apply(participant, call.form, tx.now)
    return [proposals.participant_update(participant, call.origin)]


@takes(NOTIFICATION_LEVEL, LAST_READ_TIMESTAMP, LAST_READ_INDEX, asks=_updating)
async def update(call: Call) -> dict[str, Any]:
    """Mute a conversation for a user, or move its read horizon there."""
    async with call.begin() as (tx, scope):
        user = await named(call, tx, scope, "UserSid")
        found = await parent(call, tx, scope)
        await _membership(call, tx, found, user)
        form = call.form
        conversation = await locked(call, tx, found.sid)
        membership = await _membership(call, tx, conversation, user)
        participant = membership.participant
        _apply(participant, form, tx.now)
        await participants.write(tx, participant)
        await conversations.touch(tx, conversation.sid)
        await call.tell(tx, events.participant_updated(participant, call.origin))
        beyond = await memberships.beyond(tx, [membership])
    return show(membership, user, call, beyond)


async def _removing(call: Call, tx: Tx, scope: Scope) -> list[Event]:
    return [proposals.participant_remove(await _member(call, tx, scope), call.origin)]


@takes(asks=_removing)
async def delete(call: Call) -> None:
    """A user leaves a conversation."""
    async with call.begin() as (tx, scope):
        user = await named(call, tx, scope, "UserSid")
        conversation = await parent(call, tx, scope)
        participant = (await _membership(call, tx, conversation, user)).participant
        await bindings.release(tx, participant.sid)
        group = await regroup(tx, participant, None, call.runtime.settings)
        conversation = await locked(call, tx, conversation.sid)
        if not await participants.remove(tx, participant.sid):
            raise call.missing()
        await settle(tx, conversation, group)
        await conversations.touch(tx, conversation.sid)
        await call.tell(tx, events.participant_removed(participant, call.origin, tx.now))


def show(
    membership: Membership, user: User, call: Call, beyond: Mapping[str, int]
) -> dict[str, Any]:
    """The resource; `beyond` is how many messages each has not read."""
    participant, conversation = membership
    links, limits = call.links, call.runtime.settings.limits
    url = links.conversation(conversation.sid)
    return {
        "account_sid": conversation.account_sid,
        "chat_service_sid": conversation.chat_service_sid,
        "conversation_sid": conversation.sid,
        "unread_messages_count": unread(membership, beyond, limits),
        "last_read_message_index": participant.last_read_message_index,
        "participant_sid": participant.sid,
        "user_sid": user.sid,
        "friendly_name": conversation.friendly_name,
        "conversation_state": conversation.state,
        "timers": show_timers(conversation),
        "attributes": conversation.attributes,
        "date_created": iso_seconds(conversation.date_created),
        "date_updated": iso_seconds(conversation.date_updated),
        "created_by": conversation.created_by,
        "notification_level": participant.notification_level,
        "unique_name": conversation.unique_name,
        "url": f"{links.tree}/Users/{user.sid}/Conversations/{conversation.sid}",
        "links": {
            "participant": f"{url}/Participants/{participant.sid}",
            "conversation": url,
        },
    }


async def _membership(call: Call, tx: Tx, conversation: Conversation, user: User) -> Membership:
    found = await participants.identified(tx, conversation.sid, user.identity)
    return Membership(call.found(found), conversation)


async def _member(call: Call, tx: Tx, scope: Scope) -> Participant:
    """The user's participant in the conversation that the path names, for a change of it."""
    user = await named(call, tx, scope, "UserSid")
    conversation = await parent(call, tx, scope)
    participant = (await _membership(call, tx, conversation, user)).participant
    writable(conversation)
    return participant


def _apply(participant: Participant, form: Form, now: datetime) -> None:
    """Set what was sent."""
    p = participant
    p.notification_level = form.get(NOTIFICATION_LEVEL, p.notification_level)
    read(p, form, now)
    p.date_updated = now
