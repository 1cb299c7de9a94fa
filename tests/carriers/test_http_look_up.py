"""Asking a described provider what became of a send whose answer was lost."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import aiohttp
import pytest

from app.carriers.contract import Context
from app.clock import Clock
from app.errors import Temporary
from app.model.traffic import Accepted, Outgoing
from tests.carriers.http_sample import provider
from tests.support.canned import Answer, Asked, canned, cut, says

NOW = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)
RECEIPT = "DY" + "0f" * 16
PHONE = "+15558675310"
OUTGOING = Outgoing(RECEIPT, "sms", PHONE, "+15005550006", "Hi", (), None, NOW)


@pytest.fixture
async def context() -> AsyncIterator[Context]:
    async with aiohttp.ClientSession() as http:
        yield Context(http, Clock())


def seeking(url: str, **changes: Any) -> dict[str, Any]:
    return {
        "url": f"{url}/find",
        "headers": {"X-Key": "{secret.key}"},
        "query": {"ref": "{reference}"},
        "found": "items",
        "id": "id",
        "match": {"to": "{to}"},
        "absent": [404],
        "page": 3,
    } | changes


async def sought(context: Context, answer: Answer, **changes: Any) -> tuple[Any, Asked]:
    """What a look-up finds with this answer, and what it asked."""
    async with canned(answer) as server:
        carrier = provider(look_up=seeking(server.url, **changes))
        assert carrier.can_look_up
        return await carrier.look_up(OUTGOING, context), server.asked[0]


async def test_a_look_up_finds_what_matches(context: Context) -> None:
    rows = [{"id": "m1", "to": PHONE}, {"id": "m2", "to": "+15550000000"}]
    found, asked = await sought(context, says(200, {"items": rows}))
    assert found == [Accepted("m1")]
    assert (asked.method, asked.target) == ("GET", f"/find?ref={RECEIPT}")
    assert asked.headers["X-Key"] == "s3cret"


@pytest.mark.parametrize(
    ("answer", "changes", "found"),
    [
        (says(200, {"items": []}), {}, []),
        (says(404, {"error": "none"}), {}, []),
        (says(200, {"items": [{"id": n, "to": PHONE} for n in range(3)]}), {}, None),
        (says(200, {"id": "m1", "to": PHONE}), {"found": None}, [Accepted("m1")]),
        (says(200, [{"id": "m1", "to": PHONE}]), {"found": None}, [Accepted("m1")]),
        (says(200, []), {"found": None}, []),
    ],
)
async def test_a_look_up_says_what_is_known(
    context: Context, answer: Answer, changes: dict[str, Any], found: Any
) -> None:
    assert (await sought(context, answer, **changes))[0] == found


@pytest.mark.parametrize(
    "answer",
    [
        says(500),
        says(401),
        says(200, {"error": "x"}),
        says(200, "x"),
        says(200, {}),
        says(200, {"items": [{"to": PHONE}]}),
        cut,
    ],
)
async def test_a_look_up_that_tells_nothing_is_tried_again(
    context: Context, answer: Answer
) -> None:
    with pytest.raises(Temporary):
        await sought(context, answer)


async def test_without_a_look_up_nothing_can_be_told(context: Context) -> None:
    carrier = provider()
    assert not carrier.can_look_up
    assert await carrier.look_up(OUTGOING, context) is None


async def test_an_error_in_a_success_is_not_the_news_that_there_is_none(context: Context) -> None:
    with pytest.raises(Temporary):
        await sought(context, says(200, {"error": "x"}), found=None)
