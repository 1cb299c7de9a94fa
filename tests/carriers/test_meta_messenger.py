"""Messenger's webhooks as they come: document -> messages and statuses, or junk."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from multidict import CIMultiDict, MultiDict

from app.carriers.contract import Junk, Request
from app.carriers.meta import Meta, Options
from app.model.traffic import Inbound, MediaPart, Status
from tests.carriers.cases import MetaCase

META = MetaCase()

MID, OTHER = "m_AG5Hz2Uq7tuwNEhXfYYKj8mJEM_QPpz5jdCK48PnKAjSdjfipqxqMvK8ma6AC8fp", "m_2"
RECEIPT = "DY" + "0f" * 16
PERSON, PAGE = {"id": "5678"}, {"id": "108732"}
EVENT = {"sender": PERSON, "recipient": PAGE, "timestamp": 1739321024000}
PHOTO = "https://scontent.xx.fbcdn.net/v/a.jpg?oe=65"
HI = Inbound(
    "fb",
    MID,
    "messenger",
    "messenger:5678",
    "messenger:108732",
    "Hi",
    sent_at=datetime(2025, 2, 12, 0, 43, 44, tzinfo=UTC),
)


@pytest.fixture
def meta() -> Meta:
    return Meta("fb", Options.model_validate({"app_secret": "s", "verify_token": "w"}))


def request(*events: Any) -> Request:
    entries = [{"id": "108732", "time": 1739321024000, "messaging": [one]} for one in events]
    body = orjson.dumps({"object": "page", "entry": entries})
    url = "https://talk.example.com/carriers/fb/inbound"
    return Request("POST", url, CIMultiDict[str](), MultiDict(), MultiDict(), body)


def message(**parts: Any) -> dict[str, Any]:
    return {**EVENT, "message": {"mid": MID, **parts}}


def attached(kind: str, title: str | None = None, **payload: Any) -> dict[str, Any]:
    attachment: dict[str, Any] = {"type": kind, "payload": payload}
    return attachment if title is None else {**attachment, "title": title}


def about(**context: str) -> dict[str, Any]:
    return {"type": "messenger", "data": {"context": context}}


MESSAGES: list[tuple[str, dict[str, Any], Inbound]] = [
    ("a text", message(text="Hi"), HI),
    ("nothing", message(), replace(HI, body=None)),
    (
        "a photo and a voice message",
        message(
            text="Hi",
            attachments=[attached("image", url=PHOTO), attached("audio", url="http://a/b")],
        ),
        replace(HI, media=(MediaPart(PHOTO, "image/jpeg"), MediaPart("http://a/b", "audio/mp4"))),
    ),
    (
        "a video and a file",
        message(
            attachments=[attached("video", url="http://a/v"), attached("file", url="http://a/f")]
        ),
        replace(
            HI,
            body=None,
            media=(
                MediaPart("http://a/v", "video/mp4"),
                MediaPart("http://a/f", "application/octet-stream"),
            ),
        ),
    ),
    ("a file that is nowhere", message(text="Hi", attachments=[attached("file", url="My/a")]), HI),
    (
        "a place",
        message(attachments=[attached("location", "Home", coordinates={"lat": 1.5, "long": -2})]),
        replace(HI, body="Home 1.5, -2", channel_metadata=about(Latitude="1.5", Longitude="-2")),
    ),
    (
        "a shared link",
        message(text="See", attachments=[attached("fallback", "News", url="https://n.example/1")]),
        replace(HI, body="See\nNews https://n.example/1"),
    ),
    (
        "a quick reply",
        message(text="Red", quick_reply={"payload": "r-1"}),
        replace(HI, body="Red", channel_metadata=about(ButtonText="Red", ButtonPayload="r-1")),
    ),
    (
        "a reply",
        message(text="Hi", reply_to={"mid": OTHER}),
        replace(HI, channel_metadata=about(OriginalRepliedMessageSid=OTHER)),
    ),
    (
        "a tap on a button",
        {**EVENT, "postback": {"mid": MID, "title": "Start", "payload": "go"}},
        replace(HI, body="Start", channel_metadata=about(ButtonText="Start", ButtonPayload="go")),
    ),
    (
        "a tap that came by an advertisement, without an id",
        {**EVENT, "postback": {"title": "Start", "referral": {"ad_id": "9", "source": "ADS"}}},
        replace(
            HI,
            external_id="postback.5678.1739321024000",
            body="Start",
            channel_metadata=about(
                ButtonText="Start", ReferralSourceId="9", ReferralSourceType="ADS"
            ),
        ),
    ),
]


@pytest.mark.parametrize(
    ("event", "wanted"), [case[1:] for case in MESSAGES], ids=[case[0] for case in MESSAGES]
)
def test_a_message_is_read(meta: Meta, event: dict[str, Any], wanted: Inbound) -> None:
    (inbound,) = meta.parse_inbound(request(event))
    assert replace(inbound, form={}) == wanted
    assert list(meta.parse_status(request(event))) == []
    assert inbound.form["From"] == "messenger:5678"
    assert inbound.form["NumMedia"] == str(len(wanted.media))


STATUSES: list[tuple[str, dict[str, Any], list[Status]]] = [
    (
        "delivered, by ids",
        {**EVENT, "delivery": {"mids": [MID, OTHER], "watermark": 1739321024000}},
        [Status("fb", MID, "delivered"), Status("fb", OTHER, "delivered")],
    ),
    ("delivered, by a moment", {**EVENT, "delivery": {"watermark": 1739321024000}}, []),
    ("read, by a moment", {**EVENT, "read": {"watermark": 1739321024000}}, []),
    (
        "our own message comes back",
        message(text="Hi", is_echo=True, app_id=1, metadata=RECEIPT),
        [Status("fb", MID, "sent", receipt_sid=RECEIPT)],
    ),
    ("somebody answered in the inbox", message(text="Hi", is_echo=True), []),
    ("a message taken back", message(is_deleted=True), []),
    ("a reaction", {**EVENT, "reaction": {"mid": MID, "emoji": "x", "action": "react"}}, []),
    ("an opt-in", {**EVENT, "optin": {"type": "notification_messages"}}, []),
]


@pytest.mark.parametrize(
    ("event", "wanted"), [case[1:] for case in STATUSES], ids=[case[0] for case in STATUSES]
)
def test_what_is_no_message_is_a_status_or_passed_over(
    meta: Meta, event: dict[str, Any], wanted: list[Status]
) -> None:
    assert meta.parse_status(request(event)) == wanted
    assert list(meta.parse_inbound(request(event))) == []


def test_what_another_app_answers_is_not_ours(meta: Meta) -> None:
    body = orjson.dumps({"object": "page", "entry": [{"standby": [message(text="Hi")]}]})
    assert list(meta.parse_inbound(replace(request(), body=body))) == []


def test_a_batch_is_read_in_its_order_and_each_message_once(meta: Meta) -> None:
    events = [message(mid=mid, text=mid) for mid in ("1", "2", "1", "3")]
    assert [one.body for one in meta.parse_inbound(request(*events))] == ["1", "2", "3"]


JUNK: list[tuple[str, dict[str, Any], str]] = [
    ("no id", message(mid="", text="Hi"), "mid is missing"),
    ("a broken id", message(mid="a b"), "mid is not an id"),
    ("nobody", {"recipient": PAGE, "message": {"mid": MID}}, "id is missing"),
    ("to nobody", {"sender": PERSON, "message": {"mid": MID}}, "id is missing"),
    ("a person with a colon", message() | {"sender": {"id": "a:b"}}, "sender.id is not an id"),
    ("files that are none", message(attachments="x"), "attachments is not a list"),
    ("too many files", message(attachments=[{}] * 51), "more than 50 attachments"),
    ("deliveries that are none", {**EVENT, "delivery": {"mids": [{}]}}, "mids is missing"),
    ("a tap at no time", {"sender": PERSON, "postback": {}}, "timestamp is missing"),
]


@pytest.mark.parametrize(
    ("event", "why"), [case[1:] for case in JUNK], ids=[case[0] for case in JUNK]
)
def test_junk_is_refused_with_a_reason(meta: Meta, event: dict[str, Any], why: str) -> None:
    for parse in (meta.parse_inbound, meta.parse_status):
        with pytest.raises(Junk, match=why):
            parse(request(event))


def test_instagrams_documents_are_messengers_and_its_reads_name_a_message() -> None:
    event = {"sender": {"id": "6071"}, "recipient": {"id": "17841405822304914"}}
    said = event | {"timestamp": 1739321024000, "message": {"mid": "m.1", "text": "hi"}}
    read = event | {"read": {"mid": "m.2"}}
    entries = [{"id": "17841405822304914", "messaging": [said, read]}]
    request = META.document("instagram", entries).request()
    (inbound,) = META.carrier().parse_inbound(request)
    assert (inbound.channel, inbound.address) == ("instagram", "instagram:6071")
    assert inbound.proxy_address == "instagram:17841405822304914"
    (status,) = META.carrier().parse_status(request)
    assert (status.external_id, status.status) == ("m.2", "read")
    page = META.document("page", [{"id": "1", "messaging": [event | {"read": {"watermark": 1}}]}])
    assert META.carrier().parse_status(page.request()) == []
