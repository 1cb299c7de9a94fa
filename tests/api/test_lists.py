"""Pages: shape, order, filters, tokens, and what stays put while rows come and go."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.api.page import Listing, wanted
from app.errors import Invalid

from .conftest import OURS, OURS_TOO

PERSON = "+15558675310"


@pytest.fixture(params=["account", "service"])
def ask(request, world):
    return world.api if request.param == "account" else world.service


async def conversations(world, count: int, **form: str) -> list[str]:
    """The SIDs of new conversations, newest first."""
    made = []
    for _ in range(count):
        _, body = await world.call("POST", "/v1/Conversations", form)
        made.append(body["sid"])
    return made[::-1]


async def test_a_page_is_exactly_the_documented_one(world) -> None:
    sids = await conversations(world, 3)
    _, page = await world.call("GET", "/v1/Conversations?PageSize=2&Colour=red")
    assert [one["sid"] for one in page["conversations"]] == sids[:2]
    following = page["meta"].pop("next_page_url")
    url = f"{world.base}/v1/Conversations?PageSize=2&Page=0"
    assert page["meta"] == {
        "page": 0,
        "page_size": 2,
        "first_page_url": url,
        "previous_page_url": None,
        "url": url,
        "key": "conversations",
    }
    query = parse_qs(urlsplit(following).query)
    assert (query["PageSize"], query["Page"]) == (["2"], ["1"])
    assert query["PageToken"][0].startswith("PA")
    _, last = await world.call("GET", following)
    assert [one["sid"] for one in last["conversations"]] == sids[2:]
    assert (last["meta"]["page"], last["meta"]["url"]) == (1, following)
    assert last["meta"]["next_page_url"] is None
    _, back = await world.call("GET", last["meta"]["previous_page_url"])
    assert back["conversations"] == page["conversations"]
    assert (back["meta"]["page"], back["meta"]["previous_page_url"]) == (0, None)
    _, again = await world.call("GET", back["meta"]["next_page_url"])
    assert again["conversations"] == last["conversations"]


async def test_an_empty_list_is_a_page_too(world) -> None:
    _, page = await world.call("GET", "/v1/Conversations")
    assert page["conversations"] == []
    assert (page["meta"]["next_page_url"], page["meta"]["page_size"]) == (None, 50)


async def test_the_official_client_walks_every_list(ask) -> None:
    parent = (await ask(lambda v1: v1.conversations.create())).sid
    for number in range(7):
        await ask(
            lambda v1, number=number: v1.conversations(parent).participants.create(
                identity=f"user {number}"
            )
        )
        await ask(
            lambda v1, number=number: v1.conversations(parent).messages.create(body=str(number))
        )
    names = await ask(lambda v1: list(v1.conversations(parent).participants.stream(page_size=3)))
    assert [one.identity for one in names] == [f"user {number}" for number in range(7)]
    up = await ask(lambda v1: list(v1.conversations(parent).messages.stream(page_size=2)))
    assert [one.index for one in up] == list(range(7))
    down = await ask(
        lambda v1: list(v1.conversations(parent).messages.stream(order="desc", page_size=2))
    )
    assert [one.index for one in down] == list(range(7))[::-1]
    assert len(await ask(lambda v1: v1.conversations(parent).messages.list(limit=4))) == 4


async def test_walking_back_and_forth_shows_every_message_once(world) -> None:
    _, parent = await world.call("POST", "/v1/Conversations", {})
    for number in range(8):
        await world.call("POST", f"{parent['url']}/Messages", {"Body": str(number)})
    url, forth = f"{parent['url']}/Messages?PageSize=3&Order=desc", []
    while url:
        _, page = await world.call("GET", url)
        forth.append([one["index"] for one in page["messages"]])
        last, url = page, page["meta"]["next_page_url"]
    assert forth == [[7, 6, 5], [4, 3, 2], [1, 0]]
    back, url = [], last["meta"]["previous_page_url"]
    while url:
        _, page = await world.call("GET", url)
        back.append([one["index"] for one in page["messages"]])
        url = page["meta"]["previous_page_url"]
    assert back == forth[-2::-1]


async def test_rows_that_come_and_go_shift_nothing(world) -> None:
    sids = await conversations(world, 6)
    _, page = await world.call("GET", "/v1/Conversations?PageSize=3")
    await conversations(world, 4)
    for sid in (sids[1], sids[2], sids[3]):  # the boundary row itself is gone
        await world.call("DELETE", f"/v1/Conversations/{sid}")
    _, following = await world.call("GET", page["meta"]["next_page_url"])
    assert [one["sid"] for one in following["conversations"]] == sids[4:]


async def test_page_sizes_are_clamped_and_refused_over_a_thousand(world) -> None:
    for path, largest in (("Conversations", 100), ("Configuration/Addresses", 50)):
        for asked, got in ((1, 1), (largest, largest), (largest + 1, largest), (1000, largest)):
            _, page = await world.call("GET", f"/v1/{path}?PageSize={asked}")
            assert page["meta"]["page_size"] == got
        status, body = await world.call("GET", f"/v1/{path}?PageSize=1001")
        assert (status, body["code"], body["message"]) == (400, 20007, "Page size too large")
        for junk in ("0", "-1", "x", "1.5", "9" * 5000):
            status, body = await world.call("GET", f"/v1/{path}?PageSize={junk}")
            assert (status, body["code"]) == (400, 20001)


async def test_filters_by_state_and_date_stay_in_the_links(world) -> None:
    for day in ("01", "02", "03"):
        form = {"DateCreated": f"2024-05-{day}T12:00:00Z", "State": "inactive"}
        await world.call("POST", "/v1/Conversations", form)
    await conversations(world, 2)

    async def days(query: str) -> list[str]:
        found, url = [], f"/v1/Conversations?PageSize=1&{query}"
        while url:
            _, page = await world.call("GET", url)
            found += [one["date_created"][8:10] for one in page["conversations"]]
            url = page["meta"]["next_page_url"]
        return found

    assert await days("State=inactive") == ["03", "02", "01"]
    assert await days("StartDate=2024-05-02&EndDate=2024-05-02") == ["02"]
    assert await days("StartDate=2024-05-02T00:00:00Z&EndDate=2024-05-03T23:59:59Z") == ["03", "02"]
    assert await days("EndDate=2024-05-02T12:00:00Z") == ["02", "01"]
    status, body = await world.call(
        "GET", "/v1/Conversations?StartDate=2024-05-02&EndDate=2024-05-01"
    )
    assert (status, body["code"]) == (400, 50396)
    assert len(await world.api(lambda v1: v1.conversations.list(state="active"))) == 2


async def test_our_filters_find_conversations_by_who_is_in_them(world) -> None:
    first, second, third = await conversations(world, 3)

    async def join(sid: str, form: dict[str, str]) -> None:
        status, _ = await world.call("POST", f"/v1/Conversations/{sid}/Participants", form)
        assert status == 201

    pair = {"MessagingBinding.Address": PERSON, "MessagingBinding.ProxyAddress": OURS}
    await join(first, pair)
    await world.call("POST", f"/v1/Conversations/{first}", {"State": "closed"})
    await join(second, pair)
    await join(third, pair | {"MessagingBinding.ProxyAddress": OURS_TOO})
    await join(third, {"Identity": "alice"})
    await world.call("POST", f"/v1/Conversations/{second}", {"UniqueName": "the second"})

    async def found(**query: str) -> list[str]:
        _, page = await world.call("GET", "/v1/Conversations", params=query)
        return [one["sid"] for one in page["conversations"]]

    assert await found(Address=PERSON) == [first, second, third]
    assert await found(Address=PERSON, State="active") == [second, third]
    assert await found(Address=PERSON, ProxyAddress=OURS_TOO) == [third]
    assert await found(ProxyAddress=OURS) == [first, second]
    assert await found(Identity="alice") == [third]
    assert await found(Identity="alice", ProxyAddress=OURS) == []
    assert await found(UniqueName="the second") == [second]
    assert await found(UniqueName="no") == await found(Address="+15558675319") == []


@pytest.mark.parametrize("query", ["Identity=ann", "ProxyAddress=%2B15005550006"])
async def test_the_conversations_of_somebody_are_walked_both_ways_each_once(
    world, query: str
) -> None:
    mine = await conversations(world, 7)
    await conversations(world, 3)
    for number, sid in enumerate(mine):
        path = f"/v1/Conversations/{sid}/Participants"
        for form in (
            {"Identity": "ann"},
            *(
                {
                    "MessagingBinding.Address": f"+1555867{number}00{k}",
                    "MessagingBinding.ProxyAddress": OURS,
                }
                for k in range(2)
            ),
        ):
            assert (await world.call("POST", path, form))[0] == 201
    walked, url, last = [], f"/v1/Conversations?PageSize=3&{query}", None
    while url:
        _, last = await world.call("GET", url)
        walked.append([one["sid"] for one in last["conversations"]])
        url = last["meta"]["next_page_url"]
    assert walked == [mine[:3], mine[3:6], mine[6:]]
    assert last is not None
    back, url = [], last["meta"]["previous_page_url"]
    while url:
        _, page = await world.call("GET", url)
        back.append([one["sid"] for one in page["conversations"]])
        url = page["meta"]["previous_page_url"]
    assert back == [mine[3:6], mine[:3]]


async def test_a_walk_during_many_creations_shows_the_old_ones_once(world) -> None:
    old = await conversations(world, 12)

    async def walk() -> list[str]:
        seen, url = [], "/v1/Conversations?PageSize=2"
        while url:
            _, page = await world.call("GET", url)
            seen += [one["sid"] for one in page["conversations"]]
            url = page["meta"]["next_page_url"]
        return seen

    seen, _ = await asyncio.gather(walk(), conversations(world, 12))
    assert [sid for sid in seen if sid in old] == old


@pytest.mark.parametrize(
    "token",
    [
        "",
        "PA",
        "PB",
        "x",
        "PAx",
        "PA!!",
        "PAWzFd",
        "PAW10",
        "PAeyJhIjoxfQ",
        "PAWyJhIiwiYiJd",
        "PA" + "A" * 5000,
    ],
)
async def test_a_token_that_no_page_gave_is_refused(world, token: str) -> None:
    status, body = await world.call("GET", f"/v1/Conversations?PageToken={token}")
    assert (status, body.get("code")) == ((200, None) if not token else (400, 20001))


LISTING = Listing("things", (int, str), size=50, size_max=100)


@settings(max_examples=200, deadline=None)
@given(st.text(), st.text(), st.text())
def test_whatever_is_sent_as_paging_is_a_page_or_a_refusal(size, number, token) -> None:
    sent = [("PageSize", size), ("page", number), ("PAGETOKEN", token)]
    try:
        page = wanted(LISTING, "http://x/y", sent, [])
    except Invalid as refused:
        assert refused.code in (20001, 20007)
        return
    assert 1 <= page.slice.limit <= 100


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**31 - 1), st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc"])))
def test_a_token_gives_back_its_key(number, text) -> None:
    page = wanted(LISTING, "http://x/y", [("PageSize", "1")], [])
    answer = page.answer([(number, text)] * 2, lambda row: row, lambda row: {})
    query = parse_qs(urlsplit(answer["meta"]["next_page_url"]).query)
    again = wanted(LISTING, "http://x/y", [("PageToken", query["PageToken"][0])], [])
    if len(query["PageToken"][0]) <= 1024:
        assert again.slice.mark == (number, text)
