"""What a message that creates a conversation, or joins one, asks about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson

from app import ids
from app.model import Conversation, Media, Message, Participant
from app.webhooks import proposals
from app.webhooks.origin import carrier

NOW = datetime(2030, 1, 2, 3, 4, 5, 678000, tzinfo=UTC)
AT = "2030-01-02T03:04:05.678Z"
AC, IS, CH, IM, MB, ME = (ids.new(prefix) for prefix in ("AC", "IS", "CH", "IM", "MB", "ME"))
OWNED: dict[str, Any] = {"account_sid": AC, "chat_service_sid": IS}
DATES: dict[str, Any] = {"date_created": NOW, "date_updated": NOW}
THEM, US = "whatsapp:+15558675310", "whatsapp:+15005550010"

CONVERSATION = Conversation(
    sid=CH, friendly_name="Maria", state="active", active_at=NOW, state_at=NOW, **OWNED, **DATES
)
PAIR = Participant(
    sid=MB,
    conversation_sid=CH,
    channel="whatsapp",
    address=THEM,
    proxy_address=US,
    role_sid=None,
    **OWNED,
    **DATES,
)


def message(body: str | None) -> Message:
    return Message(
        sid=IM,
        conversation_sid=CH,
        index=0,
        author=THEM,
        participant_sid=MB,
        body=body,
        source="WHATSAPP",
        **OWNED,
        **DATES,
    )


PICTURE = Media(sid=ME, message_sid=IM, content_type="image/png", size=7, **OWNED, **DATES)
COMMON = {"AccountSid": AC, "ChatServiceSid": IS, "Source": "WHATSAPP"}
ADDRESSES = {"MessagingBinding.Address": THEM, "MessagingBinding.ProxyAddress": US}


def test_an_autocreation_says_the_pair_and_what_was_said() -> None:
    event = proposals.conversation_add(CONVERSATION, carrier("whatsapp"), PAIR, message("hi"))
    assert event.params == COMMON | ADDRESSES | {
        "EventType": "onConversationAdd",
        "FriendlyName": "Maria",
        "Attributes": "{}",
        "DateCreated": AT,
        "State": "active",
        "MessageBody": "hi",
    }
    assert (event.name, event.conversation_sid) == ("onConversationAdd", CH)


def test_an_autocreation_says_the_media_of_a_message_without_text() -> None:
    event = proposals.conversation_add(
        CONVERSATION, carrier("whatsapp"), PAIR, message(None), [PICTURE]
    )
    assert "MessageBody" not in event.params
    assert orjson.loads(event.params["Media"]) == [
        {"Sid": ME, "Filename": None, "ContentType": "image/png", "Size": 7}
    ]


def test_an_inbound_message_that_joins_is_known_by_its_sid_in_the_log_alone() -> None:
    event = proposals.message_add(CONVERSATION, message("hi"), [PICTURE], carrier("whatsapp"))
    media = event.params.pop("Media")
    assert [item["Sid"] for item in orjson.loads(media)] == [ME]
    assert event.params == COMMON | {
        "EventType": "onMessageAdd",
        "ConversationSid": CH,
        "Body": "hi",
        "Author": THEM,
        "ParticipantSid": MB,
        "Attributes": "{}",
    }
    assert (event.conversation_sid, event.message_sid) == (CH, IM)


def test_only_conversations_and_messages_that_are_made_or_changed_can_be_changed() -> None:
    assert set(proposals.MODIFIABLE) < proposals.PRE_EVENTS
    assert {name for name in proposals.PRE_EVENTS if "Remove" in name} & set(
        proposals.MODIFIABLE
    ) == set()
