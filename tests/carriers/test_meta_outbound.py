"""Sends to the Graph API: what is asked, what each answer means, and where a file is."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from app.carriers import meta_errors
from app.carriers.contract import Context, MediaKeeper, MediaSource
from app.carriers.meta import Meta, Options
from app.clock import Clock
from app.errors import CarrierError, Permanent, Temporary, Unknown
from app.model.traffic import Accepted, MediaPart, Outgoing

NOW = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)
RECEIPT = "DY" + "0f" * 16
ID, OURS, PHONE = "106540352242922", "whatsapp:+15550783881", "whatsapp:+15558675310"
USER = "US.13491208655302741918"
TEXT = Outgoing(RECEIPT, "whatsapp", PHONE, OURS, "Hi & bye", (), "https://t.example/s", NOW)
CHAT = replace(
    TEXT, channel="messenger", address="messenger:5678", proxy_address="messenger:108732"
)
GRAM = replace(TEXT, channel="instagram", address="instagram:5678", proxy_address="instagram:17841")
JPEG = MediaPart("https://m.example/1", "image/jpeg")

Answer = Callable[[web.Request], web.StreamResponse]


class Noon(Clock):
    """It is always noon."""

    def now(self) -> datetime:
        return NOW


@dataclass
class Canned:
    """A server that gives one answer and keeps what it was asked."""

    answer: Answer
    seen: list[tuple[str, str, Any, str]] = field(default_factory=list)
    url: str = ""

    async def take(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        said = orjson.loads(body) if body else None
        bearer = request.headers.get("Authorization", "")
        self.seen.append((request.method, request.path_qs, said, bearer))
        return self.answer(request)


@asynccontextmanager
async def canned(answer: Answer) -> AsyncIterator[Canned]:
    server = Canned(answer)
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v25.0"
    try:
        yield server
    finally:
        await runner.cleanup()


@pytest.fixture
async def context() -> AsyncIterator[Context]:
    async with aiohttp.ClientSession() as http:
        yield Context(http, Noon())


def carrier(url: str, **options: Any) -> Meta:
    given = {
        "app_secret": "s",
        "verify_token": "w",
        "access_token": "token",
        "phone_numbers": {ID: "+15550783881"},
        "pages": {"108732": "page-token"},
        "instagram": {"17841": "page-token"},
        "base_url": url,
        "timeout_s": 5,
    }
    return Meta("wa", Options.model_validate(given | options))


def says(status: int, said: Any = None, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request: web.json_response(said, status=status, headers=named)


def error(code: Any, subcode: int | None = None, **more: Any) -> dict[str, Any]:
    given = {"message": "no", "type": "OAuthException", "code": code, "fbtrace_id": "A", **more}
    return {"error": given if subcode is None else {**given, "error_subcode": subcode}}


def cut(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


TAKEN = says(200, {"messaging_product": "whatsapp", "messages": [{"id": "wamid.1"}]})
TAKEN_CHAT = says(200, {"recipient_id": "5678", "message_id": "m_1"})


def whatsapp(kind: str, said: Any, **changes: Any) -> dict[str, Any]:
    about = {"messaging_product": "whatsapp", "recipient_type": "individual", "to": "+15558675310"}
    return {**about, "type": kind, kind: said, "biz_opaque_callback_data": RECEIPT, **changes}


def file(content_type: str, filename: str | None = None) -> MediaPart:
    return MediaPart("https://m.example/1", content_type, 10, filename)


def sends(body: str | None, part: MediaPart) -> Outgoing:
    return replace(TEXT, body=body, media=(part,))


LINK = {"link": "https://m.example/1"}
REQUESTS: list[tuple[str, Outgoing, dict[str, Any]]] = [
    ("a text", TEXT, whatsapp("text", {"body": "Hi & bye"})),
    ("a photo", sends(None, JPEG), whatsapp("image", LINK)),
    ("a caption", sends("Look", JPEG), whatsapp("image", {**LINK, "caption": "Look"})),
    ("a video", sends("x", file("video/mp4")), whatsapp("video", {**LINK, "caption": "x"})),
    (
        "a sound, which has no caption",
        sends("x", file("audio/ogg; codecs=opus")),
        whatsapp("audio", LINK),
    ),
    ("a sticker", sends(None, file("image/webp")), whatsapp("sticker", LINK)),
    (
        "a document",
        sends("x", file("application/pdf", "a.pdf")),
        whatsapp("document", {**LINK, "caption": "x", "filename": "a.pdf"}),
    ),
    ("a file of no type", sends(None, file("")), whatsapp("document", LINK)),
]


@pytest.mark.parametrize(
    ("outgoing", "body"), [case[1:] for case in REQUESTS], ids=[case[0] for case in REQUESTS]
)
async def test_what_is_sent_on_whatsapp(
    outgoing: Outgoing, body: dict[str, Any], context: Context
) -> None:
    async with canned(TAKEN) as server:
        assert await carrier(server.url).send(outgoing, context) == Accepted("wamid.1")
    assert server.seen == [("POST", f"/v25.0/{ID}/messages", body, "Bearer token")]


@pytest.mark.parametrize("user", [USER, "US.ENT.11815799212886844830"])
async def test_people_without_a_number_are_the_recipient(user: str, context: Context) -> None:
    async with canned(TAKEN) as server:
        await carrier(server.url).send(replace(TEXT, address=f"whatsapp:{user}"), context)
    body = whatsapp("text", {"body": "Hi & bye"}, recipient=user)
    assert server.seen[0][2] == {name: value for name, value in body.items() if name != "to"}


CHATS: list[tuple[str, Outgoing, dict[str, Any]]] = [
    ("a text", CHAT, {"text": "Hi & bye"}),
    (
        "a photo",
        replace(CHAT, body=None, media=(JPEG,)),
        {"attachment": {"type": "image", "payload": {"url": "https://m.example/1"}}},
    ),
    (
        "an archive",
        replace(CHAT, body=None, media=(file("application/zip"),)),
        {"attachment": {"type": "file", "payload": {"url": "https://m.example/1"}}},
    ),
]


@pytest.mark.parametrize(
    ("outgoing", "content"), [case[1:] for case in CHATS], ids=[case[0] for case in CHATS]
)
async def test_what_is_sent_on_messenger(
    outgoing: Outgoing, content: dict[str, Any], context: Context
) -> None:
    async with canned(TAKEN_CHAT) as server:
        accepted = await carrier(server.url).send(outgoing, context)
    assert accepted == Accepted("m_1", "sent")
    body = {
        "recipient": {"id": "5678"},
        "messaging_type": "RESPONSE",
        "message": {**content, "metadata": RECEIPT},
    }
    assert server.seen == [("POST", "/v25.0/108732/messages", body, "Bearer page-token")]


USAGE = '{"1022901": [{"type": "messages", "estimated_time_to_regain_access": 2}, {}, 1], "x": 1}'
OUTCOMES: list[tuple[str, Answer, CarrierError]] = [
    ("accepted without a name", says(200, {"messages": [{}]}), Unknown("")),
    ("accepted without JSON", lambda r: web.Response(status=200, text="OK"), Unknown("")),
    ("outside the window", says(400, error(131047)), Permanent("", 63016)),
    ("not on WhatsApp", says(400, error(131026)), Permanent("", 63024, "undelivered")),
    ("no such template", says(404, error(132001)), Permanent("", 63027)),
    ("wrong in itself", says(400, error(100)), Permanent("", 63021)),
    ("a code without twin", says(400, error(131999)), Permanent("", 131999)),
    ("final, although a failure", says(500, error(131009)), Permanent("", 63021)),
    ("a phone number id that is gone", says(400, error(100, 33)), Temporary("", 100)),
    ("a token that is not good", says(401, error(190)), Temporary("", 190)),
    ("an app that may not", says(403, error(10)), Temporary("", 10)),
    ("no permission", says(403, error(299)), Temporary("", 299)),
    ("signed out", says(401, error(0)), Temporary("")),
    ("an account that is locked", says(403, error(131031)), Temporary("", 131031)),
    ("media not fetched", says(400, error(131053)), Temporary("", 63019)),
    ("unavailable", says(503, error(131016)), Temporary("", 131016)),
    *(
        (f"throttled by {code}", says(400, error(code), Retry_After="7"), Temporary("", 63018, 7.0))
        for code in sorted(meta_errors.THROTTLED)
    ),
    (
        "throttled for minutes",
        says(400, error(80007), X_Business_Use_Case_Usage=USAGE),
        Temporary("", 63018, 120.0),
    ),
    (
        "throttled in odd words",
        says(400, error(80007), X_Business_Use_Case_Usage="[1"),
        Temporary("", 63018),
    ),
    ("throttled by a proxy", says(429, None, Retry_After="3"), Temporary("", None, 3.0)),
    ("Meta's own failure", says(500, error(131000)), Unknown("", 131000)),
    ("somebody's failure", lambda r: web.Response(status=502, text="<html>"), Unknown("")),
    ("a proxy's refusal", lambda r: web.Response(status=403, text="<html>"), Temporary("")),
    ("a code that is none", says(400, error("x")), Temporary("")),
    ("an error that is none", says(400, {"error": "x"}), Temporary("")),
    ("a redirect", says(307, None, Location="http://127.0.0.1:1/"), Temporary("")),
    ("a connection that breaks", cut, Unknown("")),
]


async def outcome(sent: Outgoing, answer: Answer, context: Context) -> CarrierError:
    async with canned(answer) as server:
        with pytest.raises(CarrierError) as raised:
            await carrier(server.url).send(sent, context)
    return raised.value


def same(raised: CarrierError, expected: CarrierError) -> None:
    assert type(raised) is type(expected)
    assert raised.code == expected.code
    for name in ("retry_after_s", "status"):
        assert getattr(raised, name, None) == getattr(expected, name, None)


@pytest.mark.parametrize(
    ("answer", "expected"), [case[1:] for case in OUTCOMES], ids=[case[0] for case in OUTCOMES]
)
async def test_what_an_answer_means(
    answer: Answer, expected: CarrierError, context: Context
) -> None:
    same(await outcome(TEXT, answer, context), expected)


# The token of the system user is that of all numbers, a page's is its own; the other codes are
# about one business account.
LET_IN: list[tuple[Outgoing, int, bool, bool]] = [
    (TEXT, 0, True, True),
    (TEXT, 190, True, True),
    *((TEXT, code, False, True) for code in (368, 131031, 131042)),
    *((TEXT, code, False, False) for code in (131056, 10)),
    *((CHAT, code, False, True) for code in (0, 190, 368)),
    *((GRAM, code, False, True) for code in (0, 190, 368)),
    (CHAT, 613, False, False),
]


@pytest.mark.parametrize(("sent", "code", "down", "barred"), LET_IN)
async def test_the_carrier_fails_only_when_nobody_is_let_in(
    sent: Outgoing, code: int, down: bool, barred: bool, context: Context
) -> None:
    found = await outcome(sent, says(401, error(code)), context)
    assert isinstance(found, Temporary)
    assert (found.down, found.barred) == (down, barred)


CHAT_OUTCOMES: list[tuple[str, Answer, CarrierError]] = [
    ("accepted without a name", says(200, {"recipient_id": "5678"}), Unknown("")),
    ("outside the window", says(403, error(10, 2018278)), Permanent("", 63016)),
    ("no such person", says(400, error(100, 2018001)), Permanent("", 63003)),
    ("blocked", says(403, error(551, 1545041)), Permanent("", 63033, "undelivered")),
    ("not this page", says(403, error(200, 1545041)), Permanent("", 63033, "undelivered")),
    ("no permission", says(403, error(200)), Temporary("", 200)),
    ("try again", says(500, error(1200)), Temporary("", 1200)),
    ("throttled", says(400, error(613)), Temporary("", 63018)),
]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [case[1:] for case in CHAT_OUTCOMES],
    ids=[case[0] for case in CHAT_OUTCOMES],
)
async def test_what_an_answer_of_messenger_means(
    answer: Answer, expected: CarrierError, context: Context
) -> None:
    same(await outcome(CHAT, answer, context), expected)


@pytest.mark.parametrize(
    ("status", "code", "throttled"),
    [
        *((400, code, code != 131056) for code in sorted(meta_errors.THROTTLED)),
        (429, 131056, False),
        (429, 131016, True),
        (503, 131016, False),
    ],
)
async def test_the_sender_is_to_send_less_unless_it_is_about_the_pair(
    status: int, code: int, throttled: bool, context: Context
) -> None:
    found = await outcome(TEXT, says(status, error(code)), context)
    assert isinstance(found, Temporary)
    assert found.throttled is throttled


async def test_the_words_of_an_error_are_metas_without_numbers(context: Context) -> None:
    said = error(131026, error_data={"details": "+15558675310 is not on WhatsApp"})
    raised = await outcome(TEXT, says(400, said), context)
    assert raised.message == "(131026) ***5310 is not on WhatsApp"


async def test_nobody_listening_is_temporary(context: Context) -> None:
    async with canned(cut) as server:
        pass
    with pytest.raises(Temporary):
        await carrier(server.url).send(TEXT, context)


@pytest.mark.parametrize(
    ("outgoing", "options", "why"),
    [
        (TEXT, {"phone_numbers": {}}, "phone_numbers .* whatsapp:.{3}3881"),
        (TEXT, {"access_token": None}, "access_token"),
        (CHAT, {"pages": {}}, "pages .* messenger:.{3}8732"),
    ],
)
async def test_what_the_file_does_not_say_is_for_the_operator_to_mend(
    outgoing: Outgoing, options: dict[str, Any], why: str, context: Context
) -> None:
    with pytest.raises(Temporary, match=why):
        await carrier("http://127.0.0.1:1", **options).send(outgoing, context)


async def test_a_channel_that_is_not_metas_is_refused(context: Context) -> None:
    with pytest.raises(Permanent, match="sms"):
        await carrier("http://127.0.0.1:1").send(replace(TEXT, channel="sms"), context)


async def test_nobody_can_be_asked_what_became_of_a_send(context: Context) -> None:
    meta = carrier("http://127.0.0.1:1", wait_for_status_s=5)
    assert (meta.can_look_up, meta.look_up_after_s) == (False, 5)
    assert await meta.look_up(TEXT, context) is None


CDN = "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=77&ext=1&hash=x"


async def test_a_file_is_where_the_api_says_and_opened_by_the_token(context: Context) -> None:
    async with canned(says(200, {"url": CDN, "mime_type": "image/jpeg", "id": "77"})) as server:
        keeper: MediaKeeper = carrier(server.url)
        assert isinstance(keeper, MediaKeeper)
        source = await keeper.media_source(f"{server.url}/77", context)
        older = await keeper.media_source(server.url.replace("v25.0", "v24.0") + "/77", context)
    assert source.url == older.url == CDN
    assert source.headers["Authorization"] == "Bearer token"
    assert server.seen == [("GET", "/v25.0/77", None, "Bearer token")] * 2


@pytest.mark.parametrize("url", ["https://scontent.xx.fbcdn.net/77", "https://m.example/a?b"])
async def test_a_file_elsewhere_is_fetched_without_the_token(url: str, context: Context) -> None:
    assert await carrier("http://127.0.0.1:1").media_source(url, context) == MediaSource(url, {})


GONE: list[tuple[str, Answer, CarrierError]] = [
    ("gone", says(404, error(131052)), Permanent("", 63019)),
    ("never there", says(400, error(100)), Permanent("", 63019)),
    ("throttled", says(400, error(80007), Retry_After="2"), Temporary("", 63018, 2.0)),
    ("Meta's own failure", says(500, None), Temporary("")),
    ("cut", cut, Temporary("")),
    ("nowhere", says(200, {}), Temporary("")),
    ("in a strange place", says(200, {"url": "file:///etc/passwd"}), Temporary("")),
]


@pytest.mark.parametrize(
    ("answer", "expected"), [case[1:] for case in GONE], ids=[case[0] for case in GONE]
)
async def test_a_file_that_cannot_be_had(
    answer: Answer, expected: CarrierError, context: Context
) -> None:
    async with canned(answer) as server:
        with pytest.raises(CarrierError) as raised:
            await carrier(server.url).media_source(f"{server.url}/77", context)
    same(raised.value, expected)


async def test_without_a_token_no_file_is_asked_for(context: Context) -> None:
    meta = carrier("http://127.0.0.1:1", access_token=None)
    with pytest.raises(Temporary, match="access_token"):
        await meta.media_source("http://127.0.0.1:1/77", context)
