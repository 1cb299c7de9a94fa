"""Sends to a described provider: what is asked, what each answer means, how an outcome is found."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import aiohttp
import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.carriers import http_text
from app.carriers.contract import Context, MediaSource
from app.carriers.exchange import ANSWER_BYTES_MAX
from app.clock import Clock
from app.errors import CarrierError, Permanent, Temporary, Unknown
from app.model.traffic import Accepted, MediaPart, Outgoing
from tests.carriers.http_sample import provider
from tests.support.canned import Answer, Asked, canned, cut, says

NOW = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)
RECEIPT = "DY" + "0f" * 16
PHONE, OURS = "+15558675310", "+15005550006"
FILES = tuple(MediaPart(f"https://m.example/{n}.png", "image/png") for n in (1, 2))
OUTGOING = Outgoing(RECEIPT, "sms", PHONE, OURS, "Hi & bye +1", (), "https://t.example/s?r=1", NOW)
DONE = says(200, {"id": "m1"})


class Noon(Clock):
    """It is always noon."""

    def now(self) -> datetime:
        return NOW


@pytest.fixture
async def context() -> AsyncIterator[Context]:
    async with aiohttp.ClientSession() as http:
        yield Context(http, Noon())


async def asked(context: Context, outgoing: Outgoing = OUTGOING, **send: Any) -> Asked:
    """What a send with this request asks of the provider."""
    async with canned(DONE) as server:
        path = send.pop("path", "/messages")
        carrier = provider(send={"url": server.url + path} | send)
        assert await carrier.send(outgoing, context) == Accepted("m1")
        return server.asked[0]


async def outcome(
    context: Context, canned_answer: Answer, **options: Any
) -> Accepted | CarrierError:
    """What a send comes to when the provider answers so."""
    async with canned(canned_answer) as server:
        try:
            return await provider(server.url, **options).send(OUTGOING, context)
        except CarrierError as error:
            return error


async def test_a_json_body_is_built_from_its_template(context: Context) -> None:
    tree = {
        "from": "{from.digits}",
        "to": [{"number": "{to.bare}"}],
        "kind": "{channel}",
        "text": "{body}",
        "files": ["{media.url}"],
        "callback": "{status_url}",
        "ref": "{reference}",
        "ttl": 300,
    }
    request = await asked(context, json=tree)
    assert request.method == "POST"
    assert request.headers["Content-Type"] == "application/json"
    assert request.json == {
        "from": "15005550006",
        "to": [{"number": PHONE}],
        "kind": "text",
        "text": "Hi & bye +1",
        "callback": "https://t.example/s?r=1",
        "ref": RECEIPT,
        "ttl": 300,
    }


async def test_a_form_is_encoded(context: Context) -> None:
    form = {"To": "{to}", "Text": "{body}", "Media": ["{media.url}"], "Flash": False}
    request = await asked(context, replace(OUTGOING, media=FILES), form=form)
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert parse_qsl(request.body.decode()) == [
        ("To", PHONE),
        ("Text", "Hi & bye +1"),
        ("Media", "https://m.example/1.png"),
        ("Media", "https://m.example/2.png"),
        ("Flash", "false"),
    ]


async def test_a_get_has_everything_in_its_query(context: Context) -> None:
    query = {"to": "{to.digits}", "text": "{body}", "key": "{secret.key}", "cb": "{status_url}"}
    request = await asked(context, method="GET", path="/send?v=2", query=query)
    assert (request.method, request.body) == ("GET", b"")
    assert parse_qsl(urlsplit(request.target).query) == [
        ("v", "2"),
        ("to", "15558675310"),
        ("text", "Hi & bye +1"),
        ("key", "s3cret"),
        ("cb", "https://t.example/s?r=1"),
    ]


async def test_values_in_a_url_cannot_leave_their_place(context: Context) -> None:
    strange = replace(OUTGOING, channel="messenger", address="messenger:../a?b#c&d%2F")
    request = await asked(context, strange, path="/to/{to.bare}/go", json={"text": "{body}"})
    assert request.target == "/to/..%2Fa%3Fb%23c&d%252F/go"


async def test_a_value_that_is_a_way_up_is_refused(context: Context) -> None:
    strange = replace(OUTGOING, channel="messenger", address="messenger:..")
    send = {"url": "http://127.0.0.1:9/{to.bare}", "json": {"text": "{body}"}}
    with pytest.raises(Permanent) as refused:
        await provider(send=send).send(strange, context)
    assert refused.value.code == 21211


async def test_headers_and_credentials_are_filled(context: Context) -> None:
    request = await asked(
        context,
        headers={"X-Ref": "{reference}", "X-Key": "{secret.key}", "Content-Type": "text/json"},
        basic={"username": "{secret.user}", "password": "{secret.key}"},
        json={"to": "{to}", "text": "{body}"},
    )
    assert (request.headers["X-Ref"], request.headers["X-Key"]) == (RECEIPT, "s3cret")
    assert request.headers["Content-Type"] == "text/json"
    assert request.headers["Authorization"] == "Basic " + b64encode(b"me:s3cret").decode()


async def test_a_channel_may_have_a_request_of_its_own(context: Context) -> None:
    async with canned(DONE, DONE) as server:
        pictures = {
            "url": server.url + "/mms",
            "json": {"to": "{to}", "b": "{body}", "m": ["{media.url}"]},
        }
        carrier = provider(server.url, send_as={"mms": pictures})
        await carrier.send(OUTGOING, context)
        await carrier.send(replace(OUTGOING, channel="mms", body=None, media=FILES), context)
        assert [one.target for one in server.asked] == ["/messages", "/mms"]
        assert server.asked[1].json == {"to": PHONE, "m": [part.url for part in FILES]}


@pytest.mark.parametrize(("tree", "room"), [({}, 0), ({"file": "{media.url}"}, 1)])
async def test_a_file_without_a_place_is_refused_and_never_dropped(
    context: Context, tree: dict[str, Any], room: int
) -> None:
    send = {"url": "http://127.0.0.1:9/", "json": {"to": "{to}", "text": "{body}"} | tree}
    with pytest.raises(Permanent, match=f"room for {room} files") as refused:
        await provider(send=send).send(replace(OUTGOING, media=FILES), context)
    assert refused.value.code == 21623


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(body=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
async def test_any_text_arrives_as_it_is(context: Context, body: str) -> None:
    text = replace(OUTGOING, body=body)
    sent = await asked(context, text, json={"to": "{to}", "text": "{body}"})
    assert sent.json["text"] == body
    form = await asked(context, text, form={"to": "{to}", "text": "{body}"})
    assert dict(parse_qsl(form.body.decode(), keep_blank_values=True))["text"] == body
    query = await asked(context, text, query={"to": "{to}", "text": "{body}"})
    assert dict(parse_qsl(urlsplit(query.target).query, keep_blank_values=True))["text"] == body


RULES = [
    {"status": 200, "when": {"state": "busy"}, "means": "throttled"},
    {"when": {"error.code": [17, "x"]}, "means": "permanent", "code": 21211},
    {"status": ["4xx"], "when": {"error.code": 18}, "means": "temporary"},
    {"status": 503, "means": "temporary"},
    {"when": {"state": "who"}, "means": "temporary", "code": 20003},
    {"status": 409, "means": "accepted"},
]
ANSWERS: list[tuple[str, Answer, type[CarrierError], int | None, float | None]] = [
    ("a success without an id", says(200, {}), Unknown, None, None),
    ("a success with an empty id", says(200, {"id": ""}), Unknown, None, None),
    ("a success with an id that is none", says(200, {"id": {"a": 1}}), Unknown, None, None),
    ("a success that is no JSON", says(200, "m1"), Unknown, None, None),
    ("throttled", says(429, {}, Retry_After="7"), Temporary, 20429, 7),
    ("throttled in a success", says(200, {"id": "m1", "state": "busy"}), Temporary, 20429, None),
    (
        "throttled, and when to come",
        says(429, {}, Retry_After="Mon, 04 May 2026 12:01:00 GMT"),
        Temporary,
        20429,
        60,
    ),
    (
        "a code that is permanent whatever the status",
        says(500, {"error": {"code": 17}}),
        Permanent,
        21211,
        None,
    ),
    ("a code that passes", says(400, {"error": {"code": 18}}), Temporary, None, None),
    ("a status that passes", says(503, {}, Retry_After="3"), Temporary, None, 3),
    ("a translated code", says(400, {"error": {"code": "e9"}}), Permanent, 30007, None),
    ("a code without a translation", says(400, {"error": {"code": 1}}), Permanent, 30008, None),
    ("a refusal without a word", says(422), Permanent, 30008, None),
    ("wrong credentials", says(401), Temporary, 20003, None),
    ("credentials that a proxy does not take", says(407), Temporary, 20003, None),
    ("not for this sender", says(403), Temporary, 20003, None),
    ("wrong credentials in a success", says(200, {"state": "who"}), Temporary, 20003, None),
    ("a wrong URL", says(404), Temporary, None, None),
    ("a redirect", says(302, None, Location="/x"), Temporary, None, None),
    ("a server error", says(500), Unknown, None, None),
    ("a timeout of theirs", says(408), Unknown, None, None),
    ("a broken connection", cut, Unknown, None, None),
    (
        "an endless answer",
        says(200, {"id": "m1", "x": "x" * ANSWER_BYTES_MAX}),
        Unknown,
        None,
        None,
    ),
]
ANSWER = {
    "id": ["data.id", "id"],
    "code": "error.code",
    "message": "error.text",
    "outcomes": RULES,
}


@pytest.mark.parametrize(
    ("answer", "error", "code", "wait_s"),
    [row[1:] for row in ANSWERS],
    ids=[row[0] for row in ANSWERS],
)
async def test_an_answer_means(
    context: Context,
    answer: Answer,
    error: type[CarrierError],
    code: int | None,
    wait_s: float | None,
) -> None:
    found = await outcome(context, answer, answer=ANSWER, codes={"e9": 30007})
    assert (type(found), getattr(found, "code", None)) == (error, code)
    assert getattr(found, "retry_after_s", None) == wait_s
    assert getattr(found, "throttled", False) is (code == 20429)
    failing = error is Unknown or code == 20003 or wait_s == 3
    assert getattr(found, "barred", False) is failing
    assert getattr(found, "down", False) is (failing and "HTTP 403" not in str(found))


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        (says(200, {"id": "m1"}), "m1"),
        (says(202, {"id": 77}), "77"),
        (says(201, {"data": {"id": "d"}, "id": "m1"}), "d"),
        (says(409, {"id": "m1"}), "m1"),
    ],
)
async def test_an_accepted_message_has_its_id(context: Context, answer: Answer, name: str) -> None:
    assert await outcome(context, answer, answer=ANSWER) == Accepted(name)


async def test_where_a_provider_names_nothing_the_receipt_stands_for_it(context: Context) -> None:
    assert await outcome(context, says(200, "queued"), answer={}) == Accepted(RECEIPT)


async def test_an_answer_that_is_a_list_is_read(context: Context) -> None:
    assert await outcome(context, says(200, [{"id": 5}]), answer={"id": "0.id"}) == Accepted("5")


TEXT = {
    "text": ["OK: {id}", "ERR {code}: {message}", "<id>{id}</id>"],
    "id": "id",
    "code": "code",
    "message": "message",
    "outcomes": [{"when": {"code": 12}, "means": "throttled"}],
}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("OK: 4711", Accepted("4711")),
        ("\r\nOK: 4711 \r\nmore", Accepted("4711")),
        ("<?xml version='1.0'?><r><id>4711</id></r>", Accepted("4711")),
        ("ERR 12: slow down", "HTTP 200: code 12: slow down"),
        ("OK: \n", "the carrier accepted something that it does not name"),
        ("ERR 13\n: x", "the carrier accepted something that it does not name"),
    ],
)
async def test_an_answer_may_be_plain_text(
    context: Context, text: str, found: Accepted | str
) -> None:
    came = await outcome(context, lambda request: web.Response(text=text), answer=TEXT)
    assert (came if isinstance(came, Accepted) else str(came)) == found


@given(
    before=st.text("ab \n", max_size=4),
    after=st.text("ab \n", max_size=4),
    text=st.text("abcd \n", max_size=40),
)
def test_what_is_taken_out_stands_between_its_neighbours(
    before: str, after: str, text: str
) -> None:
    taken = http_text.fields([before + "{id}" + after], text).get("id")
    if taken is not None:
        assert taken == taken.strip() != ""
        assert taken in text[text.index(before) + len(before) :]


async def test_a_refusal_repeats_no_secret_and_no_number(context: Context) -> None:
    said = {"error": {"code": 1, "text": f"s3cret may not write to {PHONE}"}}
    found = await outcome(context, says(400, said), answer=ANSWER)
    assert str(found) == "HTTP 400: code 1: *** may not write to ***5310"


async def test_without_a_connection_nothing_was_sent(context: Context) -> None:
    with pytest.raises(Temporary):
        await provider("http://127.0.0.1:9").send(OUTGOING, context)


async def test_what_opens_files_is_shown_to_nobody_else(context: Context) -> None:
    access = {
        "origin": "https://media.acme.example",
        "headers": {"X-Token": "{secret.key}"},
        "basic": {"username": "u", "password": "{secret.key}"},
    }
    carrier = provider(media_access=access)
    opened = await carrier.media_source("https://media.acme.example/1", context)
    assert opened.headers["X-Token"] == "s3cret"
    assert "Authorization" in opened.headers
    for url in ("https://media.acme.example.evil.test/1", "http://media.acme.example/1"):
        assert await carrier.media_source(url, context) == MediaSource(url, {})
