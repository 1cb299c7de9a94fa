"""Sends to Twilio's API: what is asked, and what each answer means."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from app.carriers.contract import Context, MediaKeeper
from app.carriers.exchange import ANSWER_BYTES_MAX, without_numbers
from app.carriers.twilio import Options, Twilio
from app.clock import Clock
from app.errors import CarrierError, Permanent, Temporary, Unknown
from app.model.traffic import Accepted, ContentTemplate, MediaPart, Outgoing, Template

ACCOUNT, TOKEN = "AC" + "1" * 32, "first"
SERVICE = "MG" + "2" * 32
NOW = datetime(2026, 5, 4, 12, 0, 0, 500_000, UTC)
PATH = f"/2010-04-01/Accounts/{ACCOUNT}/Messages.json"
PHONE, OURS = "+15558675310", "+15005550006"
IMAGES = tuple(MediaPart(f"https://media.example.com/{n}.png", "image/png") for n in range(2))
OUTGOING = Outgoing("DY" + "0f" * 16, "sms", PHONE, OURS, "Hi & bye +1", (), None, NOW)

Answer = Callable[[web.Request], web.StreamResponse]


class Noon(Clock):
    """It is always noon."""

    def now(self) -> datetime:
        return NOW


@dataclass
class Canned:
    """A server that gives canned answers, in turn, and keeps what it was asked."""

    answers: list[Answer]
    seen: list[tuple[str, str, list[tuple[str, str]], str]] = field(default_factory=list)
    url: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        form = [(name, str(value)) for name, value in (await request.post()).items()]
        pairs = form or list(request.query.items())
        self.seen.append((request.method, request.path, pairs, request.headers["Authorization"]))
        return self.answers.pop(0)(request)


@asynccontextmanager
async def canned(*answers: Answer) -> AsyncIterator[Canned]:
    server = Canned(list(answers))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield server
    await runner.cleanup()


@pytest.fixture
async def context() -> AsyncIterator[Context]:
    async with aiohttp.ClientSession() as http:
        yield Context(http, Noon())


def carrier(url: str, **options: Any) -> Twilio:
    given = {"account_sid": ACCOUNT, "auth_token": [TOKEN, "next"], "base_url": url}
    return Twilio("tw", Options.model_validate(given | {"timeout_s": 5} | options))


def says(status: int, said: Any = None, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request: web.json_response(said, status=status, headers=named)


def cut(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def error(code: Any, message: str = "no") -> dict[str, Any]:
    return {"code": code, "message": message, "more_info": "", "status": 400}


REQUESTS: list[tuple[str, Outgoing, dict[str, Any], list[tuple[str, str]]]] = [
    ("a text", OUTGOING, {}, [("To", PHONE), ("From", OURS), ("Body", "Hi & bye +1")]),
    (
        "media and a status URL",
        replace(OUTGOING, body=None, media=IMAGES, status_url="https://t.example/s?receipt=DY1"),
        {},
        [
            ("To", PHONE),
            ("From", OURS),
            ("MediaUrl", IMAGES[0].url),
            ("MediaUrl", IMAGES[1].url),
            ("StatusCallback", "https://t.example/s?receipt=DY1"),
        ],
    ),
    (
        "through a messaging service",
        replace(OUTGOING, body="ü"),
        {"messaging_service_sid": SERVICE},
        [("To", PHONE), ("From", OURS), ("MessagingServiceSid", SERVICE), ("Body", "ü")],
    ),
]

CONTENT = ContentTemplate("HX1", "en", {"twilio/text": {"body": "Hi {{1}}"}})
MISNAMED = replace(CONTENT, names={"tw": {"sid": "../Messages"}})
NAMED = replace(CONTENT, names={"tw": {"sid": "HX" + "7" * 32}, "other": {"sid": "HX8"}})


def templated(content: ContentTemplate, **variables: str) -> Outgoing:
    template = Template(content, "twilio/text", {"body": "Hi Ann"}, variables)
    return replace(OUTGOING, body="Hi Ann", media=IMAGES[:1], template=template)


REQUESTS += [
    (
        "a template that the account knows",
        templated(NAMED, **{"1": "Ann"}),
        {},
        [
            ("To", PHONE),
            ("From", OURS),
            ("ContentSid", "HX" + "7" * 32),
            ("ContentVariables", '{"1":"Ann"}'),
        ],
    ),
    (
        "a template without variables",
        templated(NAMED),
        {},
        [("To", PHONE), ("From", OURS), ("ContentSid", "HX" + "7" * 32)],
    ),
    (
        "a template that it does not know",
        templated(CONTENT, **{"1": "Ann"}),
        {},
        [("To", PHONE), ("From", OURS), ("Body", "Hi Ann"), ("MediaUrl", IMAGES[0].url)],
    ),
]

OUTCOMES: list[tuple[str, Answer, Accepted | CarrierError]] = [
    ("queued", says(201, {"sid": "SM1", "status": "queued"}), Accepted("SM1")),
    ("sent at once", says(201, {"sid": "SM1", "status": "sent"}), Accepted("SM1", "sent")),
    ("a status of tomorrow", says(201, {"sid": "SM1", "status": "pondered"}), Accepted("SM1")),
    ("accepted without a name", says(201, {"status": "queued"}), Unknown("")),
    ("accepted without JSON", lambda r: web.Response(status=200, text="OK"), Unknown("")),
    ("accepted in endless words", says(201, "x" * ANSWER_BYTES_MAX), Unknown("")),
    ("opted out", says(400, error(21610)), Permanent("no", 21610)),
    ("a bad number", says(400, error(21211)), Permanent("no", 21211)),
    ("a full queue", says(400, error(30001)), Temporary("no", 30001)),
    ("a channel's rate", says(400, error(63018)), Temporary("no", 63018)),
    ("a wrong token", says(401, error(20003)), Temporary("no", 20003, down=True)),
    ("a token that is not known", says(401, None), Temporary("", down=True)),
    ("an account that is closed", says(400, error(20005)), Temporary("", 20005, down=True)),
    ("a wrong account", says(404, error(20404)), Temporary("no", 20404)),
    ("not allowed", says(403, error(21408)), Temporary("no", 21408)),
    ("a proxy's refusal", lambda r: web.Response(status=400, text="<html>"), Temporary("")),
    ("a code that is none", says(400, error("x")), Temporary("")),
    ("a redirect", says(307, None, Location="http://127.0.0.1:1/"), Temporary("")),
    ("throttled", says(429, error(20429), Retry_After="7"), Temporary("no", 20429, 7.0)),
    ("throttled by a proxy", says(429, None), Temporary("HTTP 429")),
    (
        "throttled until a date",
        says(429, error(20429), Retry_After="Mon, 04 May 2026 12:00:10 GMT"),
        Temporary("no", 20429, 9.5),
    ),
    (
        "throttled until a date gone by",
        says(429, error(20429), Retry_After="Mon, 04 May 2026 11:00:00 GMT"),
        Temporary("no", 20429, 0.0),
    ),
    ("throttled for nonsense", says(429, error(20429), Retry_After="soon"), Temporary("", 20429)),
    ("Twilio's own failure", says(500, error(20500)), Unknown("no", 20500)),
    ("unavailable", says(503, error(20503), Retry_After="3"), Temporary("", 20503, 3.0, down=True)),
    ("somebody's failure", lambda r: web.Response(status=502, text="<html>"), Unknown("")),
    ("a connection that breaks", cut, Unknown("")),
]


@pytest.mark.parametrize(
    ("outgoing", "options", "form"),
    [case[1:] for case in REQUESTS],
    ids=[case[0] for case in REQUESTS],
)
async def test_what_is_sent(
    outgoing: Outgoing, options: dict[str, Any], form: list[tuple[str, str]], context: Context
) -> None:
    async with canned(says(201, {"sid": "SM1", "status": "queued"})) as server:
        await carrier(server.url, **options).send(outgoing, context)
    basic = "Basic " + b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
    assert server.seen == [("POST", PATH, form, basic)]


@pytest.mark.parametrize(
    ("answer", "expected"), [case[1:] for case in OUTCOMES], ids=[case[0] for case in OUTCOMES]
)
async def test_what_an_answer_means(
    answer: Answer, expected: Accepted | CarrierError, context: Context
) -> None:
    async with canned(answer) as server:
        sending = carrier(server.url).send(OUTGOING, context)
        if isinstance(expected, Accepted):
            assert await sending == expected
            return
        with pytest.raises(CarrierError) as raised:
            await sending
    assert type(raised.value) is type(expected)
    assert raised.value.code == expected.code
    assert (raised.value.down, raised.value.barred) == (expected.down, expected.barred)
    if isinstance(expected, Temporary):
        assert isinstance(raised.value, Temporary)
        assert raised.value.retry_after_s == expected.retry_after_s
        too_many = expected.code == 20429 or expected.message == "HTTP 429"
        assert raised.value.throttled is too_many


async def test_nobody_listening_is_temporary(context: Context) -> None:
    async with canned() as server:
        pass
    with pytest.raises(Temporary):
        await carrier(server.url).send(OUTGOING, context)


async def test_an_answer_that_does_not_come_is_unknown(context: Context) -> None:
    async def never(request: web.Request) -> web.StreamResponse:
        await request.content.read()
        waiting = web.StreamResponse()
        waiting.content_length = 10
        await waiting.prepare(request)
        return waiting

    app = web.Application()
    app.router.add_post("/{path:.*}", never)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    with pytest.raises(Unknown):
        await carrier(url, timeout_s=0.2).send(OUTGOING, context)
    await runner.cleanup()


def row(**changes: Any) -> dict[str, Any]:
    return {
        "sid": "SM1",
        "to": PHONE,
        "from": OURS,
        "body": OUTGOING.body,
        "num_media": "0",
        "direction": "outbound-api",
        "status": "delivered",
        "date_created": format_datetime(NOW.replace(microsecond=0)),
    } | changes


EARLY = format_datetime(NOW - timedelta(seconds=31))
FOUND = Accepted("SM1", "delivered")
LOOK_UPS: list[tuple[str, list[dict[str, Any]], list[Accepted]]] = [
    ("nothing", [], []),
    ("it", [row()], [FOUND]),
    (
        "it, two seconds off",
        [row(date_created=format_datetime(NOW - timedelta(seconds=1)))],
        [FOUND],
    ),
    ("one from before", [row(date_created=EARLY)], []),
    ("one from before and it", [row(sid="SM0", date_created=EARLY), row()], [FOUND]),
    ("another text", [row(body="Ho")], []),
    ("a text with media", [row(num_media="1")], []),
    ("an inbound", [row(direction="inbound")], []),
    ("another pair", [row(to=OURS)], []),
    (
        "a date that is none",
        [row(date_created="x"), row(sid="SM2", date_created=None)],
        [],
    ),
    ("two", [row(), row(sid="SM2")], [FOUND, Accepted("SM2", "delivered")]),
]


@pytest.mark.parametrize(
    ("rows", "expected"), [case[1:] for case in LOOK_UPS], ids=[case[0] for case in LOOK_UPS]
)
async def test_what_the_list_tells(
    rows: list[dict[str, Any]], expected: list[Accepted], context: Context
) -> None:
    async with canned(says(200, {"messages": rows, "next_page_uri": None})) as server:
        assert await carrier(server.url).look_up(OUTGOING, context) == expected
    method, path, query, _ = server.seen[0]
    wanted = [("To", PHONE), ("From", OURS), ("DateSent>", "2026-05-04"), ("PageSize", "200")]
    assert (method, path, query) == ("GET", PATH, wanted)


async def test_a_template_is_known_by_its_pair_and_time_however_twilio_words_it(
    context: Context,
) -> None:
    rows = [row(body="Hallo Ann", num_media="1"), row(sid="SM0", date_created=EARLY)]
    for content, expected in ((MISNAMED, []), (NAMED, [FOUND]), (CONTENT, [])):
        async with canned(says(200, {"messages": rows})) as server:
            found = await carrier(server.url).look_up(templated(content), context)
        assert found == expected


async def test_every_page_of_the_list_is_read(context: Context) -> None:
    first = says(200, {"messages": [row(body="x")], "next_page_uri": f"{PATH}?Page=1"})
    async with canned(first, says(200, {"messages": [row()]})) as server:
        assert await carrier(server.url).look_up(OUTGOING, context) == [FOUND]
    assert server.seen[1][2] == [("Page", "1")]


async def test_a_list_without_end_cannot_tell(context: Context) -> None:
    page = says(200, {"messages": [], "next_page_uri": PATH})
    async with canned(*[page] * 5) as server:
        assert await carrier(server.url).look_up(OUTGOING, context) is None
    assert server.answers == []


async def test_a_page_elsewhere_is_not_followed(context: Context) -> None:
    page = says(200, {"messages": [], "next_page_uri": "http://elsewhere.example/"})
    async with canned(page) as server:
        assert await carrier(server.url).look_up(OUTGOING, context) == []


@pytest.mark.parametrize("answer", [says(401, error(20003)), says(200, {}), says(500, None), cut])
async def test_a_look_up_that_fails_settles_nothing(answer: Answer, context: Context) -> None:
    async with canned(answer) as server:
        with pytest.raises(Temporary) as raised:
            await carrier(server.url).look_up(OUTGOING, context)
    if answer is not cut:  # asked again by the client, once
        assert raised.value.down is (raised.value.code == 20003)


def test_numbers_are_masked_in_error_texts() -> None:
    text = "The 'To' number +15558675310 is not valid (21211)"
    assert without_numbers(text) == "The 'To' number ***5310 is not valid (21211)"


async def test_files_of_the_api_are_opened_by_their_accounts_login_and_no_others() -> None:
    other = "AC" + "3" * 32
    one = Twilio(
        "tw",
        Options.model_validate(
            {"account_sid": ACCOUNT, "auth_token": TOKEN, "accounts": {other: "theirs"}}
        ),
    )
    keeper: MediaKeeper = one

    async def login(url: str) -> str | None:
        source = await keeper.media_source(url, None)  # type: ignore[arg-type]
        assert source.url == url
        given = source.headers.get("Authorization")
        return None if given is None else b64decode(given.removeprefix("Basic ")).decode()

    root = "https://api.twilio.com/2010-04-01/Accounts"
    assert await login(f"{root}/{ACCOUNT}/Messages/MM1/Media/ME1") == f"{ACCOUNT}:{TOKEN}"
    assert await login(f"{root}/{other}/Messages/MM1/Media/ME1") == f"{other}:theirs"
    assert await login(f"{root}/AC{'4' * 32}/Messages/MM1/Media/ME1") == f"{ACCOUNT}:{TOKEN}"
    assert await login(f"https://api.twilio.com.evil.example/Accounts/{ACCOUNT}/x") is None
