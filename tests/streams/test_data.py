"""What each type of event says: by the documented fields, and by the schemas that are served."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, get_args

import orjson
import pytest
from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError

from app.model import Conversation, Media, Message, Participant, User
from app.settings.types import PostEvent
from app.store.stream_log import Logged
from app.streams import cloudevents, schemas
from app.streams.cloudevents import batch, envelope
from app.streams.data import data
from app.streams.types import BY_EVENT, TEST_SCHEMA, TYPES, VERSIONS
from app.webhooks import events
from app.webhooks.events import Event
from app.webhooks.origin import REST, carrier

NOW = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
THEN = datetime(2030, 2, 3, 4, 5, 6, 0, tzinfo=UTC)
SAID, CHANGED = "2030-01-02T03:04:05.678Z", "2030-02-03T04:05:06.000Z"
OWNED = {"account_sid": "AC1", "chat_service_sid": "IS1"}
DATES = {"date_created": NOW, "date_updated": THEN}

CONVERSATION = Conversation(
    sid="CH1",
    **OWNED,
    messaging_service_sid="MG1",
    friendly_name="Friends",
    unique_name="one",
    attributes='{"a": [1, 2]}',
    state="active",
    active_at=NOW,
    state_at=NOW,
    email_address="us@example.com",
    email_name="Us",
    **DATES,
)
MESSAGE = Message(
    sid="IM1",
    **OWNED,
    conversation_sid="CH1",
    index=7,
    author="+15551230001",
    participant_sid="MB1",
    body="hello",
    subject="greetings",
    attributes="{}",
    content_sid="HX1",
    **DATES,
)
MEDIA = [
    Media(
        sid="ME1",
        **OWNED,
        message_sid="IM1",
        position=0,
        content_type="image/png",
        filename="a.png",
        size=12,
        **DATES,
    )
]
PARTICIPANT = Participant(
    sid="MB1",
    **OWNED,
    conversation_sid="CH1",
    identity="ann",
    channel="whatsapp",
    address="whatsapp:+15551230001",
    proxy_address="whatsapp:+15005550010",
    projected_address="+15005550006",
    attributes="{}",
    role_sid="RL1",
    last_read_message_index=3,
    **DATES,
)
USER = User(
    sid="US1",
    **OWNED,
    identity="ann",
    friendly_name="Ann",
    role_sid="RL2",
    attributes='{"x":1.10}',
    **DATES,
)

BASE = {
    "AccountSid": "AC1",
    "FriendlyName": "Friends",
    "UniqueName": "one",
    "Attributes": {"a": [1, 2]},
    "State": "active",
    "ConversationSid": "CH1",
    "DateCreated": SAID,
    "MessagingServiceSid": "MG1",
}
SHOWN_MEDIA = [{"MediaSid": "ME1", "Filename": "a.png", "ContentType": "image/png", "Size": 12}]
TOLD = {
    "AccountSid": "AC1",
    "Author": "+15551230001",
    "ParticipantSid": "MB1",
    "Attributes": {},
    "ConversationSid": "CH1",
    "MessageSid": "IM1",
    "Index": 7,
    "MessageBody": "hello",
    "DateCreated": SAID,
    "MessageSubject": "greetings",
    "Media": SHOWN_MEDIA,
}
PAIR = {
    "ProxyAddress": "whatsapp:+15005550010",
    "ProjectedAddress": "+15005550006",
    "Address": "whatsapp:+15551230001",
}
MEMBER = {
    "AccountSid": "AC1",
    "ParticipantSid": "MB1",
    "Identity": "ann",
    "RoleSid": "RL1",
    "Attributes": {},
    "ConversationSid": "CH1",
    "DateCreated": SAID,
    "MessagingBinding": {**PAIR, "Type": "WHATSAPP"},
}
PERSON = {
    "AccountSid": "AC1",
    "UserSid": "US1",
    "Identity": "ann",
    "FriendlyName": "Ann",
    "RoleSid": "RL2",
    "Attributes": {"x": 1.1},
    "DateCreated": SAID,
}

CASES: list[tuple[str, Event, Mapping[str, Any]]] = [
    (
        "conversation.added",
        events.conversation_added(CONVERSATION, REST, PARTICIPANT, MESSAGE, MEDIA),
        {
            **BASE,
            "MessageBody": "hello",
            "MessageSubject": "greetings",
            "MessagingBinding": PAIR,
            "Bindings": {"Email": {"ProjectedAddress": "us@example.com", "Name": "Us"}},
            "Media": SHOWN_MEDIA,
        },
    ),
    (
        "conversation.updated",
        events.conversation_updated(CONVERSATION, REST),
        {**BASE, "DateUpdated": CHANGED},
    ),
    (
        "conversation.removed",
        events.conversation_removed(CONVERSATION, REST, THEN),
        {**BASE, "DateUpdated": CHANGED, "DateRemoved": CHANGED},
    ),
    (
        "conversation-state.updated",
        events.conversation_state_updated(CONVERSATION, REST, "inactive", "EVENT", THEN),
        {
            "AccountSid": "AC1",
            "ConversationSid": "CH1",
            "StateUpdated": CHANGED,
            "StateFrom": "inactive",
            "StateTo": "active",
            "Reason": "EVENT",
            "MessagingServiceSid": "MG1",
        },
    ),
    (
        "message.added",
        events.message_added(CONVERSATION, MESSAGE, MEDIA, carrier("sms")),
        {**TOLD, "MessagingServiceSid": "MG1", "ContentSid": "HX1"},
    ),
    (
        "message.updated",
        events.message_updated(CONVERSATION, MESSAGE, MEDIA, REST),
        {**TOLD, "DateUpdated": CHANGED},
    ),
    (
        "message.removed",
        events.message_removed(CONVERSATION, MESSAGE, MEDIA, REST, THEN),
        {**TOLD, "DateUpdated": CHANGED, "DateRemoved": CHANGED},
    ),
    ("participant.added", events.participant_added(PARTICIPANT, REST), MEMBER),
    (
        "participant.updated",
        events.participant_updated(PARTICIPANT, REST),
        {**MEMBER, "DateUpdated": CHANGED, "LastReadMessageIndex": 3},
    ),
    (
        "participant.removed",
        events.participant_removed(PARTICIPANT, REST, THEN),
        {**MEMBER, "DateUpdated": CHANGED, "DateRemoved": CHANGED},
    ),
    ("user.added", events.user_added(USER, REST), PERSON),
    ("user.updated", events.user_updated(USER, REST), {**PERSON, "DateUpdated": CHANGED}),
]


def said(event: Event) -> str:
    return data(event.name, {**event.params, **event.besides})


@pytest.mark.parametrize(("name", "event", "expected"), CASES, ids=[case[0] for case in CASES])
def test_a_type_says_its_documented_fields_and_no_other(
    name: str, event: Event, expected: Mapping[str, Any]
) -> None:
    assert json.loads(said(event)) == expected
    assert BY_EVENT[event.name].type == f"com.twilio.conversations.{name}"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("name", "event", "expected"), CASES, ids=[case[0] for case in CASES])
def test_what_is_said_fits_its_schema(
    name: str, event: Event, expected: Mapping[str, Any], version: int
) -> None:
    schema = schemas.document(BY_EVENT[event.name].schema, version)
    Draft7Validator.check_schema(schema)
    validator = Draft7Validator(schema)
    validator.validate(json.loads(said(event)))
    for wrong in ({}, {**expected, "Surplus": 1}, {**expected, "AccountSid": 1}):
        with pytest.raises(ValidationError):
            validator.validate(wrong)


def test_there_are_twelve_and_every_webhook_event_but_one_is_among_them() -> None:
    assert len(TYPES) == len(CASES) == 12
    assert set(get_args(PostEvent)) - set(BY_EVENT) == {"onDeliveryUpdated"}


def test_what_is_absent_is_left_out() -> None:
    bare = Conversation(sid="CH1", **OWNED, active_at=NOW, state_at=NOW, **DATES)
    told = json.loads(said(events.conversation_added(bare, REST)))
    assert set(told) == {
        *("AccountSid", "Attributes", "State", "ConversationSid", "DateCreated"),
    }
    chat = Participant(sid="MB1", **OWNED, conversation_sid="CH1", identity="ann", **DATES)
    joined = json.loads(said(events.participant_added(chat, REST)))
    assert joined["MessagingBinding"] == {"Type": "CHAT"}
    unsized = [Media(**{**MEDIA[0].model_dump(), "size": None, "filename": None})]
    added = json.loads(said(events.message_added(bare, MESSAGE, unsized, carrier("sms"))))
    assert added["Media"] == [{"MediaSid": "ME1", "ContentType": "image/png"}]


@pytest.mark.parametrize("text", ['{"n":123456789012345678901234567890.10}', '{"a":"\\u0000"}'])
def test_attributes_are_told_as_they_were_written(text: str) -> None:
    message = Message(**{**MESSAGE.model_dump(), "attributes": text})
    assert f'"Attributes":{text}' in said(events.message_added(CONVERSATION, message, (), REST))


@pytest.mark.parametrize("version", VERSIONS)
def test_the_envelope_is_a_cloudevent(version: int) -> None:
    kind = "com.twilio.conversations.message.added"
    logged = Logged(1, "EZ1", kind, "CH1", NOW, '{"Index":7}')
    assert json.loads(envelope(logged, version)) == {
        "specversion": "1.0",
        "type": kind,
        "source": "CH1",
        "id": "EZ1",
        "dataschema": f"https://events-schemas.twilio.com/Conversations.MessageAdded/{version}",
        "datacontenttype": "application/json",
        "time": SAID,
        "data": {"Index": 7},
    }
    assert envelope(logged, version) == envelope(logged, version)


def test_a_batch_is_an_array() -> None:
    assert orjson.loads(batch([b'{"a":1}', b'{"a":2}'])) == [{"a": 1}, {"a": 2}]
    assert orjson.loads(batch([b"{}"])) == [{}]


def test_a_test_event_fits_its_schema() -> None:
    told = json.loads(envelope(cloudevents.test_event("TE1", "EZ1", "DG1", NOW), 1))
    assert told["data"] == {"test_id": "TE1"}
    Draft7Validator(schemas.document(TEST_SCHEMA, 1)).validate(told["data"])
