"""The types of event, and what each says: the pages "Conversation", "Message", "Participant" and
"User" of the Event Streams reference.

A type has a schema, in two versions that differ in their metadata only. A field is read from what a
webhook says of the same event; what is not said there is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["text", "word", "json", "integer", "moment", "media"]

CONVERSATIONS = "com.twilio.conversations."
TEST = "com.twilio.eventstreams.test-event"
TEST_SCHEMA = "EventStreams.TestSink"
VERSIONS = (1, 2)
LATEST = VERSIONS[-1]


@dataclass(frozen=True, slots=True)
class Field:
    """A value in `data`: its kind, what it is, and the webhook's name for it where that differs.
    `word` is a text in capitals, `json` a document of the customer's."""

    kind: Kind
    said: str
    of: str = ""


Fields = Mapping[str, "Field | Fields"]


@dataclass(frozen=True, slots=True)
class EventType:
    """A type of event, the webhook event that it is, and the fields of its data; those in `always`
    are there whatever happened."""

    type: str
    event: str
    schema: str
    said: str
    fields: Fields
    always: tuple[str, ...]


def _text(said: str, of: str = "") -> Field:
    return Field("text", said, of)


def _binding(**more: Field) -> Fields:
    names = {
        "ProxyAddress": _text("The address of ours.", "MessagingBinding.ProxyAddress"),
        "ProjectedAddress": _text(
            "The address of ours by which a group knows somebody.",
            "MessagingBinding.ProjectedAddress",
        ),
        "Address": _text("The address of theirs.", "MessagingBinding.Address"),
    }
    return {**names, **more}


ACCOUNT = {"AccountSid": _text("The account.")}
CREATED = {"DateCreated": Field("moment", "When it came into being.")}
UPDATED = {"DateUpdated": Field("moment", "When it was changed last.")}
REMOVED = {**UPDATED, "DateRemoved": Field("moment", "When it was removed.")}
ATTRIBUTES = {"Attributes": Field("json", "What the customer keeps with it: a JSON object.")}
CONVERSATION_SID = {"ConversationSid": _text("The conversation.")}
MESSAGING_SERVICE = {"MessagingServiceSid": _text("The messaging service.")}
MEDIA: Fields = {"Media": Field("media", "What is attached.")}

CONVERSATION: Fields = {
    **ACCOUNT,
    "FriendlyName": _text("Its friendly name."),
    "UniqueName": _text("Its unique name."),
    **ATTRIBUTES,
    "State": _text("initializing, active, inactive or closed."),
    **CONVERSATION_SID,
    **CREATED,
    **MESSAGING_SERVICE,
}
BEGINNING: Fields = {
    **CONVERSATION,
    "MessageBody": _text("The body of the message that created it."),
    "MessageSubject": _text("The subject of the message that created it."),
    "MessagingBinding": _binding(
        AuthorAddress=_text("Who wrote to a group.", "MessagingBinding.AuthorAddress")
    ),
    "Bindings": {
        "Email": {
            "ProjectedAddress": _text("From where e-mail is sent.", "Bindings.Email.Address"),
            "Name": _text("In whose name e-mail is sent.", "Bindings.Email.Name"),
        }
    },
    "AuthorFriendlyName": _text("The friendly name of who created it."),
    **MEDIA,
}
STATE: Fields = {
    **ACCOUNT,
    **CONVERSATION_SID,
    "StateUpdated": Field("moment", "When the state changed."),
    "StateFrom": _text("The state before."),
    "StateTo": _text("The state since."),
    "Reason": _text("API, TIMER or EVENT."),
    **MESSAGING_SERVICE,
}
MESSAGE: Fields = {
    **ACCOUNT,
    "Author": _text("Who wrote it: an identity or an address."),
    "ParticipantSid": _text("The participant who wrote it; absent when nobody of them did."),
    **ATTRIBUTES,
    **CONVERSATION_SID,
    "MessageSid": _text("The message."),
    "Index": Field("integer", "Its place in the conversation."),
    "MessageBody": _text("Its body.", "Body"),
    **CREATED,
    "MessageSubject": _text("Its subject."),
    **MEDIA,
}
NEW_MESSAGE: Fields = {
    **MESSAGE,
    **MESSAGING_SERVICE,
    "ContentSid": _text("The template that it was made of."),
}
PARTICIPANT: Fields = {
    **ACCOUNT,
    "ParticipantSid": _text("The participant."),
    "Identity": _text("The identity of somebody who chats."),
    "RoleSid": _text("The role."),
    **ATTRIBUTES,
    **CONVERSATION_SID,
    **CREATED,
    "MessagingBinding": _binding(
        Type=Field("word", "SMS, WHATSAPP, ...", "MessagingBinding.Type"),
        Level=_text("to, cc or from, in e-mail.", "MessagingBinding.Level"),
        Name=_text("The name in e-mail.", "MessagingBinding.Name"),
    ),
}
CHANGED_PARTICIPANT: Fields = {
    **PARTICIPANT,
    **UPDATED,
    "LastReadMessageIndex": Field("integer", "The last message that was read."),
}
USER: Fields = {
    **ACCOUNT,
    "UserSid": _text("The user."),
    "Identity": _text("The identity."),
    "FriendlyName": _text("The friendly name."),
    "RoleSid": _text("The role."),
    **ATTRIBUTES,
    **CREATED,
}

OF = {
    "conversation": ("ConversationSid",),
    "conversation-state": ("ConversationSid",),
    "message": ("ConversationSid", "MessageSid"),
    "participant": ("ConversationSid", "ParticipantSid"),
    "user": ("UserSid",),
}


def _type(name: str, event: str, said: str, fields: Fields) -> EventType:
    noun = name.partition(".")[0]
    return EventType(
        CONVERSATIONS + name,
        event,
        f"Conversations.{event.removeprefix('on')}",
        said,
        fields,
        ("AccountSid", *OF[noun]),
    )


_ALL = (
    _type("conversation.added", "onConversationAdded", "A conversation came to be.", BEGINNING),
    _type(
        "conversation.updated",
        "onConversationUpdated",
        "A conversation was changed.",
        {**CONVERSATION, **UPDATED},
    ),
    _type(
        "conversation.removed",
        "onConversationRemoved",
        "A conversation was removed.",
        {**CONVERSATION, **REMOVED},
    ),
    _type(
        "conversation-state.updated",
        "onConversationStateUpdated",
        "A conversation changed its state.",
        STATE,
    ),
    _type("message.added", "onMessageAdded", "A message is in a conversation.", NEW_MESSAGE),
    _type("message.updated", "onMessageUpdated", "A message was changed.", {**MESSAGE, **UPDATED}),
    _type("message.removed", "onMessageRemoved", "A message was removed.", {**MESSAGE, **REMOVED}),
    _type("participant.added", "onParticipantAdded", "Somebody joined.", PARTICIPANT),
    _type(
        "participant.updated",
        "onParticipantUpdated",
        "A participant was changed.",
        CHANGED_PARTICIPANT,
    ),
    _type(
        "participant.removed",
        "onParticipantRemoved",
        "Somebody left.",
        {**PARTICIPANT, **REMOVED},
    ),
    _type("user.added", "onUserAdded", "There is a new user.", USER),
    _type("user.updated", "onUserUpdated", "A user was changed.", {**USER, **UPDATED}),
)

TYPES: Mapping[str, EventType] = {one.type: one for one in sorted(_ALL, key=lambda one: one.type)}
BY_EVENT: Mapping[str, EventType] = {one.event: one for one in _ALL}
BY_SCHEMA: Mapping[str, EventType] = {one.schema: one for one in _ALL}
