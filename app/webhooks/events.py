"""What happened, in the exact parameters of the original's webhooks (Conversations Webhooks page).

All values are strings; absent optional values are omitted, not sent empty. `RetryCount` is added
with each attempt. What the original tells in event streams only is in `besides`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime
from typing import Any

import orjson

from app.channels.facts import binding_type
from app.clock import iso_millis
from app.model import Conversation, Media, Message, Participant, Receipt, User
from app.model.traffic import Inbound
from app.values import value
from app.webhooks import origin as origins
from app.webhooks.origin import Origin


@value(frozen=True, slots=True)
class Event:
    """One thing that happened in one conversation, or (without one) to one user. `params` are the
    original's; what enriched payloads add (app/webhooks/enriched.py) comes from the rest, what
    the event stream says more from `besides`."""

    name: str
    account_sid: str
    service_sid: str
    conversation_sid: str | None
    params: dict[str, str]
    origin: Origin
    message_sid: str | None = None
    user_sid: str | None = None
    inbound: Inbound | None = None
    besides: Mapping[str, str] = field(default_factory=dict)

    @property
    def within(self) -> str:
        """Where it happened, which says who is told: the conversation, else the service."""
        return self.conversation_sid or self.service_sid

    @property
    def about(self) -> str:
        """What its place in the order is kept for: the conversation, else the user."""
        return self.conversation_sid or self.user_sid or self.service_sid


def conversation_added(
    conversation: Conversation,
    origin: Origin,
    pair: Participant | None = None,
    message: Message | None = None,
    media: Sequence[Media] = (),
    group: Inbound | None = None,
) -> Event:
    """A conversation exists; with the pair and the message that created it, if a message did. A
    group text, which creates it by its numbers, is `group`."""
    besides = {
        "Bindings.Email.Address": conversation.email_address,
        "Bindings.Email.Name": conversation.email_name,
        "MessageBody": message.body if message else None,
        "MessageSubject": message.subject if message else None,
        "Media": _media(media),
    }
    binding = _pair(pair) if group is None else _group(group)
    return _of_conversation("onConversationAdded", conversation, origin, binding, besides)


def conversation_updated(conversation: Conversation, origin: Origin) -> Event:
    """Something of a conversation changed."""
    return _of_conversation("onConversationUpdated", conversation, origin, {})


def conversation_removed(conversation: Conversation, origin: Origin, at: datetime) -> Event:
    """A conversation is gone."""
    removed = {"DateRemoved": iso_millis(at)}
    return _of_conversation("onConversationRemoved", conversation, origin, removed)


def conversation_state_updated(
    conversation: Conversation, origin: Origin, old_state: str, reason: str, at: datetime
) -> Event:
    """A conversation changed its state; reason is API, TIMER or EVENT (a new message)."""
    params = {
        "MessagingServiceSid": conversation.messaging_service_sid,
        "Reason": reason,
        "StateFrom": old_state,
        "StateTo": conversation.state,
        "StateUpdated": iso_millis(at),
    }
    return _event("onConversationStateUpdated", conversation, conversation.sid, origin, params)


def participant_added(participant: Participant, origin: Origin) -> Event:
    """Somebody joined."""
    return _of_participant("onParticipantAdded", participant, origin, {})


def participant_updated(participant: Participant, origin: Origin) -> Event:
    """Something of a participant changed."""
    changed = {
        "DateUpdated": iso_millis(participant.date_updated),
        "LastReadMessageIndex": _number(participant.last_read_message_index),
    }
    return _of_participant("onParticipantUpdated", participant, origin, changed)


def participant_removed(participant: Participant, origin: Origin, at: datetime) -> Event:
    """Somebody left or was removed."""
    updated = iso_millis(participant.date_updated)
    removed = {"DateUpdated": updated, "DateRemoved": iso_millis(at)}
    return _of_participant("onParticipantRemoved", participant, origin, removed)


def message_added(
    conversation: Conversation,
    message: Message,
    media: Sequence[Media],
    origin: Origin,
    inbound: Inbound | None = None,
) -> Event:
    """A message is in the conversation; `inbound` is what a carrier brought it as."""
    added = {"MessagingServiceSid": conversation.messaging_service_sid}
    return _of_message("onMessageAdded", message, media, origin, added, inbound)


def message_updated(
    conversation: Conversation, message: Message, media: Sequence[Media], origin: Origin
) -> Event:
    """A message was edited."""
    changed = {"DateUpdated": iso_millis(message.date_updated)}
    return _of_message("onMessageUpdated", message, media, origin, changed)


def message_removed(
    conversation: Conversation,
    message: Message,
    media: Sequence[Media],
    origin: Origin,
    at: datetime,
) -> Event:
    """A message was deleted."""
    removed = {"DateUpdated": iso_millis(message.date_updated), "DateRemoved": iso_millis(at)}
    return _of_message("onMessageRemoved", message, media, origin, removed)


def delivery_updated(receipt: Receipt, status: str, error_code: int | None, at: datetime) -> Event:
    """A receipt moved on; one event per change and recipient."""
    params = {
        "MessageSid": receipt.message_sid,
        "DeliveryReceiptSid": receipt.sid,
        "ChannelMessageSid": receipt.channel_message_sid,
        "ParticipantSid": receipt.participant_sid,
        "Status": status,
        "ErrorCode": _number(error_code),
        "DateCreated": iso_millis(receipt.date_created),
        "DateUpdated": iso_millis(at),
    }
    return _event(
        "onDeliveryUpdated",
        receipt,
        receipt.conversation_sid,
        origins.carrier(receipt.channel),
        params,
        receipt.message_sid,
    )


def user_added(user: User, origin: Origin) -> Event:
    """A service has a new user."""
    return _of_user("onUserAdded", user, origin, {})


def user_updated(
    user: User, origin: Origin, online: bool | None = None, notifiable: bool | None = None
) -> Event:
    """Something of a user changed. `online` and `notifiable` are None where REST says null: the
    service shows no reachability, or the user never was."""
    changed = {
        "DateUpdated": iso_millis(user.date_updated),
        "isOnline": _truth(online),
        "isNotifiable": _truth(notifiable),
    }
    return _of_user("onUserUpdated", user, origin, changed)


def _of_conversation(
    name: str,
    conversation: Conversation,
    origin: Origin,
    more: Mapping[str, str | None],
    besides: Mapping[str, str | None] | None = None,
) -> Event:
    params = {
        "FriendlyName": conversation.friendly_name,
        "UniqueName": conversation.unique_name,
        "Attributes": conversation.attributes,
        "DateCreated": iso_millis(conversation.date_created),
        "DateUpdated": iso_millis(conversation.date_updated),
        "MessagingServiceSid": conversation.messaging_service_sid,
        "State": conversation.state,
        **more,
    }
    return _event(name, conversation, conversation.sid, origin, params, besides=besides)


def _of_participant(
    name: str, participant: Participant, origin: Origin, more: Mapping[str, str | None]
) -> Event:
    params = {
        "ParticipantSid": participant.sid,
        "DateCreated": iso_millis(participant.date_created),
        "Identity": participant.identity,
        "RoleSid": participant.role_sid,
        "Attributes": participant.attributes,
        "MessagingBinding.Type": _binding_type(participant),
        **_pair(participant),
        **more,
    }
    return _event(name, participant, participant.conversation_sid, origin, params)


def _of_message(
    name: str,
    message: Message,
    media: Sequence[Media],
    origin: Origin,
    more: Mapping[str, str | None],
    inbound: Inbound | None = None,
) -> Event:
    params = {
        "MessageSid": message.sid,
        "Index": _number(message.index),
        "DateCreated": iso_millis(message.date_created),
        "Body": message.body,
        "Author": message.author,
        "ParticipantSid": message.participant_sid,
        "Attributes": message.attributes,
        "Media": _media(media),
        **more,
    }
    besides = {"MessageSubject": message.subject, "ContentSid": message.content_sid}
    where, which = message.conversation_sid, message.sid
    return _event(name, message, where, origin, params, which, None, besides, inbound)


def _of_user(name: str, user: User, origin: Origin, more: Mapping[str, str | None]) -> Event:
    params = {
        "UserSid": user.sid,
        "DateCreated": iso_millis(user.date_created),
        "Identity": user.identity,
        "RoleSid": user.role_sid,
        "Attributes": user.attributes,
        "FriendlyName": user.friendly_name,
        **more,
    }
    return _event(name, user, None, origin, params, user_sid=user.sid)


def _event(
    name: str,
    row: Any,
    conversation_sid: str | None,
    origin: Origin,
    params: Mapping[str, str | None],
    message_sid: str | None = None,
    user_sid: str | None = None,
    besides: Mapping[str, str | None] | None = None,
    inbound: Inbound | None = None,
) -> Event:
    common = {
        "AccountSid": row.account_sid,
        "ChatServiceSid": row.chat_service_sid,
        "ConversationSid": conversation_sid,
        "EventType": name,
        "Source": origin.source,
        "ClientIdentity": origin.client_identity,
        **params,
    }
    return Event(
        name,
        row.account_sid,
        row.chat_service_sid,
        conversation_sid,
        _present(common),
        origin,
        message_sid,
        user_sid,
        inbound,
        _present(besides or {}),
    )


def _binding_type(participant: Participant) -> str:
    """Lower case, as it is on the wire. Who has an identity alone is there by chat; with a
    projected address, by group texts."""
    if participant.channel is not None:
        return binding_type(participant.channel)
    return "chat" if participant.projected_address is None else "sms"


def _present(said: Mapping[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in said.items() if value is not None}


def _pair(participant: Participant | None) -> dict[str, str | None]:
    if participant is None:
        return {}
    return {
        "MessagingBinding.Address": participant.address,
        "MessagingBinding.ProxyAddress": participant.proxy_address,
        "MessagingBinding.ProjectedAddress": participant.projected_address,
    }


def _group(inbound: Inbound) -> dict[str, str | None]:
    """Who wrote to whom ("Autocreation Webhooks for Group Texts")."""
    return {
        "MessagingBinding.Address": ",".join((inbound.proxy_address, *inbound.others)),
        "MessagingBinding.ProjectedAddress": inbound.proxy_address,
        "MessagingBinding.AuthorAddress": inbound.address,
    }


def _media(media: Sequence[Media]) -> str | None:
    if not media:
        return None
    described = [
        {
            "Sid": item.sid,
            "Filename": item.filename,
            "ContentType": item.content_type,
            "Size": item.size,
        }
        for item in media
    ]
    return orjson.dumps(described).decode()


def _truth(value: bool | None) -> str | None:
    return None if value is None else str(value).lower()


def _number(value: int | None) -> str | None:
    return None if value is None else str(value)
