"""Twilio's Messages list as it comes: rows -> inbounds and statuses, pages, accounts, junk."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict

from app.carriers import twilio_form
from app.carriers.contract import Context, Junk, Listed, Listing, Unlisted
from app.carriers.twilio import Options, Twilio
from app.carriers.twilio_list import _inbound, _moment, _sent
from app.carriers.twilio_messages import Line
from app.clock import Clock
from app.model.traffic import Inbound, MediaPart, Status, restored, stored
from tests.support.canned import Answer, canned, cut, says

ACCOUNT, SUB, TOKEN = "AC" + "1" * 32, "AC" + "2" * 32, "first"
ROOT = f"/2010-04-01/Accounts/{ACCOUNT}"
PATH = f"{ROOT}/Messages.json"
SM, MM = "SM" + "0a" * 16, "MM" + "0b" * 16
PHONE, OURS = "+15558675310", "+15005550006"
SINCE = datetime(2026, 5, 4, 11, 30, tzinfo=UTC)
AT = datetime(2026, 5, 4, 12, 0, 5, tzinfo=UTC)

ROW: dict[str, Any] = {
    "account_sid": ACCOUNT,
    "api_version": "2010-04-01",
    "body": "Hi",
    "date_created": "Mon, 04 May 2026 12:00:05 +0000",
    "date_sent": "Mon, 04 May 2026 12:00:05 +0000",
    "date_updated": "Mon, 04 May 2026 12:00:05 +0000",
    "direction": "inbound",
    "error_code": None,
    "error_message": None,
    "from": PHONE,
    "messaging_service_sid": None,
    "num_media": "0",
    "num_segments": "1",
    "price": "-0.00750",
    "price_unit": "USD",
    "sid": SM,
    "status": "received",
    "subresource_uris": {"media": f"{ROOT}/Messages/{SM}/Media.json"},
    "tags": {},
    "to": OURS,
    "uri": f"{ROOT}/Messages/{SM}.json",
}
FORM = {
    "MessageSid": SM,
    "SmsMessageSid": SM,
    "SmsSid": SM,
    "AccountSid": ACCOUNT,
    "From": PHONE,
    "To": OURS,
    "Body": "Hi",
    "NumMedia": "0",
    "NumSegments": "1",
    "SmsStatus": "received",
    "ApiVersion": "2010-04-01",
}
SMS = Inbound(
    "tw",
    SM,
    "sms",
    PHONE,
    OURS,
    "Hi",
    form=FORM,
    sent_at=AT,
    signature="unchecked",
    recovered=True,
)
SIDS = {"MessageSid": MM, "SmsMessageSid": MM, "SmsSid": MM}
MMS = replace(SMS, external_id=MM, channel="mms", form=FORM | SIDS | {"NumMedia": "2"})
WA = {"From": f"whatsapp:{PHONE}", "To": f"whatsapp:{OURS}"}
WHATSAPP = replace(
    SMS, channel="whatsapp", address=WA["From"], proxy_address=WA["To"], form=FORM | WA
)

INBOUNDS: list[tuple[str, dict[str, Any], Inbound]] = [
    ("an sms", ROW, SMS),
    ("an mms", ROW | {"sid": MM, "num_media": "2"}, MMS),
    ("a whatsapp", ROW | {"from": WA["From"], "to": WA["To"]}, WHATSAPP),
    ("no body", ROW | {"body": ""}, replace(SMS, body=None, form=FORM | {"Body": ""})),
    ("not dated as sent", ROW | {"date_sent": None}, SMS),
    ("another zone", ROW | {"date_sent": "Mon, 04 May 2026 14:00:05 +0200"}, SMS),
    (
        "by a messaging service",
        ROW | {"messaging_service_sid": "MG1"},
        replace(SMS, form=FORM | {"MessagingServiceSid": "MG1"}),
    ),
]
SENT = ROW | {"direction": "outbound-api", "from": OURS, "to": PHONE, "status": "delivered"}
STATUSES: list[tuple[str, dict[str, Any], Status | None]] = [
    ("delivered", SENT, Status("tw", SM, "delivered")),
    ("a reply", SENT | {"direction": "outbound-reply"}, Status("tw", SM, "delivered")),
    ("on its way", SENT | {"status": "sending"}, Status("tw", SM, None)),
    (
        "undelivered",
        SENT | {"status": "undelivered", "error_code": 30003, "error_message": "Unreachable"},
        Status("tw", SM, "undelivered", 30003, "Unreachable"),
    ),
    ("a new word", SENT | {"status": "pondered"}, None),
]
JUNK: list[Any] = [
    7,
    None,
    [],
    {},
    ROW | {"date_sent": "yesterday"},
    ROW | {"date_sent": "Fri, 31 Dec 9999 23:59:59 -2359", "date_created": None},
    ROW | {"sid": ""},
    ROW | {"from": "Ann"},
    ROW | {"to": None},
    SENT | {"status": None},
]


@pytest.fixture
async def context() -> AsyncIterator[Context]:
    async with aiohttp.ClientSession() as http:
        yield Context(http, Clock())


def carrier(url: str, **options: Any) -> Twilio:
    given = {"account_sid": ACCOUNT, "auth_token": TOKEN, "base_url": url}
    return Twilio("tw", Options.model_validate(given | options))


def page(*rows: Any, following: Any = None) -> Answer:
    return says(200, {"messages": list(rows), "next_page_uri": following})


async def listed(context: Context, *rows: Any) -> Listed:
    async with canned(page(*rows)) as server:
        return await carrier(server.url).listed(SINCE, None, context)


def test_it_is_a_list_unless_that_is_switched_off() -> None:
    assert isinstance(carrier("https://a.example"), Listing)
    assert carrier("https://a.example").lists
    assert not carrier("https://a.example", reconcile=False).lists


@pytest.mark.parametrize(
    ("row", "expected"), [one[1:] for one in INBOUNDS], ids=[one[0] for one in INBOUNDS]
)
async def test_an_inbound_of_the_list(
    row: dict[str, Any], expected: Inbound, context: Context
) -> None:
    assert await listed(context, row) == Listed((expected,), (), None)
    assert restored(stored(expected)) == expected


def test_it_is_what_the_webhook_would_have_brought() -> None:
    brought = twilio_form.inbound("tw", MultiDict(FORM))
    assert replace(SMS, sent_at=None, recovered=False, signature="valid") == brought


@pytest.mark.parametrize(
    ("row", "expected"), [one[1:] for one in STATUSES], ids=[one[0] for one in STATUSES]
)
async def test_one_of_ours_in_the_list(
    row: dict[str, Any], expected: Status | None, context: Context
) -> None:
    found = await listed(context, row)
    assert [one.status for one in found.sent] == ([expected] if expected else [])
    for one in found.sent:
        assert (one.address, one.proxy_address, one.at) == (PHONE, OURS, AT)


async def test_what_cannot_be_read_is_counted_and_hides_nothing(context: Context) -> None:
    found = await listed(context, *JUNK, ROW)
    assert (found.inbounds, found.junk) == ((SMS,), len(JUNK))


async def test_the_first_page_is_asked_for_whole_days(context: Context) -> None:
    async with canned(page(ROW)) as server:
        await carrier(server.url).listed(SINCE, None, context)
    [asked] = server.asked
    assert asked.target == f"{PATH}?DateSent%3E=2026-05-04&PageSize=200"
    login = b64decode(asked.headers["Authorization"].removeprefix("Basic ")).decode()
    assert login == f"{ACCOUNT}:{TOKEN}"


async def test_pages_follow_until_everything_is_older(context: Context) -> None:
    early = SINCE - timedelta(minutes=1)
    old = ROW | {"date_sent": early.strftime("%a, %d %b %Y %H:%M:%S +0000")}
    path = f"{PATH}?Page=1&PageToken=PA1"
    answers = page(ROW, following=path), page(old, following=f"{PATH}?Page=2")
    async with canned(*answers) as server:
        one = carrier(server.url)
        first = await one.listed(SINCE, None, context)
        assert first.following == f"{ACCOUNT} {server.url}{path}"
        assert (await one.listed(SINCE, first.following, context)).following is None
    assert server.asked[1].target == path


async def test_subaccounts_are_read_after_the_account_with_their_own_login(
    context: Context,
) -> None:
    async with canned(page(), page(ROW | {"account_sid": SUB})) as server:
        one = carrier(server.url, accounts={SUB: "theirs"})
        first = await one.listed(SINCE, None, context)
        assert first.following == f"{SUB} "
        second = await one.listed(SINCE, first.following, context)
    assert second.following is None
    assert second.inbounds[0].form["AccountSid"] == SUB
    asked = server.asked[1]
    assert asked.target.startswith(f"/2010-04-01/Accounts/{SUB}/Messages.json?")
    login = b64decode(asked.headers["Authorization"].removeprefix("Basic ")).decode()
    assert login == f"{SUB}:theirs"


@pytest.mark.parametrize(
    "position", [f"AC{'9' * 32} ", f"{ACCOUNT} https://elsewhere.example/x", "x", f"{ACCOUNT} x"]
)
async def test_a_position_elsewhere_is_not_followed(position: str, context: Context) -> None:
    async with canned() as server:
        with pytest.raises(Unlisted) as raised:
            await carrier(server.url).listed(SINCE, position, context)
    assert (raised.value.outcome, server.asked) == ("expired", [])


async def test_a_next_page_elsewhere_is_none(context: Context) -> None:
    for following in ("http://elsewhere.example/", "//elsewhere.example/", 7, ""):
        async with canned(page(ROW, following=following)) as server:
            found = await carrier(server.url).listed(SINCE, None, context)
        place = (found.following or "").partition(" ")[2]
        assert not place or place.startswith(f"{server.url}/"), following


async def test_a_page_that_follows_itself_is_garbage(context: Context) -> None:
    async with canned(page(ROW, following=PATH), page(ROW, following=PATH)) as server:
        one = carrier(server.url)
        first = await one.listed(SINCE, None, context)
        with pytest.raises(Unlisted) as raised:
            await one.listed(SINCE, first.following, context)
    assert raised.value.outcome == "garbage"


FAILURES: list[tuple[Answer, str, float | None]] = [
    (says(401, {"code": 20003}), "refused", None),
    (says(403), "refused", None),
    (says(404), "refused", None),
    (says(429, {}, Retry_After="17"), "throttled", 17.0),
    (says(500), "unreachable", None),
    (says(503, {}, Retry_After="3"), "unreachable", 3.0),
    (says(418), "garbage", None),
    (says(200, []), "garbage", None),
    (says(200, {"messages": {}}), "garbage", None),
    (cut, "unreachable", None),
]


@pytest.mark.parametrize(("answer", "outcome", "wait_s"), FAILURES)
async def test_a_list_that_cannot_be_read(
    answer: Answer, outcome: str, wait_s: float | None, context: Context
) -> None:
    async with canned(answer) as server:
        with pytest.raises(Unlisted) as raised:
            await carrier(server.url).listed(SINCE, None, context)
    assert (raised.value.outcome, raised.value.retry_after_s) == (outcome, wait_s)


def medium(name: str, **changes: Any) -> dict[str, Any]:
    uri = f"{ROOT}/Messages/{MM}/Media/{name}.json"
    return {"sid": name, "content_type": "image/png", "uri": uri, **changes}


async def test_files_are_named_as_the_webhook_names_them(context: Context) -> None:
    rows = [medium("ME1"), medium("ME2", content_type="nonsense")]
    async with canned(says(200, {"media_list": rows})) as server:
        whole = await carrier(server.url).whole(MMS, context)
    root = f"{server.url}{ROOT}/Messages/{MM}/Media"
    unknown = "application/octet-stream"
    assert whole.media == (MediaPart(f"{root}/ME1", "image/png"), MediaPart(f"{root}/ME2", unknown))
    assert (whole.form["MediaUrl0"], whole.form["NumMedia"]) == (f"{root}/ME1", "2")
    assert (whole.recovered, whole.sent_at, whole.signature) == (True, AT, "unchecked")
    assert server.asked[0].target == f"{ROOT}/Messages/{MM}/Media.json?PageSize=10"
    async with canned() as server:
        assert await carrier(server.url).whole(SMS, context) == SMS
        assert await carrier(server.url).whole(whole, context) == whole


async def test_files_that_are_gone_or_elsewhere_are_left_out(context: Context) -> None:
    junk = [medium("ME1", uri="https://elsewhere.example/x"), 7, medium("ME2", uri=None)]
    for answer in (says(404), says(200, {"media_list": junk}), says(200, {"media_list": []})):
        async with canned(answer) as server:
            whole = await carrier(server.url).whole(MMS, context)
        assert (whole.media, whole.form["NumMedia"], whole.body) == ((), "0", "Hi")


async def test_files_that_cannot_be_asked_for_are_asked_for_later(context: Context) -> None:
    for answer, outcome in ((says(200, {}), "garbage"), (says(500), "unreachable")):
        async with canned(answer) as server:
            with pytest.raises(Unlisted) as raised:
                await carrier(server.url).whole(MMS, context)
        assert raised.value.outcome == outcome


LINE = Line("tw", "https://api.twilio.com", ACCOUNT, TOKEN, None, 1.0)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=6,
)
ROWS = ANYTHING | st.builds(
    lambda changes, base: base | changes,
    st.dictionaries(st.sampled_from(sorted(ROW)), ANYTHING, max_size=4),
    st.sampled_from([ROW, SENT]),
)


@given(row=ROWS)
def test_whatever_a_row_is_it_is_read_or_junk(row: Any) -> None:
    try:
        at = _moment(row)
        assert at.tzinfo is UTC
        found = _inbound(LINE, row, at)
    except Junk as junk:
        assert str(junk)
    else:
        orjson.dumps(stored(found))
        assert "\x00" not in "".join(found.form.values())
    if isinstance(row, dict):
        try:
            _sent(LINE, row, AT)
        except Junk as junk:
            assert str(junk)


@pytest.mark.parametrize("body", [b"", b"\xff", b"null", b"[]", b'"x"', b'{"messages":[[]]}', b"{"])
async def test_whatever_the_body_is_it_is_a_page_or_unlisted(body: bytes, context: Context) -> None:
    def raw(request: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type="application/json")

    async with canned(raw) as server:
        try:
            found = await carrier(server.url).listed(SINCE, None, context)
        except Unlisted as unlisted:
            assert unlisted.outcome == "garbage"
        else:
            assert (found.inbounds, found.junk) == ((), 1)
