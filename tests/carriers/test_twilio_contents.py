"""Twilio's Content API as it answers: how a template stands, and what comes of handing one in."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.carriers import twilio_contents
from app.carriers.contract import Context, Reviewing, Unlisted
from app.carriers.twilio import Options, Twilio
from app.carriers.twilio_contents import _read
from app.clock import Clock
from app.model.contents import APPROVAL_STATUSES
from app.model.traffic import ApprovalRequest, ContentTemplate, Review
from tests.support.canned import Answer, canned, cut, says
from tests.support.shapes import reshaped

ACCOUNT, SID = "AC" + "1" * 32, "HX" + "2" * 32
NAMES = {"sid": SID}
PATH = f"/v1/Content/{SID}/ApprovalRequests"
# https://www.twilio.com/docs/content/content-api-resources#fetch-an-approval-status-request
WHATSAPP: dict[str, Any] = {
    "type": "whatsapp",
    "name": "tree_fiddy",
    "category": "UTILITY",
    "content_type": "twilio/location",
    "status": "approved",
    "rejection_reason": "",
    "allow_category_change": False,
}
FETCHED = {"sid": SID, "account_sid": ACCOUNT, "whatsapp": WHATSAPP, "url": "https://..."}
SEEN = Review("approved", "", "tree_fiddy", "UTILITY", "twilio/location", False)
WANTED = ApprovalRequest("hello", "MARKETING", False)
ERROR = {"code": 63040, "message": "Template +15558675310 is bad", "status": 400}


def carrier(url: str | None, **options: Any) -> Twilio:
    given = {"account_sid": ACCOUNT, "auth_token": "first", "content_url": url, **options}
    return Twilio("lab", Options.model_validate(given))


@pytest.fixture
async def context() -> AsyncIterator[Context]:
    async with aiohttp.ClientSession() as http:
        yield Context(http, Clock())


async def test_a_template_is_asked_about_with_the_login(context: Context) -> None:
    async with canned(says(200, FETCHED)) as server:
        assert await carrier(server.url).review(NAMES, context) == SEEN
        [asked] = server.asked
        assert (asked.method, asked.target) == ("GET", PATH)
        assert asked.headers["Authorization"].startswith("Basic ")


async def test_a_request_is_handed_in_as_json(context: Context) -> None:
    received = {**WHATSAPP, "status": "received"}
    async with canned(says(201, received)) as server:
        review = await carrier(server.url).submit(NAMES, WANTED, context)
        assert review.status == "received"
        [asked] = server.asked
        assert (asked.method, asked.target) == ("POST", f"{PATH}/whatsapp")
        assert asked.headers["Content-Type"] == "application/json"
        assert asked.json == {
            "name": "hello",
            "category": "MARKETING",
            "allow_category_change": False,
        }


@pytest.mark.parametrize(
    ("answer", "review"),
    [
        (says(409, {"code": 20409, "message": "submitted before"}), Review("received")),
        (says(400, ERROR), Review("rejected", "Template ***5310 is bad")),
    ],
)
async def test_what_comes_of_handing_in(answer: Answer, review: Review, context: Context) -> None:
    async with canned(answer) as server:
        assert await carrier(server.url).submit(NAMES, WANTED, context) == review


@pytest.mark.parametrize(
    ("answer", "outcome", "wait_s"),
    [
        (says(401, {"code": 20003}), "refused", None),
        (says(403, {"code": 20003}), "refused", None),
        (says(404, {"code": 20404}), "refused", None),
        (says(429, {"code": 20429}, Retry_After="7"), "throttled", 7.0),
        (says(500), "unreachable", None),
        (says(503, {"code": 20503}, Retry_After="60"), "unreachable", 60.0),
        (says(302, Location="https://elsewhere.example"), "garbage", None),
        (says(200, {"status": "pondered"}), "garbage", None),
        (says(200, []), "garbage", None),
        (cut, "unreachable", None),
    ],
)
async def test_what_cannot_be_read_now_says_why(
    answer: Answer, outcome: str, wait_s: float | None, context: Context
) -> None:
    async with canned(answer, answer) as server:
        lab = carrier(server.url)
        for asked in (lab.review(NAMES, context), lab.submit(NAMES, WANTED, context)):
            with pytest.raises(Unlisted) as caught:
                await asked
            assert (caught.value.outcome, caught.value.retry_after_s) == (outcome, wait_s)
            assert "first" not in caught.value.message


def test_a_login_never_goes_to_another_provider_s_namesake() -> None:
    assert isinstance(carrier(None), Reviewing)
    assert carrier(None).can_review(NAMES)
    assert not carrier(None).can_review({"name": "hello"})
    assert not carrier(None, base_url="https://example.signalwire.com/api").can_review(NAMES)
    assert (
        twilio_contents.content_url(twilio_contents.API_URL, None) == "https://content.twilio.com"
    )


UP = "../../v2/Content/HX1?x="
NO_SIDS = ["", "HX1", UP, f"HX{'A' * 32}", f"{SID}/..", f"{SID}\n", SID.replace("HX", "MG")]


@pytest.mark.parametrize("sid", NO_SIDS)
def test_what_is_no_contentsid_is_nothing_that_our_login_may_open(sid: str) -> None:
    assert not carrier(None).can_review({"sid": sid})
    assert carrier(None).misnamed({"sid": sid}) is not None
    assert not carrier(None).knows(ContentTemplate("HX1", "en", {}, names={"lab": {"sid": sid}}))


def test_a_name_that_is_no_sid_is_no_wrong_one() -> None:
    assert carrier(None).misnamed(NAMES) is None
    assert carrier(None).misnamed({"name": UP}) is None


@settings(deadline=None)
@given(said=reshaped([WHATSAPP]).map(lambda one: one[0] if isinstance(one, list) and one else {}))
def test_an_approval_of_any_shape_is_read_or_garbage(said: Any) -> None:
    if not isinstance(said, dict):
        return
    try:
        review = _read(said)
    except Unlisted as error:
        assert error.outcome == "garbage"
        return
    assert review.status in APPROVAL_STATUSES
    assert "\x00" not in review.reason + review.name
    orjson.dumps([review.reason, review.name])


@given(status=st.one_of(st.none(), st.integers(), st.text(), st.lists(st.text())))
def test_a_status_that_is_none_is_garbage(status: Any) -> None:
    if status in APPROVAL_STATUSES:
        return
    with pytest.raises(Unlisted):
        _read({**WHATSAPP, "status": status})
