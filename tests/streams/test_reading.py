"""Reading the log over HTTP: pages, long poll, server-sent events, and cursors that do not fit."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from tests.streams.conftest import MARIA, names, only, sink, subscribe
from tests.support.house import House, house


async def pulling(one: House, *kinds: str) -> str:
    """The account's only http-pull sink, subscribed to these."""
    sid = await sink(one, "http-pull")
    await subscribe(one, sid, only(*kinds or ("message.added",)))
    return sid


async def page(one: House, query: str = "", status: int = 200) -> Any:
    return await one._call("GET", f"/v1/Events{query}", status)


async def all_of(one: House, count: int) -> list[dict[str, Any]]:
    """The first events, waited for."""
    found: list[dict[str, Any]] = []
    cursor = "0"
    while len(found) < count:
        got = await page(one, f"?Cursor={cursor}&Wait=10")
        found += got["events"]
        cursor = got["cursor"]
    return found


async def test_a_cursor_is_where_to_go_on(dsn: str) -> None:
    async with house(dsn) as one:
        await pulling(one)
        for n in range(3):
            await one.conversation(MARIA, body=f"{n}")
        await all_of(one, 3)
        first = await page(one, "?Limit=2")
        assert [event["data"]["Index"] for event in first["events"]] == [0, 1]
        assert first["more"]
        second = await page(one, f"?Limit=2&Cursor={first['cursor']}")
        assert [event["data"]["Index"] for event in second["events"]] == [2]
        assert not second["more"]
        assert (await page(one, f"?Cursor={first['cursor']}"))["events"] == second["events"]
        assert (await page(one, f"?Cursor={second['cursor']}"))["events"] == []
        assert (await page(one, "?Cursor=latest"))["cursor"] == second["cursor"]
        assert len((await page(one, "?Cursor=earliest"))["events"]) == 3


async def test_a_long_poll_ends_with_the_first_event_or_with_its_time(dsn: str) -> None:
    async with house(dsn) as one:
        await pulling(one)
        clock = one.service.runtime.clock
        began = clock.monotonic()
        empty = await page(one, "?Wait=1")
        assert (empty["events"], empty["cursor"]) == ([], "0")
        assert clock.monotonic() - began >= 1
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(page(one, "?Cursor=0&Wait=30"))
            await one.conversation(MARIA, body="hello")
        assert waiting.result()["events"][0]["data"]["MessageBody"] == "hello"


async def test_server_sent_events_go_on_after_the_last_one(dsn: str) -> None:
    async with house(dsn) as one:
        await pulling(one)
        await one.conversation(MARIA, body="0")
        first = await streamed(one, {}, 1)
        for n in range(1, 4):
            await one.conversation(MARIA, body=f"{n}")
        more = await streamed(one, {"Last-Event-ID": first[0][0]}, 3)
        assert [event["data"]["Index"] for _, event in first + more] == [0, 1, 2, 3]
        cursors = [int(cursor) for cursor, _ in first + more]
        assert cursors == sorted(set(cursors))


async def streamed(
    one: House, headers: dict[str, str], count: int
) -> list[tuple[str, dict[str, Any]]]:
    """So many server-sent events, each with its id, while they come."""
    found = []
    url = f"{one.service.url}/v1/Events"
    accept = {"Accept": "text/event-stream", **headers}
    async with asyncio.timeout(20), one.http.get(url, headers=accept) as response:
        assert response.content_type == "text/event-stream"
        cursor = ""
        async for line in response.content:
            name, _, value = line.decode().rstrip("\n").partition(": ")
            cursor = value if name == "id" else cursor
            if name == "data":
                found.append((cursor, json.loads(value)))
            if len(found) == count:
                return found
    return found


async def test_who_streams_or_waits_is_let_go_when_we_stop(dsn: str) -> None:
    async with aiohttp.ClientSession() as outside, asyncio.TaskGroup() as group:
        async with house(dsn) as one:
            await pulling(one)
            url, login = f"{one.service.url}/v1/Events", dict(one.http.headers)
            stream = await outside.get(url, headers={**login, "Accept": "text/event-stream"})
            await stream.content.readline()
            poll = group.create_task(_text(outside, f"{url}?Wait=30", login))
            while not poll.done() and one.service.runtime.wakes.waited < 1:
                await asyncio.sleep(0.01)
            clock = one.service.runtime.clock
            began = clock.monotonic()
        assert clock.monotonic() - began < 4, "the drain did not have to wait for its deadline"
        assert (await stream.read()).endswith(b"\n\n")
        assert '"events":[]' in await poll


async def _text(http: aiohttp.ClientSession, url: str, login: dict[str, str]) -> str:
    async with http.get(url, headers=login) as response:
        return await response.text()


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("?Cursor=1", 91002),
        ("?Cursor=-1", 91002),
        ("?Cursor=x", 91002),
        ("?Cursor=99999999999999999999", 91002),
        ("?Limit=1001", 91002),
        ("?Limit=0", 91002),
        ("?Wait=31", 91002),
        ("?SinkSid=DG1", 91006),
    ],
)
async def test_what_does_not_fit_is_refused(dsn: str, query: str, code: int) -> None:
    async with house(dsn) as one:
        await pulling(one)
        assert (await page(one, query, 400))["code"] == code


async def test_only_accounts_with_such_a_sink_read_and_several_are_told_apart(dsn: str) -> None:
    async with house(dsn) as one:
        assert (await page(one, "", 404))["code"] == 91001
        webhook = await sink(one)
        assert (await page(one, f"?SinkSid={webhook}", 404))["code"] == 91001
        await pulling(one, "message.added")
        people = await pulling(one, "participant.added")
        assert (await page(one, "", 400))["code"] == 91006
        await one.conversation(MARIA)
        got = await page(one, f"?SinkSid={people}&Wait=10")
        assert names(got["events"]) == ["participant.added"]


async def test_too_late_a_cursor_says_where_to_go_on(dsn: str) -> None:
    async with house(dsn) as one:
        await pulling(one)
        for n in range(3):
            await one.conversation(MARIA, body=f"{n}")
        await all_of(one, 3)
        async with one.service.runtime.db.begin() as tx:
            await tx.sql.execute("DELETE FROM stream_events WHERE position <= 2")
        refused = await page(one, "?Cursor=1", 400)
        assert (refused["code"], refused["details"]) == (91002, {"earliest": "2"})
        assert "Cursor=2" in refused["message"]
        assert [event["data"]["Index"] for event in (await page(one))["events"]] == [2]


async def test_readers_who_wait_are_so_many_at_most(dsn: str) -> None:
    async with house(dsn, streams={"readers_max": 1}) as one:
        await pulling(one)
        async with asyncio.TaskGroup() as group:
            waiting = group.create_task(page(one, "?Wait=30"))
            while not one.service.runtime.wakes.waited:
                await asyncio.sleep(0.01)
            assert (await page(one, "?Wait=1", 429))["code"] == 20429
            assert (await page(one))["events"] == [], "who does not wait is answered"
            await one.conversation(MARIA)
        assert len(waiting.result()["events"]) == 1
