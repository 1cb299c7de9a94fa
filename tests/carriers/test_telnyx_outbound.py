"""Sends to Telnyx's API: what is asked, and what each answer means."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from app.carriers.contract import Context
from app.carriers.telnyx import Options, Telnyx
from app.errors import CarrierError, Permanent, Temporary, Unknown
from app.model.traffic import Accepted, MediaPart, Outgoing
from tests.support.canned_json import NOON, Answer, Noon, canned, comes_to, cut, page, says
from tests.support.telnyx_stand_in import API_KEY, PUBLIC_KEY

PHONE, ANN, OURS = "+15558675310", "+15558675311", "+15005550006"
PROFILE = "16fd2706-8baf-433b-82eb-8c7fada847da"
IMAGES = tuple(MediaPart(f"https://media.example.com/{n}.png", "image/png") for n in range(2))
STATUS_URL = "https://talk.example.com/carriers/tx/status?receipt=DY" + "0f" * 16
OUTGOING = Outgoing("DY" + "0f" * 16, "sms", PHONE, OURS, "Hi & bye +1", (), None, NOON)
PLAIN = {"from": OURS, "to": PHONE, "type": "SMS", "text": "Hi & bye +1"}


@pytest.fixture
async def context() -> AsyncIterator[Context]:
    async with aiohttp.ClientSession() as http:
        yield Context(http, Noon())


def carrier(url: str, **options: Any) -> Telnyx:
    given = {"api_key": API_KEY, "public_key": PUBLIC_KEY, "base_url": url, "timeout_s": 5}
    return Telnyx("tx", Options.model_validate(given | options))


def taken(status: str = "queued") -> dict[str, Any]:
    return {"data": {"id": "tx-1", "to": [{"phone_number": PHONE, "status": status}]}}


def refuses(status: int, code: Any, **headers: str) -> Answer:
    return says(status, {"errors": [{"code": code, "title": "No", "detail": "never"}]}, **headers)


REQUESTS: list[tuple[str, Outgoing, dict[str, Any], dict[str, Any]]] = [
    ("a text", OUTGOING, {}, PLAIN),
    (
        "files, a text and a status URL",
        replace(OUTGOING, channel="mms", media=IMAGES, status_url=STATUS_URL),
        {},
        PLAIN
        | {
            "type": "MMS",
            "media_urls": [part.url for part in IMAGES],
            "webhook_url": STATUS_URL,
        },
    ),
    (
        "files alone, by a profile",
        replace(OUTGOING, channel="mms", body=None, media=IMAGES[:1]),
        {"messaging_profile_id": PROFILE},
        {
            "from": OURS,
            "to": PHONE,
            "type": "MMS",
            "media_urls": [IMAGES[0].url],
            "messaging_profile_id": PROFILE,
        },
    ),
    (
        "a group text, by the profile of its number",
        replace(OUTGOING, channel="mms", others=(ANN,), status_url=STATUS_URL),
        {"messaging_profile_id": PROFILE},
        {"from": OURS, "to": [PHONE, ANN], "text": "Hi & bye +1", "webhook_url": STATUS_URL},
    ),
]

OUTCOMES: list[tuple[str, Answer, Accepted | CarrierError]] = [
    ("queued", says(200, taken()), Accepted("tx-1")),
    ("sent at once", says(200, taken("sent")), Accepted("tx-1", "sent")),
    ("a status of tomorrow", says(200, taken("pondered")), Accepted("tx-1")),
    ("without recipients", says(200, {"data": {"id": "tx-1"}}), Accepted("tx-1")),
    ("accepted without a name", says(200, {"data": {}}), Unknown("")),
    ("accepted without JSON", page(200), Unknown("")),
    ("opted out", refuses(400, "40300"), Permanent("40300 No: never", 21610)),
    ("opted out, forbidden", refuses(403, "40300"), Permanent("40300 No: never", 21610)),
    ("a bad number", refuses(400, "40310"), Permanent("40310 No: never", 21211)),
    ("a sender of others", refuses(400, "40305"), Permanent("40305 No: never", 21606)),
    ("a code of tomorrow", refuses(422, "49999"), Permanent("49999 No: never", 30008)),
    ("a code that is a number", refuses(400, 40310), Permanent("40310 No: never", 21211)),
    ("a full queue", refuses(400, "40318"), Temporary("40318 No: never", 21611)),
    ("a disabled profile", refuses(403, "40312"), Temporary("40312 No: never", 20005)),
    ("a wrong key", refuses(401, "10009"), Temporary("10009 No: never", 20003, down=True)),
    ("a wrong key, by a code of tomorrow", refuses(401, "1"), Temporary("1 No", 20003, down=True)),
    ("not allowed", refuses(403, "10010"), Temporary("10010 No: never", 20003)),
    ("no money", refuses(402, "20999"), Temporary("20999 No: never", 20005)),
    ("a wrong URL", refuses(404, "10005"), Temporary("10005 No: never", 20503)),
    ("a proxy's refusal", page(400), Temporary("HTTP 400 without an error of Telnyx's")),
    ("errors of another shape", says(400, {"errors": "no"}), Temporary("HTTP 400 without an")),
    ("a redirect", says(307, None, Location="http://127.0.0.1:1/"), Temporary("HTTP 307 without")),
    (
        "throttled",
        refuses(429, "10011", Retry_After="7"),
        Temporary("10011 No: never", 20429, 7.0),
    ),
    (
        "throttled until the limit resets",
        refuses(429, "10011", x_ratelimit_reset="3"),
        Temporary("10011 No: never", 20429, 3.0),
    ),
    (
        "throttled for nonsense",
        refuses(429, "10011", x_ratelimit_reset="soon"),
        Temporary("10011 No: never", 20429),
    ),
    ("throttled by a proxy", page(429), Temporary("HTTP 429", 20429)),
    ("Telnyx's own failure", refuses(500, "10007"), Unknown("10007 No: never", 30008)),
    ("somebody's failure", page(502), Unknown("HTTP 502", 30008)),
    ("a connection that breaks", cut, Unknown("")),
]


@pytest.mark.parametrize(
    ("outgoing", "options", "expected"),
    [case[1:] for case in REQUESTS],
    ids=[case[0] for case in REQUESTS],
)
async def test_what_is_sent(
    outgoing: Outgoing, options: dict[str, Any], expected: dict[str, Any], context: Context
) -> None:
    async with canned(says(200, taken())) as server:
        await carrier(server.url, **options).send(outgoing, context)
    (asked,) = server.asked
    path = "/v2/messages/group_mms" if outgoing.others else "/v2/messages"
    assert (asked.method, asked.path, asked.body) == ("POST", path, expected)
    assert asked.headers["Authorization"] == f"Bearer {API_KEY}"
    assert asked.headers["Content-Type"] == "application/json"


@pytest.mark.parametrize(
    ("answer", "expected"), [case[1:] for case in OUTCOMES], ids=[case[0] for case in OUTCOMES]
)
async def test_what_an_answer_means(
    answer: Answer, expected: Accepted | CarrierError, context: Context
) -> None:
    async with canned(answer) as server:
        await comes_to(carrier(server.url).send(OUTGOING, context), expected)


async def test_nobody_listening_is_temporary(context: Context) -> None:
    async with canned() as server:
        pass
    with pytest.raises(Temporary):
        await carrier(server.url).send(OUTGOING, context)


async def test_what_it_does_not_carry_is_refused_without_asking(context: Context) -> None:
    async with canned() as server:
        with pytest.raises(Permanent, match="does not carry whatsapp"):
            await carrier(server.url).send(replace(OUTGOING, channel="whatsapp"), context)
    assert server.asked == []


async def test_it_cannot_be_asked_what_became_of_a_send(context: Context) -> None:
    one = carrier("http://127.0.0.1:1", unknown_wait_s=45)
    assert (one.can_look_up, one.look_up_after_s) == (False, 45)
    assert await one.look_up(OUTGOING, context) is None


async def test_a_group_text_to_more_than_it_takes_is_refused_without_asking(
    context: Context,
) -> None:
    others = tuple(f"+1555867530{n}" for n in range(8))
    with pytest.raises(Permanent) as refused:
        await carrier("http://127.0.0.1:1").send(replace(OUTGOING, others=others), context)
    assert refused.value.code == 21612
