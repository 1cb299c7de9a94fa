"""Bandwidth's callbacks as they come: events -> messages, events -> statuses, events -> junk."""

from __future__ import annotations

import json
from base64 import b64encode
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from multidict import CIMultiDict, MultiDict
from pydantic import ValidationError

from app.carriers.bandwidth import Bandwidth, Options
from app.carriers.contract import Junk, Request
from app.model.traffic import Inbound, MediaPart, Status
from tests.support.bandwidth_stand_in import OPTIONS, callback_login, login, received, report
from tests.support.shapes import reshaped

ID = "14762070468292kw2fuqty55yp2b2"
RECEIPT = "DY" + "0f" * 16
PHONE, OURS, ANN, BOB = "+15558675310", "+15005550006", "+15558675311", "+15558675312"
MEDIA = "https://messaging.bandwidth.com/api/v2/users/5500001/media"
AT = datetime(2030, 1, 2, 3, 4, 5, 678000, UTC)
SMS = Inbound("bw", ID, "sms", PHONE, OURS, "Hi", sent_at=AT)
MMS = replace(SMS, channel="mms")


def bandwidth(**options: Any) -> Bandwidth:
    return Bandwidth("bw", Options.model_validate(OPTIONS | options))


def request(said: Any, **headers: str) -> Request:
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    url = "https://talk.example.com/carriers/bw/inbound"
    return Request("POST", url, CIMultiDict(headers), MultiDict(), MultiDict(), body)


def event(**changes: Any) -> dict[str, Any]:
    said = received(ID, PHONE, OURS, "Hi")
    said["message"] |= changes
    return said


MESSAGES: list[tuple[str, list[Any], list[Inbound]]] = [
    ("an sms", [event()], [SMS]),
    ("without text", [event(text=None)], [replace(SMS, body=None)]),
    ("without an owner", [event(owner=None)], [SMS]),
    ("a short code", [event(**{"from": "32665"})], [replace(SMS, address="32665")]),
    ("no time", [event(time=7)], [replace(SMS, sent_at=None)]),
    ("the channel by name", [event(channel="SMS")], [SMS]),
    (
        "an mms with a layout",
        [event(media=[f"{MEDIA}/1/0/smil.xml", f"{MEDIA}/1/1/bw.PNG", f"{MEDIA}/1/2/a.b/v"])],
        [
            replace(
                MMS,
                media=(
                    MediaPart(f"{MEDIA}/1/1/bw.PNG", "image/png"),
                    MediaPart(f"{MEDIA}/1/2/a.b/v", "application/octet-stream"),
                ),
            )
        ],
    ),
    ("a layout alone", [event(media=[f"{MEDIA}/1/0/0.smil"])], [SMS]),
    (
        "a group: our copy of it",
        [event(to=[ANN, OURS, BOB], owner=OURS)],
        [replace(MMS, others=(ANN, BOB))],
    ),
    (
        "a group of two numbers of ours comes once for each",
        [event(to=[OURS, ANN]), event(id="2", to=[OURS, ANN], owner=ANN)],
        [
            replace(MMS, others=(ANN,)),
            replace(MMS, external_id="2", proxy_address=ANN, others=(OURS,)),
        ],
    ),
    (
        "a group larger than what we could send to",
        [event(to=[OURS, *(f"+1555867{n:04}" for n in range(30))])],
        [replace(MMS, others=tuple(f"+1555867{n:04}" for n in range(30)))],
    ),
    ("nothing", [], []),
    ("something else", [{"type": "suggestion-response", "message": 7}], []),
]

JUNK: list[tuple[str, Any, str]] = [
    ("no JSON", b"[", "not JSON"),
    ("no list", {}, "the body is not a list"),
    ("no event", [7], r"\[0\] is not an object"),
    ("no type", [{}], r"\[0\].type is missing"),
    ("no message", [{"type": "message-received"}], r"\[0\].message.id is missing"),
    ("one that is wrong among good ones", [event(), event(id="")], r"\[1\].message.id is missing"),
    ("a hidden sender", [event(**{"from": "nobody"})], r"message.from is not an address"),
    ("no recipient", [event(owner="") | {"to": ""}], r"message.owner is missing"),
    ("recipients that are no list", [event(to=OURS)], r"message.to is not a list"),
    ("a member that is none", [event(to=[OURS, 7])], r"message.to\[1\] is missing"),
    ("an RBM", [event(channel="RBM")], r"message.channel is not SMS or MMS"),
    ("a file on a disk", [event(media=["file:///etc"])], r"message.media\[0\] is missing or"),
    ("a file that is none", [event(media=[{}])], r"message.media\[0\] is missing or not a URL"),
    ("endless files", [event(media=[f"{MEDIA}/a.png"] * 51)], "media has more than 50"),
    ("an endless group", [event(to=[OURS] * 51)], "to has more than 50"),
]

STATUSES: list[tuple[str, str, dict[str, Any], list[Status]]] = [
    ("sending", "sending", {}, [Status("bw", ID, "sent")]),
    ("sent", "sent", {}, [Status("bw", ID, "sent")]),
    ("delivered", "delivered", {}, [Status("bw", ID, "delivered")]),
    ("read", "read", {}, [Status("bw", ID, "read")]),
    ("a type of tomorrow", "pondered", {}, []),
    (
        "failed",
        "failed",
        {"errorCode": 4775, "description": "user opt out of +15558675310"},
        [Status("bw", ID, "undelivered", 21610, "4775 user opt out of ***5310")],
    ),
    (
        "failed with a code of tomorrow",
        "failed",
        {"errorCode": 4999, "description": None},
        [Status("bw", ID, "undelivered", 30008, "4999")],
    ),
    (
        "failed with a code that is none",
        "failed",
        {"errorCode": "x", "description": "?"},
        [Status("bw", ID, "undelivered", 30008, "x ?")],
    ),
]


@pytest.mark.parametrize(
    ("said", "expected"), [case[1:] for case in MESSAGES], ids=[case[0] for case in MESSAGES]
)
def test_messages_are_read(said: list[Any], expected: list[Inbound]) -> None:
    messages = bandwidth().parse_inbound(request(said))
    assert [replace(message, form={}) for message in messages] == expected


def test_the_form_is_as_twilio_would_post_it() -> None:
    said = event(to=[OURS, ANN], media=[f"{MEDIA}/1/0/a.jpg"])
    (message,) = bandwidth().parse_inbound(request([said]))
    assert message.form == {
        "MessageSid": ID,
        "From": PHONE,
        "To": OURS,
        "Body": "Hi",
        "NumMedia": "1",
        "MediaUrl0": f"{MEDIA}/1/0/a.jpg",
        "MediaContentType0": "image/jpeg",
        "OtherRecipients0": ANN,
    }


@pytest.mark.parametrize(
    ("said", "why"), [case[1:] for case in JUNK], ids=[case[0] for case in JUNK]
)
def test_junk_is_refused_with_a_reason(said: Any, why: str) -> None:
    with pytest.raises(Junk, match=why):
        bandwidth().parse_inbound(request(said))


@pytest.mark.parametrize(
    ("word", "changes", "expected"),
    [case[1:] for case in STATUSES],
    ids=[case[0] for case in STATUSES],
)
def test_a_status_is_read(word: str, changes: dict[str, Any], expected: list[Status]) -> None:
    said = report(ID, OURS, PHONE, word, None, "") | changes
    assert bandwidth().parse_status(request([said])) == expected
    said["message"]["tag"] = RECEIPT
    named = [replace(status, receipt_sid=RECEIPT) for status in expected]
    assert bandwidth().parse_status(request([said])) == named


def test_a_list_may_hold_both() -> None:
    said = request([event(), report("2", OURS, PHONE, "sent", None, "no SID"), event(id="3")])
    assert [one.external_id for one in bandwidth().parse_inbound(said)] == [ID, "3"]
    assert bandwidth().parse_status(said) == [Status("bw", "2", "sent")]


LOGINS = [
    ("the password", callback_login(), "valid"),
    ("the next password", callback_login("the-next-one"), "valid"),
    ("the scheme in small letters", callback_login().replace("Basic", "basic"), "valid"),
    ("a wrong password", callback_login("?"), "invalid"),
    ("a wrong user", login("api-user", "callback-password"), "invalid"),
    ("the API's login", login("api-user", "api-password"), "invalid"),
    ("a token", callback_login().replace("Basic", "Bearer"), "invalid"),
    ("no base64", "Basic callback-user:callback-password", "invalid"),
    ("what is no text", "Basic \udcff", "invalid"),
    ("bytes that are no text", "Basic " + b64encode(b"\xff\xfe").decode(), "invalid"),
    ("a user alone", "Basic " + b64encode(b"callback-user").decode(), "invalid"),
    ("nothing", "", "invalid"),
]


@pytest.mark.parametrize(
    ("header", "result"), [case[1:] for case in LOGINS], ids=[case[0] for case in LOGINS]
)
def test_callbacks_sign_in(header: str, result: str) -> None:
    assert bandwidth().verify(request([event()], Authorization=header)) == result


@pytest.mark.parametrize(
    "wrong",
    [
        {"account_id": "5500001/../1"},
        {"application_id": ""},
        {"username": "a:b"},
        {"password": ""},
        {"callback_username": ""},
        {"callback_password": []},
        {"callback_password": ["callback-password", ""]},
        {"callback_password": "7 chars"},
        {"base_url": "messaging.bandwidth.com"},
        {"extra": 1},
    ],
)
def test_wrong_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        bandwidth(**wrong)


def test_secrets_are_not_shown() -> None:
    options = Options.model_validate(OPTIONS)
    assert "api-password" not in repr(options) + repr(vars(bandwidth())["_line"])


@settings(deadline=None)
@given(said=reshaped([event(to=[OURS, ANN], media=[f"{MEDIA}/a.png"])]))
def test_messages_of_any_shape_are_read_or_junk(said: Any) -> None:
    for parse in (bandwidth().parse_inbound, bandwidth().parse_status):
        try:
            parse(request(said))
        except Junk as junk:
            assert str(junk)


@settings(deadline=None)
@given(said=reshaped([report(ID, OURS, PHONE, "failed", 4775, RECEIPT)]))
def test_reports_of_any_shape_are_read_or_junk(said: Any) -> None:
    for parse in (bandwidth().parse_inbound, bandwidth().parse_status):
        try:
            parse(request(said))
        except Junk as junk:
            assert str(junk)
