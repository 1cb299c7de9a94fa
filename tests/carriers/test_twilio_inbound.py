"""Twilio's webhooks as they come: form -> message, form -> status, form -> junk."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest
from multidict import CIMultiDict, MultiDict
from pydantic import ValidationError

from app.carriers import discover, signature
from app.carriers.contract import Carrier, Junk, Request
from app.carriers.twilio import Options, Twilio
from app.model.traffic import Inbound, MediaPart, Status
from app.settings.models import CarrierSettings

SM, MM = "SM" + "0a" * 16, "MM" + "0b" * 16
MAIN, SUB, STRANGER = ("AC" + digit * 32 for digit in "123")
RECEIPT = "DY" + "0f" * 16
URL = "https://talk.example.com/carriers/tw/inbound"
PHONE, OURS, ANN, BOB = "+15558675310", "+15005550006", "+15558675311", "+15558675312"
WA_PHONE, WA_OURS = f"whatsapp:{PHONE}", f"whatsapp:{OURS}"
PLAIN = {"MessageSid": SM, "AccountSid": MAIN, "From": PHONE, "To": OURS, "Body": "Hi"}
WHATSAPP = PLAIN | {"From": WA_PHONE, "To": WA_OURS, "ProfileName": "Ann", "WaId": "15558675310"}
METADATA = '{"type":"whatsapp","data":{"context":{"ProfileName":"Ann","WaId":"15558675310"}}}'
RICHER = '{"type":"whatsapp","v":2,"data":{"x":1,"context":{"y":"\\u0000z"}}}'
PERSON = {"ProfileName": "Ann", "WaId": "15558675310"}
SMS = Inbound("tw", SM, "sms", PHONE, OURS, "Hi")
MMS = replace(SMS, external_id=MM, channel="mms")
WA = replace(SMS, channel="whatsapp", address=WA_PHONE, proxy_address=WA_OURS)


def about(context: dict[str, Any], channel: str = "whatsapp", **data: Any) -> dict[str, Any]:
    return {"type": channel, "data": {"context": context, **data}}


def media(*types: str) -> dict[str, str]:
    form = {"NumMedia": str(len(types))}
    for index, content_type in enumerate(types):
        form |= {f"MediaUrl{index}": f"https://api.twilio.com/{index}"}
        form |= {f"MediaContentType{index}": content_type}
    return form


def parts(*types: str) -> tuple[MediaPart, ...]:
    return tuple(MediaPart(f"https://api.twilio.com/{i}", kind) for i, kind in enumerate(types))


def request(form: dict[str, str], query: str = "", method: str = "POST") -> Request:
    pairs = MultiDict(item.split("=") for item in query.split("&") if item)
    url = f"{URL}?{query}" if query else URL
    body = urlencode(form).encode()
    return Request(method, url, CIMultiDict[str](), pairs, MultiDict(form), body)


@pytest.fixture
def twilio() -> Carrier:
    accounts = {SUB: "of-sub"}
    options = {"account_sid": MAIN, "auth_token": ["new", "old"], "accounts": accounts}
    return discover.build("tw", CarrierSettings(kind="twilio"), options)


KNOWN_WA = replace(WA, channel_metadata=about(PERSON))
MESSAGES = [
    ("an sms", PLAIN | {"NumMedia": "0", "NumSegments": "1"}, SMS),
    ("geography is not metadata", PLAIN | {"FromCity": "X", "ToZip": "1"}, SMS),
    ("without NumMedia", PLAIN, SMS),
    ("the old names", {"SmsSid": SM, "From": PHONE, "To": OURS, "Body": "Hi"}, SMS),
    ("a short code", PLAIN | {"From": "32665"}, replace(SMS, address="32665")),
    ("an empty body", PLAIN | {"Body": ""}, replace(SMS, body=None)),
    ("no body", {k: v for k, v in PLAIN.items() if k != "Body"}, replace(SMS, body=None)),
    ("odd spelling", PLAIN | {"From": " +1555 8675310"}, SMS),
    (
        "an mms",
        PLAIN | media("image/png", "video/mp4"),
        replace(SMS, channel="mms", media=parts("image/png", "video/mp4")),
    ),
    ("an mms without media", PLAIN | {"MessageSid": MM}, MMS),
    (
        "media of no type",
        PLAIN | media(""),
        replace(SMS, channel="mms", media=parts("application/octet-stream")),
    ),
    (
        "a group mms",
        PLAIN | {"MessageSid": MM, "OtherRecipients0": ANN, "OtherRecipients1": BOB},
        replace(MMS, others=(ANN, BOB)),
    ),
    (
        "a group that names its sender, us and one member twice",
        PLAIN
        | {"MessageSid": MM, "OtherRecipients0": OURS, "OtherRecipients1": PHONE}
        | {"OtherRecipients3": BOB, "OtherRecipients10": ANN, "OtherRecipients11": BOB},
        replace(MMS, others=(BOB, ANN)),
    ),
    (
        "an opt-out",
        PLAIN | {"Body": "STOP", "OptOutType": "STOP"},
        replace(SMS, body="STOP", channel_metadata=about({"OptOutType": "STOP"}, "sms")),
    ),
    ("whatsapp", WHATSAPP | {"ChannelMetadata": METADATA}, KNOWN_WA),
    ("whatsapp without ChannelMetadata", WHATSAPP, KNOWN_WA),
    ("a referral count alone says nothing", WHATSAPP | {"ReferralNumMedia": "0"}, KNOWN_WA),
    (
        "whatsapp media",
        WHATSAPP | media("image/jpeg"),
        replace(WA, media=parts("image/jpeg"), channel_metadata=about(PERSON)),
    ),
    (
        "a button",
        WHATSAPP | {"MessageType": "button", "ButtonText": "Yes", "ButtonPayload": "y-1"},
        replace(
            WA,
            channel_metadata=about(
                PERSON | {"MessageType": "button", "ButtonText": "Yes", "ButtonPayload": "y-1"}
            ),
        ),
    ),
    (
        "a list",
        WHATSAPP | {"ListId": "7", "ListTitle": "Red", "ListDescription": "A red one"},
        replace(
            WA,
            channel_metadata=about(
                PERSON | {"ListId": "7", "ListTitle": "Red", "ListDescription": "A red one"}
            ),
        ),
    ),
    (
        "a reply to a message of ours",
        WHATSAPP | {"OriginalRepliedMessageSid": MM, "OriginalRepliedMessageSender": WA_OURS},
        replace(
            WA,
            channel_metadata=about(
                PERSON | {"OriginalRepliedMessageSid": MM, "OriginalRepliedMessageSender": WA_OURS}
            ),
        ),
    ),
    (
        "a place",
        WHATSAPP | {"Body": "", "Latitude": "1.5", "Longitude": "2", "Label": "Home"},
        replace(
            WA,
            body=None,
            channel_metadata=about(PERSON | {"Latitude": "1.5", "Longitude": "2", "Label": "Home"}),
        ),
    ),
    (
        "an advertisement",
        WHATSAPP | {"ReferralNumMedia": "1", "ReferralHeadline": "Buy"},
        replace(
            WA,
            channel_metadata=about(PERSON | {"ReferralNumMedia": "1", "ReferralHeadline": "Buy"}),
        ),
    ),
    (
        "ChannelMetadata that is not JSON",
        WHATSAPP | {"ChannelMetadata": "{broken"},
        replace(WA, channel_metadata=about(PERSON, text="{broken")),
    ),
    (
        "ChannelMetadata of another shape",
        WHATSAPP | {"ChannelMetadata": '["x"]'},
        replace(WA, channel_metadata=about(PERSON, text='["x"]')),
    ),
    (
        "ChannelMetadata that knows more",
        WHATSAPP | {"ChannelMetadata": RICHER},
        replace(WA, channel_metadata=about(PERSON | {"y": "z"}, x=1) | {"v": 2}),
    ),
    (
        "messenger",
        PLAIN | {"From": "messenger:12", "To": "messenger:34"},
        replace(SMS, channel="messenger", address="messenger:12", proxy_address="messenger:34"),
    ),
]

JUNK = [
    ("no sid", PLAIN | {"MessageSid": ""}, "MessageSid is missing"),
    ("a sid that is none", PLAIN | {"MessageSid": "a b"}, "MessageSid is not a SID"),
    ("an endless sid", PLAIN | {"MessageSid": "a" * 65}, "MessageSid is not a SID"),
    ("no From", PLAIN | {"From": ""}, "From is missing"),
    ("no To", {"MessageSid": SM, "From": PHONE}, "To is missing"),
    ("a broken From", PLAIN | {"From": "whatsapp:nobody"}, "From is not an address"),
    ("a broken To", PLAIN | {"To": "+12"}, "To is not an address"),
    ("two channels", PLAIN | {"From": WA_PHONE}, "different channels"),
    ("NumMedia says more", PLAIN | {"NumMedia": "1"}, "MediaUrl0 is missing"),
    ("NumMedia says less", PLAIN | media("image/png") | {"NumMedia": "0"}, "more media than"),
    ("NumMedia is negative", PLAIN | {"NumMedia": "-1"}, "NumMedia is not a number"),
    ("NumMedia is huge", PLAIN | {"NumMedia": "9" * 5000}, "NumMedia is not a number"),
    ("NumMedia is over 10", PLAIN | {"NumMedia": "11"}, "NumMedia is not a number"),
    ("NumMedia is Arabic", PLAIN | {"NumMedia": "٣"}, "NumMedia is not a number"),
    ("media that is no URL", PLAIN | media("x/y") | {"MediaUrl0": "file:///etc"}, "MediaUrl0"),
    ("a group member that is none", PLAIN | {"OtherRecipients0": "x"}, "OtherRecipients0 is not"),
    (
        "an endless group",
        PLAIN | {f"OtherRecipients{n}": PHONE for n in range(51)},
        "more than 50 OtherRecipients",
    ),
]

STATUSES: list[tuple[str, dict[str, str], str, list[Status]]] = [
    ("sent", {"MessageStatus": "sent"}, "", [Status("tw", SM, "sent")]),
    ("delivered", {"MessageStatus": "delivered"}, "", [Status("tw", SM, "delivered")]),
    ("read", {"MessageStatus": "read", "EventType": "READ"}, "", [Status("tw", SM, "read")]),
    ("the old name", {"SmsStatus": "sent"}, "", [Status("tw", SM, "sent")]),
    *(
        (word, {"MessageStatus": word}, "", [Status("tw", SM, None)])
        for word in ("accepted", "scheduled", "queued", "sending")
    ),
    ("a word of tomorrow", {"MessageStatus": "pondered"}, "", []),
    ("an inbound's status", {"MessageStatus": "received"}, "", []),
    (
        "undelivered",
        {"MessageStatus": "undelivered", "ErrorCode": "30003", "ErrorMessage": "away"},
        f"receipt={RECEIPT}",
        [Status("tw", SM, "undelivered", 30003, "away", RECEIPT)],
    ),
    (
        "a code that is none",
        {"MessageStatus": "failed", "ErrorCode": "-1"},
        "receipt=x",
        [Status("tw", SM, "failed")],
    ),
]


@pytest.mark.parametrize(
    ("form", "expected"), [case[1:] for case in MESSAGES], ids=[case[0] for case in MESSAGES]
)
def test_a_message_is_read(twilio: Carrier, form: dict[str, str], expected: Inbound) -> None:
    assert list(twilio.parse_inbound(request(form))) == [replace(expected, form=form)]


@pytest.mark.parametrize(
    ("form", "why"), [case[1:] for case in JUNK], ids=[case[0] for case in JUNK]
)
def test_junk_is_refused_with_a_reason(twilio: Carrier, form: dict[str, str], why: str) -> None:
    with pytest.raises(Junk, match=why):
        twilio.parse_inbound(request(form))


@pytest.mark.parametrize(
    ("form", "query", "expected"),
    [case[1:] for case in STATUSES],
    ids=[case[0] for case in STATUSES],
)
def test_a_status_is_read(
    twilio: Carrier, form: dict[str, str], query: str, expected: list[Status]
) -> None:
    assert twilio.parse_status(request({"MessageSid": SM} | form, query)) == expected


@pytest.mark.parametrize("form", [{"MessageStatus": "sent"}, {"MessageSid": SM}])
def test_a_status_without_sid_or_word_is_junk(twilio: Carrier, form: dict[str, str]) -> None:
    with pytest.raises(Junk, match="is missing"):
        twilio.parse_status(request(form))


@pytest.mark.parametrize(
    ("account", "token", "result"),
    [
        (MAIN, "new", "valid"),
        (MAIN, "old", "valid"),
        (MAIN, "of-sub", "invalid"),
        (SUB, "of-sub", "valid"),
        (SUB, "new", "invalid"),
        (STRANGER, "new", "invalid"),
        ("", "new", "invalid"),
    ],
)
def test_the_account_in_the_form_says_which_tokens_count(
    twilio: Carrier, account: str, token: str, result: str
) -> None:
    plain = request(PLAIN | {"AccountSid": account})
    made = signature.sign(plain.url, plain.form, token)
    assert twilio.verify(replace(plain, headers={signature.HEADER: made})) == result


def test_the_account_in_the_query_of_a_post_says_nothing(twilio: Carrier) -> None:
    form = {name: value for name, value in PLAIN.items() if name != "AccountSid"}
    plain = request(form, f"AccountSid={MAIN}")
    made = signature.sign(plain.url, plain.form, "new")
    assert twilio.verify(replace(plain, headers={signature.HEADER: made})) == "invalid"


def test_a_get_webhook_is_read_from_its_query(twilio: Carrier) -> None:
    query = MultiDict(PLAIN)
    url = f"{URL}?{urlencode(PLAIN)}"
    headers = {signature.HEADER: signature.sign(url, {}, "new")}
    got = Request("GET", url, headers, query, MultiDict(), b"")
    assert twilio.verify(got) == "valid"
    assert [message.body for message in twilio.parse_inbound(got)] == ["Hi"]


def test_a_json_body_is_checked_by_its_hash(twilio: Carrier) -> None:
    url, made = signature.sign_json(URL, b"{}", "of-sub")
    headers = {signature.HEADER: made}
    query = MultiDict({"bodySHA256": url.rpartition("=")[2]})
    good = Request("POST", url, headers, query, MultiDict(), b"{}")
    assert twilio.verify(good) == "valid"
    assert twilio.verify(replace(good, body=b"{ }")) == "invalid"
    assert twilio.verify(replace(good, url=URL)) == "invalid"


def test_the_answer_is_empty_twiml(twilio: Carrier) -> None:
    answer = twilio.answer([])
    assert answer.content_type == "text/xml"
    assert answer.body == '<?xml version="1.0" encoding="UTF-8"?><Response/>'


@pytest.mark.parametrize(
    "wrong",
    [
        {"auth_token": ""},
        {"auth_token": []},
        {"auth_token": ["a", ""]},
        {"account_sid": "AC1"},
        {"accounts": {"AC1": "x"}},
        {"base_url": "api.twilio.com"},
        {"extra": 1},
    ],
)
def test_wrong_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Options.model_validate({"account_sid": MAIN, "auth_token": "t"} | wrong)


def test_secrets_are_not_shown() -> None:
    options = Options.model_validate(
        {"account_sid": MAIN, "auth_token": "hush", "accounts": {SUB: ["hush"]}}
    )
    carrier = Twilio("tw", options)
    assert "hush" not in repr(options) + repr(carrier) + repr(vars(carrier)["_line"])
