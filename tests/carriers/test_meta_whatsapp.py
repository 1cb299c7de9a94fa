"""WhatsApp's webhooks as they come: document -> messages and statuses, or junk."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict, MultiDict
from pydantic import ValidationError

from app.carriers import meta_signature
from app.carriers.contract import Answer, Junk, Request
from app.carriers.meta import Meta, Options
from app.model.traffic import Inbound, MediaPart, Status

WAMID = "wamid.HBgLMTU1NTg2NzUzMTAVAgASGBQzQUFERjg0NDEzNDdFODU3MUMxMAA="
EARLIER = "wamid.HBgLMTU1NTg2NzUzMTAVAgARGBI4MUJFRUQ1QUE1QzgxQzk4NzEA"
RECEIPT = "DY" + "0f" * 16
USER = "US.13491208655302741918"
PARENT = "US.ENT.11815799212886844830"
ID, OURS, PHONE = "106540352242922", "whatsapp:+15550783881", "whatsapp:+15558675310"
METADATA = {"display_phone_number": "+1 (555) 078-3881", "phone_number_id": ID}
ANN = {"wa_id": "15558675310", "profile": {"name": "Ann"}}
PERSON = {"ProfileName": "Ann", "WaId": "15558675310"}
FROM = {"from": "15558675310", "id": WAMID, "timestamp": "1739321024"}
SENT_AT = datetime(2025, 2, 12, 0, 43, 44, tzinfo=UTC)
BASE = "https://graph.facebook.com/v25.0"
PLAIN = Inbound("wa", WAMID, "whatsapp", PHONE, OURS, sent_at=SENT_AT)


def options(**changes: Any) -> Options:
    return Options.model_validate({"app_secret": ["new", "old"], "verify_token": "word"} | changes)


@pytest.fixture
def meta() -> Meta:
    return Meta("wa", options(phone_numbers={ID: "+15550783881"}))


def request(document: Any, **headers: str) -> Request:
    body = document if isinstance(document, bytes) else orjson.dumps(document)
    url = "https://talk.example.com/carriers/wa/inbound"
    return Request("POST", url, CIMultiDict(headers), MultiDict(), MultiDict(), body)


def change(field: str = "messages", **value: Any) -> dict[str, Any]:
    return {"field": field, "value": {"metadata": METADATA, "contacts": [ANN], **value}}


def document(*changes: dict[str, Any]) -> dict[str, Any]:
    return {
        "object": "whatsapp_business_account",
        "entry": [{"id": "102290129340398", "changes": [one]} for one in changes],
    }


def message(kind: str, said: Any = None, **parts: Any) -> dict[str, Any]:
    content = {} if said is None else {kind: said}
    return document(change(messages=[{**FROM, "type": kind, **content, **parts}]))


def expected(
    kind: str, body: str | None = None, media: tuple[MediaPart, ...] = (), **context: Any
) -> Inbound:
    data = context.pop("data", {})
    told = {**PERSON, "MessageType": kind, **context}
    metadata = {"type": "whatsapp", "data": {**data, "context": told}}
    return replace(PLAIN, body=body, media=media, channel_metadata=metadata)


PLACE = {"latitude": 37.5, "longitude": -122.25, "name": "Pier 1", "address": "1 Bay St"}
CONTACT = {
    "name": {"formatted_name": "Bob Ray"},
    "phones": [{"phone": "+1 555 867 5312", "wa_id": "15558675312"}],
    "emails": [{"email": "bob@example.com"}],
}
ORDER = {
    "catalog_id": "7",
    "text": "Please hurry",
    "product_items": [
        {"product_retailer_id": "sku-1", "quantity": 2, "item_price": 9.5, "currency": "EUR"},
        {"product_retailer_id": "sku-2"},
    ],
}
CHANGED = {"body": "User Ann changed from 1 to 2", "wa_id": "2", "type": "user_changed_number"}
UNSUPPORTED = [{"code": 131051, "title": "Message type unknown"}]
MESSAGES: list[tuple[str, dict[str, Any], Inbound]] = [
    ("a text", message("text", {"body": "Hi"}), expected("text", "Hi")),
    ("a text without words", message("text"), expected("text")),
    (
        "a photo with a caption",
        message("image", {"id": "77", "mime_type": "image/jpeg", "sha256": "x", "caption": "Look"}),
        expected("image", "Look", (MediaPart(f"{BASE}/77", "image/jpeg"),)),
    ),
    (
        "a voice message",
        message("audio", {"id": "78", "mime_type": "audio/ogg; codecs=opus", "voice": True}),
        expected("audio", media=(MediaPart(f"{BASE}/78", "audio/ogg; codecs=opus"),)),
    ),
    (
        "a document",
        message("document", {"id": "79", "mime_type": "application/pdf", "filename": "a b.pdf"}),
        expected(
            "document", media=(MediaPart(f"{BASE}/79", "application/pdf", filename="a b.pdf"),)
        ),
    ),
    (
        "a sticker of no type",
        message("sticker", {"id": "80", "mime_type": "?"}),
        expected("sticker", media=(MediaPart(f"{BASE}/80", "application/octet-stream"),)),
    ),
    (
        "a video without an id",
        message("video", {"link": "https://cdn.example.com/v.mp4", "mime_type": "video/mp4"}),
        expected("video", media=(MediaPart("https://cdn.example.com/v.mp4", "video/mp4"),)),
    ),
    (
        "a photo that is nowhere",
        message("image", {"id": "../me", "caption": "Look"}),
        expected(
            "image",
            "Look",
            data={
                "message": {**FROM, "type": "image", "image": {"id": "../me", "caption": "Look"}}
            },
        ),
    ),
    (
        "a place",
        message("location", PLACE),
        expected(
            "location",
            "Pier 1, 1 Bay St (37.5, -122.25)",
            Latitude="37.5",
            Longitude="-122.25",
            Label="Pier 1",
            Address="1 Bay St",
        ),
    ),
    (
        "a place without a name",
        message("location", {"latitude": 1, "longitude": 2}),
        expected("location", "1, 2", Latitude="1", Longitude="2"),
    ),
    (
        "contacts",
        message("contacts", [CONTACT, {"name": {"first_name": "Zoe"}}, {}]),
        expected(
            "contacts",
            "Bob Ray: +1 555 867 5312, bob@example.com\nZoe",
            data={"contacts": [CONTACT, {"name": {"first_name": "Zoe"}}, {}]},
        ),
    ),
    (
        "a button of a template",
        message("button", {"text": "Yes", "payload": "y-1"}),
        expected("button", "Yes", ButtonText="Yes", ButtonPayload="y-1"),
    ),
    (
        "a reply button",
        message(
            "interactive", {"type": "button_reply", "button_reply": {"id": "b1", "title": "No"}}
        ),
        expected("interactive", "No", ButtonText="No", ButtonPayload="b1"),
    ),
    (
        "a row of a list",
        message(
            "interactive",
            {
                "type": "list_reply",
                "list_reply": {"id": "7", "title": "Red", "description": "A red one"},
            },
        ),
        expected("interactive", "Red", ListId="7", ListTitle="Red", ListDescription="A red one"),
    ),
    (
        "a flow",
        message(
            "interactive",
            {
                "type": "nfm_reply",
                "nfm_reply": {"name": "flow", "body": "Sent", "response_json": '{"a":1}'},
            },
        ),
        expected("interactive", "Sent", FlowData='{"a":1}'),
    ),
    (
        "a reaction",
        message("reaction", {"message_id": EARLIER, "emoji": "👍"}),
        expected("reaction", "👍", OriginalRepliedMessageSid=EARLIER),
    ),
    (
        "a reaction taken back",
        message("reaction", {"message_id": EARLIER}),
        expected("reaction", OriginalRepliedMessageSid=EARLIER),
    ),
    (
        "an order",
        message("order", ORDER),
        expected("order", "Please hurry\n2 x sku-1 (9.5 EUR)\n1 x sku-2", data={"order": ORDER}),
    ),
    (
        "a new number, told to nobody else",
        message("system", CHANGED),
        expected("system", data={"system": CHANGED}),
    ),
    (
        "what WhatsApp does not hand on",
        message("unsupported", errors=UNSUPPORTED),
        expected("unsupported", data={"errors": UNSUPPORTED}),
    ),
    (
        "a type of tomorrow",
        message("hologram", {"x": 1}),
        expected("hologram", data={"message": {**FROM, "type": "hologram", "hologram": {"x": 1}}}),
    ),
    (
        "a reply to a message of ours, forwarded",
        message(
            "text",
            {"body": "Hi"},
            context={"id": EARLIER, "from": "15550783881", "forwarded": True},
        ),
        expected(
            "text",
            "Hi",
            OriginalRepliedMessageSid=EARLIER,
            OriginalRepliedMessageSender=OURS,
            Forwarded="true",
        ),
    ),
    (
        "an advertisement",
        message(
            "text",
            {"body": "Hi"},
            referral={
                "source_id": "9",
                "source_type": "ad",
                "headline": "Buy",
                "image_url": "https://x.example/a.png",
            },
        ),
        expected(
            "text",
            "Hi",
            ReferralHeadline="Buy",
            ReferralSourceId="9",
            ReferralSourceType="ad",
            ReferralMediaUrl="https://x.example/a.png",
            ReferralNumMedia="1",
        ),
    ),
]


@pytest.mark.parametrize(
    ("given_", "wanted"), [case[1:] for case in MESSAGES], ids=[case[0] for case in MESSAGES]
)
def test_a_message_is_read(meta: Meta, given_: dict[str, Any], wanted: Inbound) -> None:
    (inbound,) = meta.parse_inbound(request(given_))
    assert replace(inbound, form={}) == wanted
    assert list(meta.parse_status(request(given_))) == []
    assert inbound.form["MessageSid"] == WAMID
    assert (inbound.form["From"], inbound.form["To"]) == (PHONE, OURS)
    assert inbound.form["Body"] == (wanted.body or "")
    assert inbound.form["ProfileName"] == "Ann"
    assert orjson.loads(inbound.form["ChannelMetadata"]) == wanted.channel_metadata


PEOPLE: list[tuple[str, dict[str, Any], dict[str, Any], str, dict[str, str]]] = [
    (
        "a number and a user id",
        {"from": "15558675310", "from_user_id": USER},
        {**ANN, "user_id": USER, "profile": {"name": "Ann", "username": "@ann"}},
        PHONE,
        {**PERSON, "Username": "@ann", "ExternalUserId": f"whatsapp:{USER}"},
    ),
    (
        "a user id alone",
        {"from_user_id": USER, "from_parent_user_id": PARENT},
        {"user_id": USER, "profile": {"name": "Ann"}},
        f"whatsapp:{USER}",
        {"ProfileName": "Ann", "ExternalUserId": f"whatsapp:{USER}"},
    ),
    (
        "a user id in the number's place",
        {"from": USER, "from_user_id": USER},
        {"wa_id": USER, "user_id": USER, "profile": {"name": "Ann"}},
        f"whatsapp:{USER}",
        {"ProfileName": "Ann", "ExternalUserId": f"whatsapp:{USER}"},
    ),
    (
        "a user id for all portfolios",
        {"from_parent_user_id": PARENT},
        {},
        f"whatsapp:{PARENT}",
        {},
    ),
    (
        "a user id that only the contact has",
        {"from": "15558675310"},
        {**ANN, "user_id": USER},
        PHONE,
        {**PERSON, "ExternalUserId": f"whatsapp:{USER}"},
    ),
]


@pytest.mark.parametrize(
    ("who", "contact", "address", "known"),
    [case[1:] for case in PEOPLE],
    ids=[case[0] for case in PEOPLE],
)
def test_people_are_known_by_number_or_else_by_user_id(
    meta: Meta,
    who: dict[str, Any],
    contact: dict[str, Any],
    address: str,
    known: dict[str, str],
) -> None:
    said = {"id": WAMID, "type": "text", "text": {"body": "Hi"}, **who}
    (inbound,) = meta.parse_inbound(request(document(change(contacts=[contact], messages=[said]))))
    assert inbound.address == address
    assert inbound.channel_metadata is not None
    context = inbound.channel_metadata["data"]["context"]
    assert context == {**known, "MessageType": "text"}


def test_everybody_in_a_batch_has_their_own_name(meta: Meta) -> None:
    bob = {"wa_id": "15558675311", "profile": {"name": "Bob"}}
    told = [{**FROM, "id": "b", "from": "15558675311"}, {**FROM, "id": "a"}]
    found = meta.parse_inbound(request(document(change(contacts=[ANN, bob], messages=told))))
    assert [one.form["ProfileName"] for one in found] == ["Bob", "Ann"]


@pytest.mark.parametrize(
    ("metadata", "ours"),
    [
        ({"phone_number_id": ID, "display_phone_number": "1"}, OURS),
        ({"phone_number_id": "9", "display_phone_number": "15550783882"}, OURS[:-1] + "2"),
        ({"display_phone_number": "+1 555 078 3882"}, OURS[:-1] + "2"),
    ],
)
def test_our_number_is_that_of_the_options_or_the_one_shown(
    meta: Meta, metadata: dict[str, str], ours: str
) -> None:
    found = meta.parse_inbound(request(document(change(metadata=metadata, messages=[FROM]))))
    assert [one.proxy_address for one in found] == [ours]


def test_a_batch_is_read_in_its_order_and_each_message_once(meta: Meta) -> None:
    batch = document(
        change(messages=[{**FROM, "id": "1"}, {**FROM, "id": "2"}]),
        change(statuses=[{"id": "s1", "status": "sent"}]),
        change("message_template_status_update", event="APPROVED"),
        change(
            messages=[{**FROM, "id": "2"}, {**FROM, "id": "3"}, {**FROM, "id": "1"}],
            statuses=[{"id": "s2", "status": "read"}, {"id": "s1", "status": "delivered"}],
        ),
    )
    batch["entry"][0]["changes"].append(change(messages=[{**FROM, "id": "1b"}]))
    assert [one.external_id for one in meta.parse_inbound(request(batch))] == ["1", "2", "1b", "3"]
    statuses = meta.parse_status(request(batch))
    assert [(one.external_id, one.status) for one in statuses] == [
        ("s1", "sent"),
        ("s2", "read"),
        ("s1", "delivered"),
    ]


def test_one_that_cannot_be_read_holds_nobody_else_up(meta: Meta) -> None:
    batch = document(
        change(messages=[{"id": "x"}, FROM], statuses=[{}, {"id": "s", "status": "sent"}])
    )
    assert [one.external_id for one in meta.parse_inbound(request(batch))] == [WAMID]
    assert [one.external_id for one in meta.parse_status(request(batch))] == ["s"]


NOT_OURS = [
    document(),
    document({"field": "messages", "value": {}}),
    document(change("account_update", event="VERIFIED")),
    document(change("smb_message_echoes", message_echoes=[FROM])),
    document(change(messages=[{**FROM, "group_id": "55"}])),
    document(change(errors=[{"code": 0, "title": "no"}])),
]


@pytest.mark.parametrize("given_", NOT_OURS)
def test_what_is_no_message_of_a_pair_is_passed_over(meta: Meta, given_: Any) -> None:
    assert list(meta.parse_inbound(request(given_))) == []
    assert list(meta.parse_status(request(given_))) == []


JUNK: list[tuple[str, Any, str]] = [
    ("no JSON", b"x", "not JSON"),
    ("not UTF-8", b'{"object":"\xff"}', "not JSON"),
    ("endless depth", b"[" * 50 + b"]" * 50, "nested too deep"),
    ("another object", {"object": "threads", "entry": []}, "object is none of"),
    ("no entry", {"object": "whatsapp_business_account"}, "entry is missing"),
    ("entries that are none", {"object": "page", "entry": ["x"]}, "entry is not a list"),
    ("messages that are none", document(change(messages={"id": 1})), "messages is not a list"),
    ("no id", document(change(messages=[{"from": "15558675310"}])), "id is missing"),
    ("a broken id", document(change(messages=[{**FROM, "id": "a b"}])), "id is not an id"),
    ("an endless id", document(change(messages=[{**FROM, "id": "a" * 257}])), "id is not an id"),
    ("nobody", document(change(messages=[{"id": "1"}])), "from and from_user_id are missing"),
    ("no number", document(change(messages=[{**FROM, "from": "ann"}])), "from is not a phone"),
    (
        "to nobody",
        document(change(metadata={}, messages=[FROM])),
        "phone_number_id is not in phone_numbers",
    ),
    ("a status of nothing", document(change(statuses=[{"status": "sent"}])), "id is missing"),
]


@pytest.mark.parametrize(
    ("given_", "why"), [case[1:] for case in JUNK], ids=[case[0] for case in JUNK]
)
def test_junk_is_refused_with_a_reason(meta: Meta, given_: Any, why: str) -> None:
    for parse in (meta.parse_inbound, meta.parse_status):
        with pytest.raises(Junk, match=why):
            parse(request(given_))


def failed(code: Any, **more: Any) -> dict[str, Any]:
    return {"status": "failed", "errors": [{"code": code, "title": "Oh no", **more}]}


STATUSES: list[tuple[str, dict[str, Any], list[Status]]] = [
    ("sent", {"status": "sent"}, [Status("wa", WAMID, "sent")]),
    ("delivered", {"status": "delivered"}, [Status("wa", WAMID, "delivered")]),
    ("read", {"status": "read"}, [Status("wa", WAMID, "read")]),
    ("heard", {"status": "played"}, [Status("wa", WAMID, "read")]),
    ("accepted", {"status": "accepted"}, [Status("wa", WAMID, None)]),
    ("deleted", {"status": "deleted"}, []),
    ("a word of tomorrow", {"status": "pondered"}, []),
    (
        "with our reference",
        {"status": "sent", "biz_opaque_callback_data": RECEIPT},
        [Status("wa", WAMID, "sent", receipt_sid=RECEIPT)],
    ),
    (
        "with somebody else's reference",
        {"status": "sent", "biz_opaque_callback_data": "order 7"},
        [Status("wa", WAMID, "sent")],
    ),
    (
        "not on WhatsApp",
        failed(131026, error_data={"details": "No +15558675310 here"}),
        [Status("wa", WAMID, "undelivered", 63024, "(131026) No ***5310 here")],
    ),
    (
        "outside the window",
        failed(131047, message="Re-engagement message"),
        [Status("wa", WAMID, "failed", 63016, "(131047) Re-engagement message")],
    ),
    ("marketing", failed(131049), [Status("wa", WAMID, "undelivered", 63049, "(131049) Oh no")]),
    ("too fast", failed(131056), [Status("wa", WAMID, "failed", 63018, "(131056) Oh no")]),
    ("without twin", failed(131000), [Status("wa", WAMID, "failed", 131000, "(131000) Oh no")]),
    ("a code that is none", failed("x"), [Status("wa", WAMID, "failed", None, "Oh no")]),
    ("without a reason", {"status": "failed"}, [Status("wa", WAMID, "failed")]),
]


@pytest.mark.parametrize(
    ("given_", "wanted"), [case[1:] for case in STATUSES], ids=[case[0] for case in STATUSES]
)
def test_a_status_is_read(meta: Meta, given_: dict[str, Any], wanted: list[Status]) -> None:
    told = document(change(statuses=[{"id": WAMID, "recipient_id": "15558675310", **given_}]))
    assert meta.parse_status(request(told)) == wanted
    assert list(meta.parse_inbound(request(told))) == []


@pytest.mark.parametrize(
    ("timestamp", "moment"),
    [
        ("1739321024", SENT_AT),
        (1739321024, SENT_AT),
        ("1739321024500", SENT_AT.replace(microsecond=500_000)),
        ("soon", None),
        ("9" * 16, None),
        ("9" * 400, None),
        (True, None),
    ],
)
def test_a_time_is_seconds_or_milliseconds(
    meta: Meta, timestamp: Any, moment: datetime | None
) -> None:
    told = document(change(messages=[{**FROM, "timestamp": timestamp}]))
    assert [one.sent_at for one in meta.parse_inbound(request(told))] == [moment]


@pytest.mark.parametrize(
    ("secret", "result"),
    [("new", "valid"), ("old", "valid"), ("older", "invalid"), ("", "invalid")],
)
def test_any_of_the_secrets_signs_the_raw_body(meta: Meta, secret: str, result: str) -> None:
    body = '{"a": "ü\\u00fc"}'.encode()
    header = {meta_signature.HEADER: meta_signature.sign(body, secret)}
    assert meta.verify(request(body, **header)) == result
    assert meta.verify(request(body + b" ", **header)) == "invalid"
    assert meta.verify(request(body, **{meta_signature.HEADER: "sha256=ü"})) == "invalid"


def test_the_signature_is_the_documented_one() -> None:
    # RFC 4231, test case 2: HMAC-SHA256 with the key "Jefe".
    assert meta_signature.sign(b"what do ya want for nothing?", "Jefe") == (
        "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )


CHALLENGES: list[tuple[dict[str, str], Answer | None]] = [
    ({}, Answer("1158201444", "text/plain")),
    ({"hub.verify_token": "wort"}, None),
    ({"hub.verify_token": ""}, None),
    ({"hub.mode": "unsubscribe"}, None),
    ({"hub.challenge": ""}, None),
]


@pytest.mark.parametrize(("changes", "answer"), CHALLENGES)
def test_the_door_is_ours_for_who_knows_the_word(
    meta: Meta, changes: dict[str, str], answer: Answer | None
) -> None:
    query = {"hub.mode": "subscribe", "hub.verify_token": "word", "hub.challenge": "1158201444"}
    asked = replace(request(b""), method="GET", query=MultiDict(query | changes))
    assert meta.challenge(asked) == answer


@pytest.mark.parametrize(
    "wrong",
    [
        {"app_secret": []},
        {"verify_token": ""},
        {"phone_numbers": {"x": "+15550783881"}},
        {"phone_numbers": {"1": "15550783881"}},
        {"phone_numbers": {"1": "ann@example.com"}},
        {"phone_numbers": {"1": "whatsapp:US.1"}},
        {"phone_numbers": {"1": "+15550783881", "2": "whatsapp:+15550783881"}},
        {"pages": {"108732": ""}},
        {"base_url": "graph.facebook.com"},
        {"extra": 1},
    ],
)
def test_wrong_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        options(**wrong)


def test_secrets_are_not_shown() -> None:
    hush: dict[str, Any] = {"app_secret": "hush", "verify_token": "hush", "access_token": "hush"}
    given_ = options(**hush, pages={"1": "hush"})
    assert "hush" not in repr(given_) + repr(Meta("wa", given_))


WORDS = st.sampled_from(
    [
        *("object", "entry", "changes", "field", "messages", "statuses", "value", "metadata"),
        *("contacts", "profile", "id", "from", "from_user_id", "type", "text", "body", "image"),
        *("interactive", "button_reply", "nfm_reply", "order", "product_items", "reaction"),
        *("location", "system", "errors", "context", "referral", "status", "code", "timestamp"),
        *("whatsapp_business_account", "page", "messaging", "message", "mid", "sender"),
        *("recipient", "postback", "delivery", "mids", "attachments", "payload", "coordinates"),
    ]
)
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | WORDS
)
SHAPES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=6),
    max_leaves=30,
)
BODIES = st.sampled_from(["text", "image", "contacts", "interactive", "order", "location", "x"])


@given(shape=SHAPES)
def test_whatever_shape_comes_is_read_or_junk(shape: Any) -> None:
    check(shape)


@given(kind=BODIES, said=SHAPES, value=st.dictionaries(WORDS, SHAPES, max_size=4))
def test_whatever_is_in_a_message_is_read_or_junk(kind: str, said: Any, value: Any) -> None:
    told = {**FROM, "type": kind, kind: said, "context": said, "referral": said, "errors": said}
    check(document(change(**(value | {"messages": [told], "statuses": [{"id": "1", **value}]}))))
    event = {"sender": {"id": "1"}, "recipient": {"id": "2"}, "message": said, **value}
    check({"object": "page", "entry": [{"id": "2", "messaging": [event]}]})


def check(shape: Any) -> None:
    meta = Meta("wa", options())
    asked = request(json.dumps(shape).encode())
    for parse in (meta.parse_inbound, meta.parse_status):
        try:
            found = parse(asked)
        except Junk as junk:
            assert str(junk)
        else:
            assert all(one.external_id for one in found)
