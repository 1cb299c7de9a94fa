"""Searching messages: words, phrases and exclusions, highlighted, scoped, in pages."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from app import ids
from app.store import search

BODIES = [
    "the quick brown fox",
    "a brown and QUICK dog",
    "lazy dogs sleep",
    "brown <b>bread</b> & butter",
    "nothing",
]


@pytest.fixture(params=["account", "service"])
def tree(request, world) -> str:
    return "/v1" if request.param == "account" else f"/v1/Services/{world.other_service_sid}"


@pytest.fixture
async def parent(world, tree) -> dict:
    _, made = await world.call("POST", f"{tree}/Conversations", {"UniqueName": "it"})
    for number, body in enumerate(BODIES):
        form = {"Body": body, "Author": f"author {number % 2}"}
        await world.call("POST", f"{made['url']}/Messages", form)
    return made


async def found(world, tree: str, query: str, more: str = "") -> list[str]:
    path = f"{tree}/Messages/Search?Query={quote(query)}{more}"
    status, body = await world.call("GET", path)
    assert status == 200, body
    return [one["body"] for one in body["messages"]]


async def test_messages_are_found_newest_first(world, tree, parent) -> None:
    for query, numbers in (
        ("brown", [3, 1, 0]),
        ("Quick BROWN", [1, 0]),
        ('"quick brown"', [0]),
        ("brown -fox", [3, 1]),
        ("fox or dogs", [2, 0]),
        ("bro", []),
        ("unheard", []),
    ):
        assert await found(world, tree, query) == [BODIES[n] for n in numbers], query


async def test_what_is_found_is_the_message_and_where_it_was_said(world, tree, parent) -> None:
    path = f"{tree}/Messages/Search?Query=bread"
    status, body = await world.call("GET", path)
    assert (status, body["meta"]["key"]) == (200, "messages")
    [one] = body["messages"]
    highlight = one.pop("highlight")
    assert "<em>bread</em>" in highlight
    assert "&amp; butter" in highlight, "what people write is no markup"
    assert "<b>" not in highlight
    _, message = await world.call("GET", one["url"])
    assert one == message


async def test_marks_in_a_body_are_no_marks(world) -> None:
    _, made = await world.call("POST", "/v1/Conversations", {})
    await world.call("POST", f"{made['url']}/Messages", {"Body": "\x02evil\x03 word < another"})
    _, body = await world.call("GET", "/v1/Messages/Search?Query=word")
    assert body["messages"][0]["highlight"] == "evil <em>word</em> &lt; another"


async def test_a_search_stays_in_its_service(world, parent, tree) -> None:
    others = {"/v1", f"/v1/Services/{world.other_service_sid}"} - {tree}
    assert await found(world, others.pop(), "brown") == []


async def test_a_search_can_be_for_one_conversation_and_one_author(world, tree, parent) -> None:
    _, other = await world.call("POST", f"{tree}/Conversations", {})
    await world.call("POST", f"{other['url']}/Messages", {"Body": "brown too"})
    assert len(await found(world, tree, "brown")) == 4
    for key in ("it", parent["sid"]):
        assert len(await found(world, tree, "brown", f"&ConversationSid={key}")) == 3
    assert await found(world, tree, "brown", "&Author=author%201") == [BODIES[3], BODIES[1]]
    path = f"{tree}/Messages/Search?Query=a&ConversationSid={ids.new(ids.CONVERSATION)}"
    status, body = await world.call("GET", path)
    assert (status, body["code"]) == (404, 50350)


async def test_pages_go_on_and_back(world, tree, parent) -> None:
    seen, url = [], f"{tree}/Messages/Search?Query=brown&Author=author%201&PageSize=1"
    pages = []
    while url:
        _, body = await world.call("GET", url)
        pages.append(body)
        seen += [one["body"] for one in body["messages"]]
        url = body["meta"]["next_page_url"]
    assert seen == [BODIES[3], BODIES[1]]
    _, back = await world.call("GET", pages[1]["meta"]["previous_page_url"])
    assert back["messages"] == pages[0]["messages"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("", 20001),
        ("?Query=", 20001),
        ("?Query=%20-%20", 20001),
        ("?Query=-fox", 20001),
        ("?Query=" + "x" * 1025, 20001),
    ],
)
async def test_a_query_needs_a_word(world, query: str, code: int) -> None:
    status, body = await world.call("GET", f"/v1/Messages/Search{query}")
    assert (status, body["code"]) == (400, code)


async def test_a_message_that_is_gone_is_not_found(world, tree, parent) -> None:
    _, body = await world.call("GET", f"{tree}/Messages/Search?Query=fox")
    await world.call("DELETE", body["messages"][0]["url"])
    assert await found(world, tree, "fox") == []


async def test_a_frequent_word_is_found_like_a_rare_one(world, tree, parent, monkeypatch) -> None:
    rare = await found(world, tree, "brown or dogs")
    monkeypatch.setattr(search, "FREQUENT", 2)
    assert await found(world, tree, "brown or dogs") == rare == [BODIES[n] for n in (3, 2, 1, 0)]
