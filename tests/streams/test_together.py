"""Everything at once: messages are posted, transactions dawdle, and somebody follows."""

from __future__ import annotations

import asyncio

from app.store import stream_log
from app.store.stream_log import Happened
from app.streams.types import CONVERSATIONS
from tests.streams.conftest import only, sink, subscribe
from tests.support.database import connected
from tests.support.house import house
from tests.support.settings import ACCOUNT

ADDED = CONVERSATIONS + "message.added"


async def test_who_follows_while_others_write_gets_everything_once_and_in_order(dsn: str) -> None:
    async with house(dsn) as one:
        await subscribe(one, await sink(one, "http-pull"), only("message.added"))
        made = [await one.post("/v1/Conversations") for _ in range(4)]
        got: list[dict[str, object]] = []

        async def write(conversation: str) -> None:
            for n in range(12):
                await one.say(conversation, f"{n}")

        async def dawdle() -> None:
            """Transactions that hold what they have drawn."""
            async with connected(dsn) as sql:
                for n in range(12):
                    async with sql.transaction():
                        happened = [Happened(ACCOUNT, f"EZ{n:032}", ADDED, "CH", '{"Index":0}')]
                        await stream_log.add(sql, happened, one.service.runtime.clock.now())
                        await sql.execute("SELECT pg_sleep(0.03)")

        async def follow() -> None:
            cursor = "0"
            while len(got) < 60:
                page = await one.get(f"/v1/Events?Cursor={cursor}&Limit=7&Wait=5")
                got.extend(page["events"])
                cursor = page["cursor"]

        writing = [write(conversation["sid"]) for conversation in made]
        async with asyncio.timeout(60):
            await asyncio.gather(follow(), dawdle(), *writing)
        assert len({event["id"] for event in got}) == 60
        for conversation in made:
            indexes = [
                event["data"]["Index"] for event in got if event["source"] == conversation["sid"]
            ]
            assert indexes == list(range(12))
