"""Roles in processes of their own: who leaves work tells those who do it."""

from __future__ import annotations

import asyncio
from base64 import b64encode

import aiohttp
import asyncpg

from app.carriers.sandbox import HomeSandbox
from app.service import running
from app.store.bells import CHANNEL
from tests.support.settings import ACCOUNT, SMS, TOKEN, settings

MARIA = "+15551230001"


async def test_a_process_without_workers_wakes_those_elsewhere(
    dsn: str, sql: asyncpg.Connection
) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    await sql.add_listener(CHANNEL, lambda *told: heard.put_nowait(str(told[-1])))
    login = b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
    async with (
        running(settings(), dsn, roles=("api", "inbound")) as front,
        running(settings(), dsn, roles=("worker",)) as back,
        aiohttp.ClientSession(headers={"Authorization": f"Basic {login}"}) as http,
    ):
        here, there = front.runtime.carriers["lab"], back.runtime.carriers["lab"]
        assert isinstance(here, HomeSandbox)
        assert isinstance(there, HomeSandbox)
        assert (await here.world.phone(MARIA).text(SMS, "hi")).acknowledged
        url = f"{front.url}/v1/Conversations"
        async with http.get(url) as response:
            sid = (await response.json())["conversations"][0]["sid"]
        async with http.post(f"{url}/{sid}/Messages", data={"Body": "hello"}) as response:
            assert response.status == 201
        assert await asyncio.wait_for(heard.get(), 5) == "delivery"
        phone = there.world.phone(MARIA)
        await there.world.until(lambda: len(phone.received) == 1)
        assert here.world.phone(MARIA).received == []
        async with http.get(f"{back.url}/v1/Conversations") as response:
            assert response.status == 404, "a worker answers nothing but probes"
        async with http.get(f"{back.url}/readyz") as response:
            assert response.status == 200
