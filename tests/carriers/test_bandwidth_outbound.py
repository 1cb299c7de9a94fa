"""Sends to Bandwidth's API, and its list: what is asked, and what each answer means."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import aiohttp
import pytest

from app.carriers.bandwidth import Bandwidth, Options
from app.carriers.contract import Context, MediaSource
from app.errors import CarrierError, Permanent, Temporary, Unknown
from app.model.traffic import Accepted, MediaPart, Outgoing
from tests.support.bandwidth_stand_in import API, APPLICATION_ID, OPTIONS, login
from tests.support.canned_json import NOON, Answer, Noon, canned, comes_to, cut, page, says

PHONE, ANN = "+15558675310", "+15558675311"
OURS, RECEIPT = "+15005550006", "DY" + "0f" * 16
IMAGES = tuple(MediaPart(f"https://media.example.com/{n}.png", "image/png") for n in range(2))
OUTGOING = Outgoing(RECEIPT, "sms", PHONE, OURS, "Hi & bye +1", (), "https://t/s", NOON)
PLAIN = {
    "applicationId": APPLICATION_ID,
    "to": [PHONE],
    "from": OURS,
    "tag": RECEIPT,
    "text": "Hi & bye +1",
}


@pytest.fixture
async def context() -> AsyncIterator[Context]:
    async with aiohttp.ClientSession() as http:
        yield Context(http, Noon())


def carrier(url: str, **options: Any) -> Bandwidth:
    given = OPTIONS | {"base_url": url, "timeout_s": 5} | options
    return Bandwidth("bw", Options.model_validate(given))


def refuses(status: int, kind: str, *fields: str, **headers: str) -> Answer:
    said: dict[str, Any] = {"type": kind, "description": "no"}
    if fields:
        said["fieldErrors"] = [{"fieldName": name, "description": "bad"} for name in fields]
    return says(status, said, **headers)


REQUESTS: list[tuple[str, Outgoing, dict[str, Any]]] = [
    ("a text", OUTGOING, PLAIN),
    (
        "files and a text",
        replace(OUTGOING, channel="mms", media=IMAGES),
        PLAIN | {"media": [part.url for part in IMAGES]},
    ),
    (
        "a file alone",
        replace(OUTGOING, channel="mms", body=None, media=IMAGES[:1]),
        {key: value for key, value in PLAIN.items() if key != "text"} | {"media": [IMAGES[0].url]},
    ),
    (
        "a group text",
        replace(OUTGOING, channel="mms", others=(ANN,)),
        PLAIN | {"to": [PHONE, ANN]},
    ),
]

OUTCOMES: list[tuple[str, Answer, Accepted | CarrierError]] = [
    ("accepted", says(202, {"id": "bw1"}), Accepted("bw1")),
    ("accepted without a name", says(202, {}), Unknown("")),
    ("accepted without JSON", page(200), Unknown("")),
    (
        "a bad number",
        refuses(400, "request-validation", "to"),
        Permanent("request-validation; no; to: bad", 21211),
    ),
    ("a bad file", refuses(400, "request-validation", "media[1].url"), Permanent("", 21620)),
    ("a sender of others", refuses(400, "request-validation", "x", "from"), Permanent("", 21606)),
    ("a text too long", refuses(400, "request-validation", "text"), Permanent("", 21617)),
    ("something else", refuses(400, "request-validation"), Permanent("", 30008)),
    ("a type of tomorrow", refuses(422, "pondered", "what"), Permanent("", 30008)),
    (
        "a wrong password",
        refuses(401, "unauthorized"),
        Temporary("unauthorized; no", 20003, down=True),
    ),
    ("not allowed", refuses(403, "forbidden"), Temporary("forbidden", 20003)),
    ("a wrong account", says(404, {"status": 404}), Temporary("HTTP 404", 20503)),
    ("our own mistake", refuses(415, "unsupported-content-type"), Temporary("", 20503)),
    ("a proxy's refusal", page(400), Temporary("HTTP 400 without an error of Bandwidth's")),
    ("a redirect", says(307, None, Location="http://127.0.0.1:1/"), Temporary("HTTP 307")),
    (
        "a full queue",
        refuses(429, "max-message-queue-size-exceeded", Retry_After="60"),
        Temporary("max-message-queue-size-exceeded", 20429, 60.0),
    ),
    ("throttled by a proxy", page(429), Temporary("HTTP 429", 20429)),
    (
        "Bandwidth's own failure: it says that nothing was sent",
        refuses(500, "internal-server-error", Retry_After="3"),
        Temporary("internal-server-error", 20503, 3.0, down=True),
    ),
    ("somebody's failure", page(502), Unknown("HTTP 502 without", 30008)),
    ("a connection that breaks", cut, Unknown("")),
]


@pytest.mark.parametrize(
    ("outgoing", "expected"), [case[1:] for case in REQUESTS], ids=[case[0] for case in REQUESTS]
)
async def test_what_is_sent(outgoing: Outgoing, expected: dict[str, Any], context: Context) -> None:
    async with canned(says(202, {"id": "bw1"})) as server:
        await carrier(server.url).send(outgoing, context)
    (asked,) = server.asked
    assert (asked.method, asked.path, asked.body) == ("POST", f"{API}/messages", expected)
    assert asked.headers["Authorization"] == login("api-user", "api-password")


@pytest.mark.parametrize(
    ("answer", "expected"), [case[1:] for case in OUTCOMES], ids=[case[0] for case in OUTCOMES]
)
async def test_what_an_answer_means(
    answer: Answer, expected: Accepted | CarrierError, context: Context
) -> None:
    async with canned(answer) as server:
        await comes_to(carrier(server.url).send(OUTGOING, context), expected)


async def test_what_it_does_not_carry_is_refused_without_asking(context: Context) -> None:
    async with canned() as server:
        with pytest.raises(Permanent, match="does not carry rcs"):
            await carrier(server.url).send(replace(OUTGOING, channel="rcs"), context)
    assert server.asked == []


def row(**changes: Any) -> dict[str, Any]:
    return {
        "messageId": "bw1",
        "sourceTn": OURS,
        "destinationTn": PHONE,
        "messageStatus": "DELIVERED",
        "messageDirection": "OUTBOUND",
        "messageType": "sms",
        "messageLength": len(OUTGOING.body or ""),
        "attachmentCount": None,
        "receiveTime": "2026-05-04T12:00:01.000Z",
    } | changes


FOUND = Accepted("bw1", "delivered")
LOOK_UPS: list[tuple[str, list[Any], list[Accepted]]] = [
    ("nothing", [], []),
    ("it", [row()], [FOUND]),
    ("it, on its way", [row(messageStatus="QUEUED")], [Accepted("bw1")]),
    ("it, failed: its report knows why", [row(messageStatus="FAILED")], [Accepted("bw1")]),
    ("it, a moment early", [row(receiveTime="2026-05-04T11:59:31Z")], [FOUND]),
    ("one from before", [row(receiveTime="2026-05-04T11:59:29Z")], []),
    ("without a time", [row(receiveTime=None)], [FOUND]),
    ("another length", [row(messageLength=10)], []),
    ("without a length", [row(messageLength=None)], [FOUND]),
    ("a picture", [row(messageType="mms")], []),
    ("an inbound", [row(messageDirection="INBOUND")], []),
    ("another pair", [row(destinationTn=OURS)], []),
    ("without a name", [row(messageId="")], []),
    ("no rows", [7, None], []),
    ("two", [row(), row(messageId="bw2")], [FOUND, Accepted("bw2", "delivered")]),
]


@pytest.mark.parametrize(
    ("rows", "expected"), [case[1:] for case in LOOK_UPS], ids=[case[0] for case in LOOK_UPS]
)
async def test_what_the_list_tells(
    rows: list[Any], expected: list[Accepted], context: Context
) -> None:
    async with canned(says(200, {"pageInfo": {}, "messages": rows})) as server:
        assert await carrier(server.url).look_up(OUTGOING, context) == expected
    (asked,) = server.asked
    assert (asked.method, asked.path) == ("GET", f"{API}/messages")
    assert asked.query == {
        "sourceTn": OURS,
        "destinationTn": PHONE,
        "messageDirection": "OUTBOUND",
        "fromDateTime": "2026-05-04T11:59:30.000Z",
        "limit": "100",
    }


@pytest.mark.parametrize("body", ["Grüße", "1 [2] 3", "5 €", "a~b"])
async def test_a_text_that_may_be_counted_otherwise_is_not_known_by_its_length(
    body: str, context: Context
) -> None:
    async with canned(says(200, {"messages": [row(messageLength=99)]})) as server:
        sent = replace(OUTGOING, body=body)
        assert await carrier(server.url).look_up(sent, context) == [FOUND]


async def test_a_picture_is_known_by_its_files(context: Context) -> None:
    sent = replace(OUTGOING, channel="mms", media=IMAGES)
    rows = [
        row(messageType="mms", attachmentCount=1),
        row(messageType="mms", attachmentCount=2, messageLength=99, messageId="bw2"),
    ]
    async with canned(says(200, {"messages": rows})) as server:
        assert await carrier(server.url).look_up(sent, context) == [Accepted("bw2", "delivered")]


async def test_every_page_of_the_list_is_read(context: Context) -> None:
    first = {"pageInfo": {"nextPageToken": "DLAPE902"}, "messages": [row(messageLength=1)]}
    async with canned(says(200, first), says(200, {"messages": [row()]})) as server:
        assert await carrier(server.url).look_up(OUTGOING, context) == [FOUND]
    assert server.asked[1].query["pageToken"] == "DLAPE902"


async def test_a_list_without_end_cannot_tell(context: Context) -> None:
    endless = says(200, {"pageInfo": {"nextPageToken": "A"}, "messages": []})
    async with canned(*[endless] * 5) as server:
        assert await carrier(server.url).look_up(OUTGOING, context) is None
    assert server.answers == []


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_list_that_is_closed_to_us_cannot_tell(status: int, context: Context) -> None:
    async with canned(refuses(status, "forbidden")) as server:
        assert await carrier(server.url).look_up(OUTGOING, context) is None


async def test_the_list_cannot_tell_of_a_group_text(context: Context) -> None:
    grouped = replace(OUTGOING, channel="mms", others=(ANN,))
    assert await carrier("http://127.0.0.1:1").look_up(grouped, context) is None


@pytest.mark.parametrize("answer", [refuses(429, "x"), says(200, {}), page(200), page(500), cut])
async def test_a_look_up_that_fails_settles_nothing(answer: Answer, context: Context) -> None:
    async with canned(answer) as server:
        with pytest.raises(Temporary):
            await carrier(server.url).look_up(OUTGOING, context)


def test_looking_up_can_be_turned_off() -> None:
    assert carrier("http://127.0.0.1:1").can_look_up
    off = carrier("http://127.0.0.1:1", look_up=False, look_up_after_s=5)
    assert (off.can_look_up, off.look_up_after_s) == (False, 5)


async def test_the_login_goes_to_our_own_files_only(context: Context) -> None:
    one = carrier("https://messaging.bandwidth.com")
    basic = {"Authorization": login("api-user", "api-password")}
    for url, headers in (
        (f"https://messaging.bandwidth.com{API}/media/1/0/bw.png", basic),
        ("https://messaging.bandwidth.com/api/v2/users/7/media/1", {}),
        (f"https://messaging.bandwidth.com.evil.example{API}/media/1", {}),
        (f"http://messaging.bandwidth.com{API}/media/1", {}),
        ("https://media.example.com/a.png", {}),
    ):
        assert await one.media_source(url, context) == MediaSource(url, headers), url


async def test_the_attempt_began_elsewhere_on_the_clock(context: Context) -> None:
    earlier = replace(OUTGOING, started_at=NOON - timedelta(hours=2))
    async with canned(says(200, {"messages": [row()]})) as server:
        await carrier(server.url).look_up(earlier, context)
    assert server.asked[0].query["fromDateTime"] == "2026-05-04T09:59:30.000Z"
