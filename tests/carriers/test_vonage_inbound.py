"""Vonage's inbound webhooks as they come: message -> message, message -> junk."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.carriers.contract import Junk
from app.model.traffic import Inbound, MediaPart
from tests.carriers.vonage_requests import (
    ANN,
    BOB,
    ID,
    OTHER_ID,
    OURS,
    PHONE,
    message,
    request,
    vonage,
    whatsapp,
)
from tests.support.shapes import reshaped

AT = datetime(2030, 1, 2, 3, 4, 5, 678000, UTC)
FILE = "https://api-us.nexmo.com/v3/media/1b456509-974c-458b-aafa-45fc48a4d976"
SMS = Inbound("vo", ID, "sms", PHONE, OURS, "Hi", sent_at=AT)
MMS = replace(SMS, channel="mms")
PERSON = {"ProfileName": "Jane Smith", "WaId": "447700900001"}


def about(channel: str, **context: str) -> dict[str, Any]:
    return {"type": channel, "data": {"context": context}}


def wa(kind: str, body: str | None, *media: MediaPart, **context: str) -> Inbound:
    return replace(
        SMS,
        channel="whatsapp",
        address=f"whatsapp:{PHONE}",
        proxy_address=f"whatsapp:{OURS}",
        body=body,
        media=media,
        channel_metadata=about("whatsapp", **PERSON, MessageType=kind, **context),
    )


MESSAGES: list[tuple[str, dict[str, Any], Inbound]] = [
    (
        "an sms",
        message(sms={"num_messages": "2", "keyword": "HI"}, usage={"currency": "EUR"}),
        SMS,
    ),
    ("without text", message(text=None), replace(SMS, body=None)),
    ("a short code", message(to="12345"), replace(SMS, proxy_address="12345")),
    ("with a plus", message(**{"from": PHONE}), SMS),
    ("no time", message(timestamp=""), replace(SMS, sent_at=None)),
    ("mms: a text", message("text", "mms"), MMS),
    (
        "mms: an image",
        message("image", "mms", image={"url": FILE, "name": "a.PNG", "caption": "Hi"}),
        replace(MMS, media=(MediaPart(FILE, "image/png", None, "a.PNG"),)),
    ),
    (
        "mms: an image of no name",
        message("image", "mms", image={"url": FILE}),
        replace(MMS, body=None, media=(MediaPart(FILE, "image/jpeg"),)),
    ),
    (
        "mms: a contact",
        message("vcard", "mms", vcard={"url": FILE}),
        replace(MMS, body=None, media=(MediaPart(FILE, "text/vcard"),)),
    ),
    (
        "mms: several files",
        message(
            "content",
            "mms",
            content=[
                {"type": "image", "url": FILE, "caption": "one"},
                {"type": "file", "url": f"{FILE}.pdf", "caption": "two"},
                {"type": "pondered", "url": FILE},
            ],
        ),
        replace(
            MMS,
            body="one\ntwo",
            media=(
                MediaPart(FILE, "image/jpeg"),
                MediaPart(f"{FILE}.pdf", "application/pdf"),
                MediaPart(FILE, "application/octet-stream"),
            ),
        ),
    ),
    (
        "mms: a group",
        message("text", "mms", mms={"participants": ["447700900002", "447700900003"]}),
        replace(MMS, others=(ANN, BOB)),
    ),
    (
        "mms: a group that names everybody",
        message("text", "mms", mms={"participants": ["447700900000", "447700900001", ANN, ANN]}),
        replace(MMS, others=(ANN,)),
    ),
    ("whatsapp", whatsapp(), wa("text", "Hi")),
    (
        "whatsapp: an image with a caption",
        whatsapp("image", image={"url": FILE, "caption": "Look"}),
        wa("image", "Look", MediaPart(FILE, "image/jpeg")),
    ),
    (
        "whatsapp: a voice",
        whatsapp("audio", audio={"url": FILE}),
        wa("audio", None, MediaPart(FILE, "audio/ogg")),
    ),
    (
        "whatsapp: a video",
        whatsapp("video", video={"url": FILE}),
        wa("video", None, MediaPart(FILE, "video/mp4")),
    ),
    (
        "whatsapp: a document",
        whatsapp("file", file={"url": FILE, "name": "bill.pdf", "caption": "My bill"}),
        wa("file", "My bill", MediaPart(FILE, "application/pdf", None, "bill.pdf")),
    ),
    (
        "whatsapp: a sticker",
        whatsapp("sticker", sticker={"url": FILE}),
        wa("sticker", None, MediaPart(FILE, "image/webp")),
    ),
    (
        "whatsapp: a place",
        whatsapp(
            "location", location={"lat": 40.34, "long": -74, "name": "Vonage", "address": "1"}
        ),
        wa("location", None, Latitude="40.34", Longitude="-74", Label="Vonage", Address="1"),
    ),
    (
        "whatsapp: a reply button",
        whatsapp("reply", reply={"id": "y-1", "title": "Yes"}),
        wa("reply", "Yes", ButtonText="Yes", ButtonPayload="y-1"),
    ),
    (
        "whatsapp: an entry of a list",
        whatsapp("reply", reply={"id": "row1", "title": "9am", "description": "Early"}),
        wa("reply", "9am", ListId="row1", ListTitle="9am", ListDescription="Early"),
    ),
    (
        "whatsapp: a template's button",
        whatsapp("button", button={"text": "Stop", "payload": "stop-1"}),
        wa("button", "Stop", ButtonText="Stop", ButtonPayload="stop-1"),
    ),
    (
        "whatsapp: a flow's answer",
        whatsapp("button", button={"text": "sent", "subtype": "flow", "payload": {"a": [1]}}),
        wa("button", "sent", ButtonText="sent", ButtonPayload='{"a":[1]}'),
    ),
    (
        "whatsapp: a reaction",
        whatsapp(
            "reaction",
            reaction={"action": "react", "emoji": "👍"},
            context={"message_uuid": OTHER_ID, "message_from": "447700900000"},
        ),
        wa(
            "reaction",
            "👍",
            OriginalRepliedMessageSid=OTHER_ID,
            OriginalRepliedMessageSender="447700900000",
            Content='{"reaction":{"action":"react","emoji":"👍"}}',
        ),
    ),
    (
        "whatsapp: an order",
        whatsapp("order", order={"catalog_id": "28"}),
        wa("order", None, Content='{"order":{"catalog_id":"28"}}'),
    ),
    (
        "whatsapp: what Vonage cannot read",
        whatsapp("unsupported", provider_message="Message type is not supported"),
        wa("unsupported", None, ProviderMessage="Message type is not supported"),
    ),
    ("whatsapp: a type of tomorrow", whatsapp("hologram"), wa("hologram", None)),
    (
        "whatsapp: an advertisement, and a user with a name",
        whatsapp(
            whatsapp={
                "sender": {"user_id": "US.13491208655302741918", "wa_id": "447700900001"},
                "referral": {"headline": "New!", "source_id": "21", "ctwa_clid": "c"},
            }
        ),
        wa(
            "text",
            "Hi",
            ExternalUserId="US.13491208655302741918",
            ReferralHeadline="New!",
            ReferralSourceId="21",
            ReferralCtwaClid="c",
        ),
    ),
    (
        "messenger",
        message("text", "messenger", to="9876543210", **{"from": "0123456789"}),
        replace(
            SMS,
            channel="messenger",
            address="messenger:0123456789",
            proxy_address="messenger:9876543210",
            channel_metadata=about("messenger", MessageType="text"),
        ),
    ),
    (
        "rcs",
        message("reply", "rcs", to="Vonage-Agent", reply={"id": "1", "title": "Yes"}),
        replace(
            SMS,
            channel="rcs",
            address=f"rcs:{PHONE}",
            proxy_address="rcs:Vonage-Agent",
            body="Yes",
            channel_metadata=about("rcs", MessageType="reply", ButtonText="Yes", ButtonPayload="1"),
        ),
    ),
    ("what only adorns may be anything", message(context=7, profile=[], usage=None), SMS),
]

JUNK: list[tuple[str, Any, str]] = [
    ("no JSON", b"{", "not JSON"),
    ("no object", [], "the body is not an object"),
    ("no id", message(message_uuid=""), "message_uuid is missing"),
    ("an id that is none", message(message_uuid="a b"), "message_uuid is not an id"),
    ("no channel", message(channel=None), "channel is missing"),
    ("viber", message(channel="viber_service"), "channel is not one that we carry"),
    ("no sender", message(**{"from": None}), "from is missing"),
    ("a sender by name", whatsapp(**{"from": "jane"}), "from is not an address"),
    ("no recipient", message(to=""), "to is missing"),
    ("no type", message(message_type=None), "message_type is missing"),
    ("text that is none", message(text=7), "text is not text"),
    ("an image that is none", message("image", "mms", image=7), "image is not an object"),
    ("an image without a URL", message("image", "mms", image={}), r"image\.url is missing"),
    ("a file on a disk", message("file", "mms", file={"url": "ftp://a"}), r"file\.url is missing"),
    ("content that is no list", message("content", "mms", content={}), "content is not a list"),
    (
        "endless content",
        message("content", "mms", content=[{"type": "image", "url": FILE}] * 51),
        "content has more than 50",
    ),
    ("a member that is none", message("text", "mms", mms={"participants": [7]}), "ants.0. is miss"),
    (
        "an endless group",
        message("text", "mms", mms={"participants": ["447700900002"] * 51}),
        "more than 50",
    ),
]


@pytest.mark.parametrize(
    ("said", "expected"), [case[1:] for case in MESSAGES], ids=[case[0] for case in MESSAGES]
)
def test_a_message_is_read(said: dict[str, Any], expected: Inbound) -> None:
    (read,) = vonage().parse_inbound(request(said))
    assert replace(read, form={}) == expected


def test_the_form_is_as_twilio_would_post_it() -> None:
    said = whatsapp("image", image={"url": FILE, "caption": "Look"})
    (read,) = vonage().parse_inbound(request(said))
    assert read.form == {
        "MessageSid": ID,
        "From": f"whatsapp:{PHONE}",
        "To": f"whatsapp:{OURS}",
        "Body": "Look",
        "NumMedia": "1",
        "MediaUrl0": FILE,
        "MediaContentType0": "image/jpeg",
        "ProfileName": "Jane Smith",
        "WaId": "447700900001",
        "MessageType": "image",
        "ChannelMetadata": json.dumps(read.channel_metadata, separators=(",", ":")),
    }


def test_a_user_of_whatsapp_without_a_number_is_known_by_the_business_scoped_id() -> None:
    (read,) = vonage().parse_inbound(request(whatsapp(**{"from": "US.1349"})))
    assert read.address == "whatsapp:US.1349"


@pytest.mark.parametrize(
    ("said", "why"), [case[1:] for case in JUNK], ids=[case[0] for case in JUNK]
)
def test_junk_is_refused_with_a_reason(said: Any, why: str) -> None:
    with pytest.raises(Junk, match=why):
        vonage().parse_inbound(request(said))


RICH = whatsapp(
    "reply",
    reply={"id": "1", "title": "Yes", "description": "x"},
    context={"message_uuid": OTHER_ID},
    whatsapp={"sender": {"user_id": "US.1"}, "referral": {"body": "b"}},
    order={"catalog_id": "28"},
)
GROUP = message(
    "content",
    "mms",
    content=[{"type": "image", "url": FILE, "caption": "one"}],
    mms={"participants": ["447700900002"]},
)


@pytest.mark.parametrize("good", [RICH, GROUP, message("image", "mms", image={"url": FILE})])
@settings(deadline=None)
@given(data=st.data())
def test_a_message_of_any_shape_is_read_or_junk(good: dict[str, Any], data: st.DataObject) -> None:
    said = data.draw(reshaped(good))
    for parse in (vonage().parse_inbound, vonage().parse_status):
        try:
            parse(request(said))
        except Junk as junk:
            assert str(junk)
