"""Telnyx's webhooks as they come: event -> message, event -> statuses, event -> junk."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from multidict import CIMultiDict, MultiDict
from pydantic import ValidationError

from app.carriers.contract import Junk, Request
from app.carriers.telnyx import TOLERANCE_S, Options, Telnyx
from app.model.traffic import Inbound, MediaPart, Status
from tests.support.clock import START, TurnedClock
from tests.support.shapes import reshaped
from tests.support.telnyx_stand_in import API_KEY, PUBLIC_KEY, received, report, sign

ID = "84cca175-9755-4859-b67f-4730d7f58aa3"
RECEIPT = "DY" + "0f" * 16
PHONE, OURS, ANN, BOB = "+13125550001", "+17735550002", "+13125550003", "+13125550004"
NOW = int(START.timestamp())
AT = datetime(2030, 1, 2, 3, 4, 5, 678000, UTC)
SMS = Inbound("tx", ID, "sms", PHONE, OURS, "Hi", sent_at=AT)
MMS = replace(SMS, channel="mms")
PICTURE = MediaPart("https://media.example.com/1", "image/png", 102400)
FILE = {"url": PICTURE.url, "content_type": "image/png"}


def telnyx(**options: Any) -> Telnyx:
    given = {"api_key": API_KEY, "public_key": PUBLIC_KEY} | options
    return Telnyx("tx", Options.model_validate(given), TurnedClock())


def request(event: Any, receipt: str = "", **headers: str) -> Request:
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    query = MultiDict({"receipt": receipt} if receipt else {})
    url = "https://talk.example.com/carriers/tx/inbound"
    return Request("POST", url, CIMultiDict(headers), query, MultiDict(), body)


def event(**changes: Any) -> dict[str, Any]:
    said = received(ID, PHONE, OURS, "Hi")
    said["data"]["payload"] |= changes
    return said


def number(given: str, **more: Any) -> dict[str, Any]:
    return {"phone_number": given, **more}


MESSAGES: list[tuple[str, dict[str, Any], Inbound]] = [
    ("an sms", event(), SMS),
    ("without text", event(text=None), replace(SMS, body=None)),
    ("a short code", event(**{"from": number("32665")}), replace(SMS, address="32665")),
    ("no time", event(received_at=None), replace(SMS, sent_at=None)),
    ("a time that is none", event(received_at="yesterday"), replace(SMS, sent_at=None)),
    ("a time before all clocks", event(received_at="0001-01-01"), replace(SMS, sent_at=None)),
    ("to as a bare number", event(to=OURS), SMS),
    ("the type in small letters", event(type="sms"), SMS),
    ("an mms without files", event(type="MMS"), MMS),
    (
        "an mms with a file",
        event(
            type="MMS", media=[{"url": PICTURE.url, "content_type": "image/png", "size": 102400}]
        ),
        replace(MMS, media=(PICTURE,)),
    ),
    (
        "a file of no type and no size",
        event(media=[{"url": PICTURE.url, "content_type": None, "size": -1}]),
        replace(MMS, media=(MediaPart(PICTURE.url, "application/octet-stream"),)),
    ),
    (
        "a group",
        event(type="MMS", cc=[number(ANN), number(BOB)]),
        replace(MMS, others=(ANN, BOB)),
    ),
    (
        "a group that names its sender, us and one member twice",
        event(type="MMS", cc=[number(OURS), number(PHONE), number(ANN), number(ANN)]),
        replace(MMS, others=(ANN,)),
    ),
    (
        "a group that lists everybody in to: ours is marked",
        event(type="MMS", to=[number(ANN), number(OURS, status="webhook_delivered")]),
        replace(MMS, others=(ANN,)),
    ),
    (
        "a group where nobody is marked: ours is the first",
        event(type="MMS", to=[number(OURS), number(ANN)], cc=[number(BOB)]),
        replace(MMS, others=(ANN, BOB)),
    ),
    (
        "a subject",
        event(type="MMS", subject="House"),
        replace(MMS, channel_metadata={"type": "mms", "data": {"context": {"Subject": "House"}}}),
    ),
    (
        "an opt-out that Telnyx answered",
        event(text="stop", autoresponse_type="STOP"),
        replace(
            SMS,
            body="stop",
            channel_metadata={"type": "sms", "data": {"context": {"OptOutType": "STOP"}}},
        ),
    ),
]

JUNK: list[tuple[str, Any, str]] = [
    ("no JSON", b"{", "not JSON"),
    ("no object", [], "the body is not an object"),
    ("no data", {}, "data is missing"),
    ("data that is none", {"data": 1}, "data is not an object"),
    ("no event", {"data": {}}, "data.event_type is missing"),
    ("no payload", {"data": {"event_type": "message.received"}}, "payload.id is missing"),
    ("an id that is none", event(id="a b"), "payload.id is not an id"),
    ("no sender", event(**{"from": None}), "from.phone_number is missing"),
    ("a hidden sender", event(**{"from": number("nobody")}), "from.phone_number is not an address"),
    ("no recipient", event(to=[]), "payload.to is missing"),
    ("a recipient that is none", event(to=[number("+1")]), r"to\[0\].phone_number is not an add"),
    ("an RCS", event(type="RCS"), "payload.type is not SMS or MMS"),
    ("text that is none", event(text=7), "payload.text is not text"),
    ("media that is no list", event(media={}), "payload.media is not a list"),
    ("a file without a URL", event(media=[{}]), r"media\[0\].url is missing"),
    ("a file on a disk", event(media=[{"url": "file:///etc"}]), r"media\[0\].url is missing or"),
    ("endless files", event(media=[{"url": PICTURE.url}] * 51), "media has more than 50"),
    ("an endless group", event(cc=[number(ANN)] * 51), "cc has more than 50"),
]

FAILED = [{"code": "40300", "title": "Blocked due to STOP message", "detail": "for +13125550001"}]
STATUSES: list[tuple[str, dict[str, Any], list[Status]]] = [
    ("queued", {"to": [number(PHONE, status="queued")]}, [Status("tx", ID, None)]),
    ("sending", {"to": [number(PHONE, status="sending")]}, [Status("tx", ID, None)]),
    ("sent", {"to": [number(PHONE, status="sent")]}, [Status("tx", ID, "sent")]),
    ("delivered", {"to": [number(PHONE, status="delivered")]}, [Status("tx", ID, "delivered")]),
    ("a word of tomorrow", {"to": [number(PHONE, status="pondered")]}, []),
    (
        "delivered in spite of an error",
        {"to": [number(PHONE, status="delivered")], "errors": FAILED},
        [Status("tx", ID, "delivered")],
    ),
    (
        "refused before it left",
        {"to": [number(PHONE, status="sending_failed")], "errors": FAILED},
        [Status("tx", ID, "failed", 21610, "40300 Blocked due to STOP message: for ***0001")],
    ),
    (
        "not delivered, with a code of tomorrow",
        {"to": [number(PHONE, status="delivery_failed")], "errors": [{"code": "49999"}]},
        [Status("tx", ID, "undelivered", 30008, "49999")],
    ),
    (
        "nobody knows",
        {"to": [number(PHONE, status="delivery_unconfirmed")], "errors": None},
        [Status("tx", ID, "undelivered", 30008)],
    ),
    (
        "each recipient of a group",
        {"to": [number(PHONE, status="delivered"), number(ANN, status="sent")]},
        [
            Status("tx", ID, "delivered", address=PHONE),
            Status("tx", ID, "sent", address=ANN),
        ],
    ),
]


@pytest.mark.parametrize(
    ("said", "expected"), [case[1:] for case in MESSAGES], ids=[case[0] for case in MESSAGES]
)
def test_a_message_is_read(said: dict[str, Any], expected: Inbound) -> None:
    (message,) = telnyx().parse_inbound(request(said))
    assert replace(message, form={}) == expected


def test_the_form_is_as_twilio_would_post_it() -> None:
    said = event(type="MMS", cc=[number(ANN)], media=[{"url": PICTURE.url}], subject="House")
    (message,) = telnyx().parse_inbound(request(said))
    assert message.form == {
        "MessageSid": ID,
        "From": PHONE,
        "To": OURS,
        "Body": "Hi",
        "NumMedia": "1",
        "MediaUrl0": PICTURE.url,
        "MediaContentType0": "application/octet-stream",
        "OtherRecipients0": ANN,
        "Subject": "House",
        "ChannelMetadata": '{"type":"mms","data":{"context":{"Subject":"House"}}}',
    }


@pytest.mark.parametrize(
    ("said", "why"), [case[1:] for case in JUNK], ids=[case[0] for case in JUNK]
)
def test_junk_is_refused_with_a_reason(said: Any, why: str) -> None:
    with pytest.raises(Junk, match=why):
        telnyx().parse_inbound(request(said))


@pytest.mark.parametrize(
    ("changes", "expected"), [case[1:] for case in STATUSES], ids=[case[0] for case in STATUSES]
)
def test_a_status_is_read(changes: dict[str, Any], expected: list[Status]) -> None:
    said = report(ID, OURS, PHONE, "delivered")
    said["data"]["payload"] |= changes
    assert telnyx().parse_status(request(said)) == expected
    named = [replace(status, receipt_sid=RECEIPT) for status in expected]
    assert telnyx().parse_status(request(said, RECEIPT)) == named


def test_each_parser_passes_over_what_is_for_the_other() -> None:
    assert telnyx().parse_status(request(event())) == []
    assert telnyx().parse_inbound(request(report(ID, OURS, PHONE, "sent"))) == []


def test_an_event_about_something_else_is_taken_and_is_nothing() -> None:
    said = request({"data": {"event_type": "10dlc.brand.update", "payload": {"a": 1}}})
    assert (telnyx().parse_inbound(said), telnyx().parse_status(said)) == ([], [])


def test_a_report_on_nobody_is_junk() -> None:
    said = report(ID, OURS, PHONE, "sent")
    said["data"]["payload"]["to"] = []
    with pytest.raises(Junk, match=r"payload\.to is missing"):
        telnyx().parse_status(request(said))


SIGNATURES = [
    ("now", 0, "valid"),
    ("a little old", -TOLERANCE_S, "valid"),
    ("a little early", TOLERANCE_S, "valid"),
    ("too old", -TOLERANCE_S - 1, "invalid"),
    ("from the future", TOLERANCE_S + 1, "invalid"),
]


@pytest.mark.parametrize(
    ("off_s", "result"), [case[1:] for case in SIGNATURES], ids=[case[0] for case in SIGNATURES]
)
def test_a_signature_is_good_for_five_minutes(off_s: int, result: str) -> None:
    carrier = Telnyx(
        "tx",
        Options.model_validate({"api_key": API_KEY, "public_key": PUBLIC_KEY}),
        TurnedClock(START.replace(microsecond=0)),
    )
    body = orjson.dumps(event())
    assert carrier.verify(request(body, **sign(body, NOW + off_s))) == result


@pytest.mark.parametrize(
    "broken",
    [
        {"Telnyx-Timestamp": str(NOW + 1)},
        {"Telnyx-Timestamp": ""},
        {"Telnyx-Timestamp": "９" * 10},
        {"Telnyx-Timestamp": "9" * 4000},
        {"Telnyx-Timestamp": f"{NOW}.0"},
        {"Telnyx-Signature-Ed25519": ""},
        {"Telnyx-Signature-Ed25519": "AAAA"},
        {"Telnyx-Signature-Ed25519": "ü"},
        {"Telnyx-Signature-Ed25519": "\udcff"},
        {"Telnyx-Signature-Ed25519": b64encode(bytes(64)).decode()},
    ],
)
def test_a_broken_signature_is_invalid(broken: dict[str, str]) -> None:
    body = orjson.dumps(event())
    assert telnyx().verify(request(body, **sign(body, NOW))) == "valid"
    assert telnyx().verify(request(body, **sign(body, NOW) | broken)) == "invalid"


def test_either_key_counts_while_keys_change() -> None:
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    body = orjson.dumps(event())
    signed = request(body, **sign(body, NOW))
    both = telnyx(public_key=[b64encode(other).decode(), PUBLIC_KEY])
    assert both.verify(signed) == "valid"
    assert telnyx(public_key=b64encode(other).decode()).verify(signed) == "invalid"


@pytest.mark.parametrize(
    "wrong",
    [
        {"api_key": ""},
        {"public_key": ""},
        {"public_key": []},
        {"public_key": "AAAA"},
        {"public_key": "?"},
        {"public_key": [PUBLIC_KEY, b64encode(bytes(31)).decode()]},
        {"base_url": "api.telnyx.com"},
        {"timeout_s": 0},
        {"extra": 1},
    ],
)
def test_wrong_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        telnyx(**wrong)


def test_secrets_are_not_shown() -> None:
    carrier = telnyx()
    assert API_KEY not in repr(vars(carrier)) + repr(carrier)


def test_the_clock_is_the_one_that_was_given() -> None:
    clock = TurnedClock()
    carrier = Telnyx(
        "tx", Options.model_validate({"api_key": API_KEY, "public_key": PUBLIC_KEY}), clock
    )
    body = orjson.dumps(event())
    signed = request(body, **sign(body, NOW))
    assert carrier.verify(signed) == "valid"
    clock.turn(timedelta(minutes=6).total_seconds())
    assert carrier.verify(signed) == "invalid"


@settings(deadline=None)
@given(said=reshaped(event(type="MMS", cc=[number(ANN)], media=[FILE], errors=[])))
def test_a_message_of_any_shape_is_read_or_junk(said: Any) -> None:
    for parse in (telnyx().parse_inbound, telnyx().parse_status):
        try:
            parse(request(said))
        except Junk as junk:
            assert str(junk)


@settings(deadline=None)
@given(said=reshaped(report(ID, OURS, PHONE, "delivery_failed", 40300)))
def test_a_report_of_any_shape_is_read_or_junk(said: Any) -> None:
    for parse in (telnyx().parse_inbound, telnyx().parse_status):
        try:
            parse(request(said))
        except Junk as junk:
            assert str(junk)
