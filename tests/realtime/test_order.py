"""What a client reads never runs ahead of what it is told."""

from __future__ import annotations

import asyncio

from tests.realtime.town import joined, town

MESSAGES, READERS = 40, 4


async def test_a_page_does_not_overtake_the_events_of_what_is_in_it(dsn: str) -> None:
    async with town(dsn, limits={"actions_per_s": 0}) as place, place.client("alice") as alice:
        sid = await place.conversation("alice")
        _, messages, _ = await joined(alice, sid)
        said = asyncio.Event()

        async def reads() -> None:
            while not said.is_set():
                await alice.items(messages, Order="desc", PageSize="10")

        async with asyncio.TaskGroup() as group:
            for _ in range(READERS):
                group.create_task(reads())
            for number in range(MESSAGES):
                await place.say(sid, f"{number}")
            said.set()
        everything = [("added", index) for index in range(MESSAGES)]
        await alice.until(lambda: len(messages.raised) >= MESSAGES)
        assert messages.raised == everything
