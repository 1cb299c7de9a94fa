"""Streams across processes: who reads in one hears of what was ordered in another."""

from __future__ import annotations

import asyncio
import json
from base64 import b64encode

import aiohttp
import asyncpg

from app.service import running
from app.store.bells import CHANNEL
from tests.streams.conftest import only
from tests.support.settings import ACCOUNT, TOKEN, settings


async def test_a_reader_at_a_process_without_workers_hears_those_elsewhere(
    dsn: str, sql: asyncpg.Connection
) -> None:
    heard: list[str] = []
    await sql.add_listener(CHANNEL, lambda *told: heard.append(str(told[-1])))
    login = b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
    async with (
        running(settings(), dsn, roles=("api",)) as front,
        running(settings(), dsn, roles=("worker",)),
        running(settings(), dsn, roles=("worker",)),
        aiohttp.ClientSession(headers={"Authorization": f"Basic {login}"}) as http,
    ):

        async def post(path: str, **form: str) -> str:
            async with http.post(f"{front.url}/v1/{path}", data=form) as response:
                assert response.status == 201, await response.text()
                sid: str = (await response.json())["sid"]
                return sid

        sink = await post("Sinks", Description="d", SinkType="http-pull", SinkConfiguration="{}")
        kinds = json.dumps(only("conversation.added"))
        await post("Subscriptions", Description="d", SinkSid=sink, Types=kinds)

        async def follow(count: int) -> list[str]:
            found: list[str] = []
            cursor = "0"
            while len(found) < count:
                url = f"{front.url}/v1/Events?Cursor={cursor}&Wait=10"
                async with http.get(url) as response:
                    page = await response.json()
                cursor = page["cursor"]
                found += [event["source"] for event in page["events"]]
            return found

        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            following = group.create_task(follow(5))
            made = [await post("Conversations") for _ in range(5)]
        assert following.result() == made
    bells = {bell for told in heard for bell in told.split()}
    assert {"stream", "follow", f"logged:{ACCOUNT}"} <= bells
