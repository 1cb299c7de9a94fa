"""What is about to happen, in the exact parameters of the original's pre-events (Conversations
Webhooks page): those of the post-event, less what is not there yet.

The rows are as they will be when nobody objects; nothing of them is kept. A SID that an event does
not say may be known all the same (`Event.conversation_sid`): the log names it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, get_args

from app.model import Conversation, Media, Message, Participant, User
from app.model.traffic import Inbound
from app.settings.types import PreEvent
from app.webhooks import events
from app.webhooks.events import Event
from app.webhooks.origin import Origin

PRE_EVENTS = frozenset(get_args(PreEvent))
OF_CONVERSATIONS = ("friendly_name",)
OF_MESSAGES = ("body", "author", "attributes")
MODIFIABLE: Mapping[str, Sequence[str]] = {
    "onConversationAdd": OF_CONVERSATIONS,
    "onConversationUpdate": OF_CONVERSATIONS,
    "onMessageAdd": OF_MESSAGES,
    "onMessageUpdate": OF_MESSAGES,
}
"""What the answer may change, by event; nothing of all others."""

NOT_YET = ("ConversationSid", "DateUpdated")
SAID_FIRST = {"Body": "MessageBody", "Media": "Media"}


def conversation_add(
    conversation: Conversation,
    origin: Origin,
    pair: Participant | None = None,
    first: Message | None = None,
    media: Sequence[Media] = (),
    group: Inbound | None = None,
) -> Event:
    """A conversation shall be created; where a message creates it, by this pair or group text and
    with what that message says."""
    added = events.conversation_added(conversation, origin, pair, group=group)
    said = {} if first is None else events.message_added(conversation, first, media, origin).params
    more = {name: said[key] for key, name in SAID_FIRST.items() if key in said}
    return _before("onConversationAdd", added, NOT_YET, more)


def conversation_update(conversation: Conversation, origin: Origin) -> Event:
    """Something of a conversation shall change, into this."""
    return _before("onConversationUpdate", events.conversation_updated(conversation, origin))


def conversation_remove(conversation: Conversation, origin: Origin) -> Event:
    """A conversation shall go."""
    removed = events.conversation_removed(conversation, origin, conversation.date_updated)
    return _before("onConversationRemove", removed, ("DateRemoved",))


def message_add(
    conversation: Conversation, message: Message, media: Sequence[Media], origin: Origin
) -> Event:
    """A message shall be added."""
    added = events.message_added(conversation, message, media, origin)
    without = ("MessageSid", "Index", "DateCreated", "MessagingServiceSid")
    return replace(_before("onMessageAdd", added, without), message_sid=message.sid or None)


def message_update(
    conversation: Conversation, message: Message, media: Sequence[Media], origin: Origin
) -> Event:
    """A message shall be edited, into this."""
    updated = events.message_updated(conversation, message, media, origin)
    return _before("onMessageUpdate", updated)


def message_remove(
    conversation: Conversation, message: Message, media: Sequence[Media], origin: Origin
) -> Event:
    """A message shall be deleted."""
    at = message.date_updated
    removed = events.message_removed(conversation, message, media, origin, at)
    return _before("onMessageRemove", removed, ("DateRemoved",))


def participant_add(participant: Participant, origin: Origin) -> Event:
    """Somebody shall join."""
    added = events.participant_added(participant, origin)
    return _before("onParticipantAdd", added, ("ParticipantSid", "DateCreated"))


def participant_update(participant: Participant, origin: Origin) -> Event:
    """Something of a participant shall change, into this."""
    updated = events.participant_updated(participant, origin)
    return _before("onParticipantUpdate", updated, ("LastReadMessageIndex",))


def participant_remove(participant: Participant, origin: Origin) -> Event:
    """Somebody shall leave."""
    removed = events.participant_removed(participant, origin, participant.date_updated)
    return _before("onParticipantRemove", removed, ("DateRemoved",))


def user_update(user: User, origin: Origin) -> Event:
    """Something of a user shall change, into this."""
    return _before("onUserUpdate", events.user_updated(user, origin))


def _before(
    name: str, after: Event, without: Collection[str] = (), more: Mapping[str, Any] | None = None
) -> Event:
    """The pre-event of a post-event."""
    kept = {key: value for key, value in after.params.items() if key not in without}
    params = kept | {"EventType": name} | dict(more or {})
    return replace(after, name=name, params=params)
