"""Several processes behind one port, restarts in the middle, kill -9: no client loses anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from tests.faults.ground import Ground
from tests.realtime.sdk.clients import Drive, Person, SdkError
from tests.realtime.sdk.place import Place, place

pytestmark = pytest.mark.timeout(240)

OPEN = "const it = await client.getConversationBySid(sid); "
READ = (
    OPEN + "let page = await it.getMessages(100); const found = [];"
    "for (;;) { found.unshift(...page.items.map((one) => [one.index, one.body]));"
    "if (!page.hasPrevPage) return found; page = await page.prevPage(); }"
)
AGENTS = 4
KILLS = 4


class Talk:
    """People in one conversation who write all the time: by the SDK and by REST."""

    def __init__(self, here: Place, sid: str, people: list[Person]) -> None:
        self.here, self.sid, self.people = here, sid, people
        self.said: list[str] = []
        self._stopped = False

    async def run(self) -> None:
        """Until `stop`."""
        async with asyncio.TaskGroup() as group:
            for one in self.people:
                group.create_task(self._writes(one))
            group.create_task(self._posts())

    async def goes_on(self, count: int) -> None:
        """Wait until so many more messages are there for certain."""
        wanted = len(self.said) + count

        async def enough() -> bool:
            return len(self.said) >= wanted

        await self.here.until(enough, 60.0)

    def stop(self) -> None:
        """Nobody writes any more."""
        self._stopped = True

    async def _writes(self, one: Person) -> None:
        number = 0
        while not self._stopped:
            number += 1
            body = f"{one.identity} {number}"
            try:
                await one.run(OPEN + "return it.sendMessage(body)", 60.0, sid=self.sid, body=body)
                self.said.append(body)
            except SdkError:  # not known: it may be there, once
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.02)

    async def _posts(self) -> None:
        number = 0
        while not self._stopped:
            number += 1
            try:
                await self.here.say(self.sid, f"REST {number}")
                self.said.append(f"REST {number}")
            except (aiohttp.ClientError, OSError, AssertionError, TimeoutError):
                await asyncio.sleep(0.05)
            await asyncio.sleep(0.05)


@asynccontextmanager
async def talking(here: Place) -> AsyncIterator[Talk]:
    """Agents who talk while the block runs."""
    people = [await here.arrive("agent") for _ in range(AGENTS)]
    sid = await here.conversation(*(one.identity for one in people))
    for one in people:
        await one.saw("conversationJoined", sid=sid)
    talk = Talk(here, sid, people)
    running = asyncio.create_task(talk.run())
    try:
        yield talk
    finally:
        talk.stop()
        await running


async def judge(here: Place, talk: Talk) -> None:
    """Everything that was promised is there once, and every client has heard all of it, once."""
    shown = [(one["index"], one["body"]) for one in await here.messages(talk.sid)]
    bodies = [body for _, body in shown]
    assert len(set(bodies)) == len(bodies), "doubled"
    assert set(talk.said) <= set(bodies), "lost"
    assert len(talk.said) > 20, "they hardly talked"
    assert here.clients.unhandled() == []
    last = (await here.say(talk.sid, "the end"))["index"]
    for one in talk.people:
        await one.saw("messageAdded", 60.0, body="the end")
        heard = sorted(
            it["index"] for it in one.all("messageAdded") if it["conversation"] == talk.sid
        )
        assert heard == [index for index, _ in shown] + [last], one.identity
        assert [tuple(it) for it in await one.run(READ, 60.0, sid=talk.sid)] == [
            *shown,
            (last, "the end"),
        ]


async def test_two_processes_behind_one_port_are_one_service(
    ground: Ground, drive: Drive, tmp_path: Path
) -> None:
    async with place(ground, tmp_path, drive, services=2) as here:
        async with talking(here) as talk:
            await talk.goes_on(60)
        await judge(here, talk)
        assert min(here.front.served[port] for port in here.front.ports) >= 2


async def test_nobody_notices_a_rolling_restart(
    ground: Ground, drive: Drive, tmp_path: Path
) -> None:
    async with place(ground, tmp_path, drive, services=2) as here:
        async with talking(here) as talk:
            for child in here.town.services:
                await talk.goes_on(10)
                child.terminate()
                assert await child.ended(20) == 0, child.tail()
                child.start()
                await child.ready(here.town.http)
        await judge(here, talk)
        for one in talk.people:
            assert one.all("initFailed") == []
            assert "denied" not in one.all("connectionStateChanged")


async def test_kill_9_under_load_loses_and_doubles_nothing(
    ground: Ground, drive: Drive, tmp_path: Path
) -> None:
    async with place(ground, tmp_path, drive, services=2) as here:
        random = here.town.random
        async with talking(here) as talk:
            for _ in range(KILLS):
                await talk.goes_on(15)
                await asyncio.sleep(random.uniform(0.0, 0.05))
                child = random.choice(here.town.services)
                child.kill()
                child.start()
                await child.ready(here.town.http)
        await judge(here, talk)
