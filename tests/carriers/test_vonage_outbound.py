"""Sends to Vonage's API: what is asked, and what each answer means."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import jwt
import pytest

from app.carriers.contract import Context
from app.carriers.vonage import Options, Vonage
from app.carriers.vonage_token import private_key
from app.errors import CarrierError, Permanent, Temporary, Unknown
from app.model.traffic import Accepted, ContentTemplate, MediaPart, Outgoing
from app.rules.content import Deliver
from app.rules.templates import fitted
from tests.support.canned_json import NOON, Answer, Noon, canned, comes_to, cut, page, says
from tests.support.vonage_stand_in import APPLICATION_ID, OPTIONS, PRIVATE_KEY

PHONE, OURS, RECEIPT = "+447700900001", "+447700900000", "DY" + "0f" * 16
STATUS_URL = f"https://talk.example.com/carriers/vo/status?receipt={RECEIPT}"
OUTGOING = Outgoing(RECEIPT, "sms", PHONE, OURS, "Hi & bye +1", (), None, NOON)
UUID = "aaaaaaaa-bbbb-4ccc-8ddd-0123456789ab"
URL = "https://media.example.com/1"


@pytest.fixture
async def context() -> AsyncIterator[Context]:
    async with aiohttp.ClientSession() as http:
        yield Context(http, Noon())


def carrier(url: str, **options: Any) -> Vonage:
    given = OPTIONS | {"base_url": url, "timeout_s": 5} | options
    return Vonage("vo", Options.model_validate(given))


def to(channel: str, body: str | None, *types: str, prefix: str = "") -> Outgoing:
    return replace(
        OUTGOING,
        channel=channel,
        address=f"{prefix}{PHONE}",
        proxy_address=f"{prefix}{OURS}",
        body=body,
        media=tuple(MediaPart(URL, kind) for kind in types),
    )


def asks(channel: str, kind: str, /, **content: Any) -> dict[str, Any]:
    return {
        "channel": channel,
        "message_type": kind,
        "to": "447700900001",
        "from": "447700900000",
        "client_ref": RECEIPT,
        **content,
    }


def refuses(status: int, kind: str, *names: str, **headers: str) -> Answer:
    said: dict[str, Any] = {
        "type": f"https://developer.vonage.com/api-errors/messages#{kind}",
        "title": "No",
        "detail": "never",
    }
    if names:
        said["invalid_parameters"] = [{"name": name, "reason": "bad"} for name in names]
    return says(status, said, **headers)


CAPTIONED = {"url": URL, "caption": "Hi"}
REQUESTS: list[tuple[str, Outgoing, dict[str, Any]]] = [
    ("a text", OUTGOING, asks("sms", "text", text="Hi & bye +1")),
    (
        "a status URL",
        replace(OUTGOING, status_url=STATUS_URL),
        asks("sms", "text", text="Hi & bye +1", webhook_url=STATUS_URL, webhook_version="v1"),
    ),
    (
        "a short code",
        replace(OUTGOING, proxy_address="32665"),
        asks("sms", "text", text=OUTGOING.body) | {"from": "32665"},
    ),
    ("mms: an image", to("mms", "Hi", "image/png"), asks("mms", "image", image=CAPTIONED)),
    ("mms: a sound", to("mms", None, "audio/amr"), asks("mms", "audio", audio={"url": URL})),
    ("mms: a contact", to("mms", None, "text/x-vcard"), asks("mms", "vcard", vcard={"url": URL})),
    ("mms: a document", to("mms", None, "application/pdf"), asks("mms", "file", file={"url": URL})),
    (
        "mms: a sticker is an image",
        to("mms", None, "image/webp"),
        asks("mms", "image", image={"url": URL}),
    ),
    (
        "mms: several files",
        to("mms", "Hi", "image/png", "video/mp4; codecs=x"),
        asks(
            "mms",
            "content",
            content=[{"type": "image", **CAPTIONED}, {"type": "video", "url": URL}],
        ),
    ),
    ("whatsapp", to("whatsapp", "Hi", prefix="whatsapp:"), asks("whatsapp", "text", text="Hi")),
    (
        "whatsapp: a document",
        to("whatsapp", "Hi", "application/pdf", prefix="whatsapp:"),
        asks("whatsapp", "file", file=CAPTIONED),
    ),
    (
        "whatsapp: a sticker",
        to("whatsapp", None, "image/webp", prefix="whatsapp:"),
        asks("whatsapp", "sticker", sticker={"url": URL}),
    ),
    (
        "whatsapp: a contact is a document",
        to("whatsapp", None, "text/vcard", prefix="whatsapp:"),
        asks("whatsapp", "file", file={"url": URL}),
    ),
    (
        "messenger",
        replace(OUTGOING, channel="messenger", address="messenger:01", proxy_address="messenger:2"),
        asks("messenger", "text", text="Hi & bye +1") | {"to": "01", "from": "2"},
    ),
    (
        "rcs: a sound is a file",
        replace(to("rcs", None, "audio/ogg", prefix="rcs:"), proxy_address="rcs:Agent"),
        asks("rcs", "file", file={"url": URL}) | {"from": "Agent"},
    ),
]

REPLIES = {"twilio/quick-reply": {"body": "Hi {{1}}?", "actions": [{"title": "Yes", "id": "y"}]}}
PICTURE = {"twilio/media": {"body": "Hi {{1}}.", "media": [f"{URL}.png"]}}
PLACE = {"twilio/location": {"latitude": 52.5, "longitude": 13.4, "label": "Us"}}
LANGUAGE = {"policy": "deterministic", "code": "en_GB"}
ANN = {"type": "body", "parameters": [{"type": "text", "text": "Ann"}]}
YES = {
    "type": "button",
    "sub_type": "quick_reply",
    "index": "0",
    "parameters": [{"type": "payload", "payload": "y"}],
}
TEMPLATES: list[tuple[str, Any, str, bool, dict[str, Any]]] = [
    (
        "approved",
        REPLIES,
        "hello",
        False,
        {
            "type": "template",
            "template": {
                "name": "hello",
                "language": LANGUAGE,
                "components": [ANN, YES],
            },
        },
    ),
    (
        "approved, with a picture",
        PICTURE,
        "hello",
        False,
        {
            "type": "template",
            "template": {
                "name": "hello",
                "language": LANGUAGE,
                "components": [
                    {
                        "type": "header",
                        "parameters": [{"type": "image", "image": {"link": f"{URL}.png"}}],
                    },
                    ANN,
                ],
            },
        },
    ),
    (
        "buttons in a session",
        REPLIES,
        "hello",
        True,
        {
            "type": "interactive",
            "interactive": {
                "type": "button",
                "body": {"text": "Hi Ann?"},
                "action": {"buttons": [{"type": "reply", "reply": {"id": "y", "title": "Yes"}}]},
            },
        },
    ),
    (
        "a place",
        PLACE,
        "hello",
        True,
        {"type": "location", "location": {"latitude": 52.5, "longitude": 13.4, "name": "Us"}},
    ),
]


def of(types: Any, name: str, in_session: bool) -> Outgoing:
    """A message of an approved template that WhatsApp knows by this name."""
    content = ContentTemplate(
        "HX1",
        "en-GB",
        types,
        variables={"1": "Ann"},
        approval="approved",
        names={"vo": {"name": name}} if name else {},
    )
    fitting = fitted("whatsapp", None, (), "twilio", content, in_session)
    assert isinstance(fitting, Deliver)
    base = to("whatsapp", fitting.body, prefix="whatsapp:")
    return replace(base, media=fitting.media, template=fitting.template)


IMPOSSIBLE: list[tuple[str, Outgoing]] = [
    ("whatsapp: a sound with a text", to("whatsapp", "Hi", "audio/ogg")),
    ("whatsapp: two files", to("whatsapp", None, "image/png", "image/png")),
    ("messenger: a file with a text", to("messenger", "Hi", "image/png")),
    ("rcs: a file with a text", to("rcs", "Hi", "image/png")),
    ("sms: a file", to("sms", None, "image/png")),
]

OUTCOMES: list[tuple[str, Answer, Accepted | CarrierError]] = [
    ("accepted", says(202, {"message_uuid": UUID}), Accepted(UUID)),
    ("accepted without a name", says(202, {}), Unknown("")),
    ("accepted without JSON", page(202), Unknown("")),
    ("a bad number", refuses(422, "1150", "to"), Permanent("No: never", 21211)),
    ("a bad file", refuses(422, "1150", "image.url"), Permanent("", 21620)),
    ("a text too long", refuses(422, "1150", "x", "text"), Permanent("", 21617)),
    ("a sender of others", refuses(422, "1120"), Permanent("", 21606)),
    ("another channel", refuses(422, "1100"), Permanent("", 63005)),
    ("a number of tomorrow", refuses(422, "1999"), Permanent("", 30008)),
    ("a word", refuses(400, "invalid-json"), Permanent("", 30008)),
    ("a wrong token", refuses(401, "unauthorized"), Temporary("No: never", 20003, down=True)),
    ("no money", refuses(402, "low-balance"), Temporary("No: never", 20005)),
    ("not allowed", refuses(403, "forbidden"), Temporary("No: never", 20003)),
    ("a wrong URL", page(404), Temporary("HTTP 404", 20503)),
    ("a proxy's refusal", page(400), Temporary("HTTP 400 without an error of Vonage's")),
    ("a redirect", says(307, None, Location="http://127.0.0.1:1/"), Temporary("HTTP 307")),
    (
        "throttled",
        refuses(429, "1010", Retry_After="7"),
        Temporary("No: never", 20429, 7.0),
    ),
    ("throttled by a proxy", page(429), Temporary("HTTP 429", 20429)),
    ("Vonage's own failure", refuses(500, "1000"), Unknown("No: never", 30008)),
    ("somebody's failure", page(502), Unknown("HTTP 502", 30008)),
    ("a connection that breaks", cut, Unknown("")),
]


@pytest.mark.parametrize(
    ("outgoing", "expected"), [case[1:] for case in REQUESTS], ids=[case[0] for case in REQUESTS]
)
async def test_what_is_sent(outgoing: Outgoing, expected: dict[str, Any], context: Context) -> None:
    async with canned(says(202, {"message_uuid": UUID})) as server:
        await carrier(server.url).send(outgoing, context)
    (asked,) = server.asked
    assert (asked.method, asked.path, asked.body) == ("POST", "/v1/messages", expected)
    token = asked.headers["Authorization"].removeprefix("Bearer ")
    key = private_key(PRIVATE_KEY).public_key()
    checks: Any = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(token, key, algorithms=["RS256"], options=checks)
    assert (claims["application_id"], claims["iat"]) == (APPLICATION_ID, int(NOON.timestamp()))


@pytest.mark.parametrize(
    ("types", "name", "in_session", "expected"),
    [case[1:] for case in TEMPLATES],
    ids=[case[0] for case in TEMPLATES],
)
async def test_a_template_goes_in_whatsapp_s_own_words(
    types: Any, name: str, in_session: bool, expected: dict[str, Any], context: Context
) -> None:
    async with canned(says(202, {"message_uuid": UUID})) as server:
        await carrier(server.url).send(of(types, name, in_session), context)
    assert server.asked[0].body == asks("whatsapp", "custom", custom=expected)


async def test_a_template_that_has_no_name_goes_as_text(context: Context) -> None:
    async with canned(*[says(202, {"message_uuid": UUID})] * 2) as server:
        await carrier(server.url).send(of(REPLIES, "", False), context)
        await carrier(server.url).send(of(PICTURE, "", False), context)
    captioned = {"url": f"{URL}.png", "caption": "Hi Ann."}
    assert [asked.body for asked in server.asked] == [
        asks("whatsapp", "text", text="Hi Ann?\n- Yes"),
        asks("whatsapp", "image", image=captioned),
    ]


@pytest.mark.parametrize(
    "outgoing", [case[1] for case in IMPOSSIBLE], ids=[case[0] for case in IMPOSSIBLE]
)
async def test_what_no_message_can_be_is_refused_without_asking(
    outgoing: Outgoing, context: Context
) -> None:
    async with canned() as server:
        with pytest.raises(Permanent) as refused:
            await carrier(server.url).send(outgoing, context)
    assert (refused.value.code, server.asked) == (63005, [])


@pytest.mark.parametrize(
    ("answer", "expected"), [case[1:] for case in OUTCOMES], ids=[case[0] for case in OUTCOMES]
)
async def test_what_an_answer_means(
    answer: Answer, expected: Accepted | CarrierError, context: Context
) -> None:
    async with canned(answer) as server:
        await comes_to(carrier(server.url).send(OUTGOING, context), expected)


async def test_it_cannot_be_asked_what_became_of_a_send(context: Context) -> None:
    one = carrier("http://127.0.0.1:1", unknown_wait_s=45)
    assert (one.can_look_up, one.look_up_after_s) == (False, 45)
    assert await one.look_up(OUTGOING, context) is None
