"""The whole house, running: service, simulated phones, a customer, an agent with the REST API."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import aiohttp

from app.carriers.sandbox import HomeSandbox
from app.carriers.sandbox_world import World
from app.clock import Clock
from app.observe import Observe
from app.service import Service, running
from tests.support.customer import Customer, customer
from tests.support.settings import ACCOUNT, POST_EVENTS, SMS, TOKEN, settings

AGAIN = """
UPDATE lanes SET due = $1 WHERE kind = 'delivery' AND lease IS NULL AND due > $1 RETURNING lane
"""
BEGAN = """
SELECT min(a.started_at) AS at FROM attempts a JOIN receipts r ON r.sid = a.receipt_sid
WHERE a.kind = 'delivery' AND a.outcome = 'accepted' AND r.address = ANY ($1::text[])
GROUP BY r.address ORDER BY at
"""


@dataclass
class House:
    """A running service and everybody around it."""

    service: Service
    customer: Customer
    http: aiohttp.ClientSession

    @property
    def world(self) -> World:
        """The phones."""
        carrier = self.service.runtime.carriers["lab"]
        assert isinstance(carrier, HomeSandbox)
        return carrier.world

    async def get(self, path: str, status: int = 200) -> Any:
        """Ask the API (or any other page)."""
        return await self._call("GET", path, status)

    async def post(self, path: str, status: int = 201, /, **form: Any) -> Any:
        """Create or change with the API; `_` in a name stands for the dot."""
        named = {key.replace("_", "."): value for key, value in form.items()}
        return await self._call("POST", path, status, data=named)

    async def told(self, method: str, path: str, status: int, /, **form: Any) -> Any:
        """Change with the API, and ask that it be told."""
        named = {key.replace("_", "."): value for key, value in form.items()}
        headers = {"X-Twilio-Webhook-Enabled": "true"}
        return await self._call(method, path, status, data=named, headers=headers)

    async def delete(self, path: str) -> None:
        """Delete with the API."""
        await self._call("DELETE", path, 204)

    async def conversation(self, phone: str, to: str = SMS, body: str = "hi") -> str:
        """A phone texts us; gives the conversation that takes it."""
        texted = await self.world.phone(phone).text(to, body)
        assert texted.acknowledged, texted.tries
        async with self.service.runtime.db.begin() as tx:
            sid: str = await tx.sql.fetchval(
                "SELECT conversation_sid FROM decisions WHERE external_id = $1",
                texted.external_id,
            )
        return sid

    async def say(self, conversation: str, body: str, author: str = "ann", **more: Any) -> Any:
        """An agent posts a message."""
        path = f"/v1/Conversations/{conversation}/Messages"
        return await self.post(path, Author=author, Body=body, **more)

    async def again(self) -> None:
        """What waits for another try at its carrier is tried now; waits until something does."""
        runtime, waiting = self.service.runtime, None
        async with asyncio.timeout(20):
            while not waiting:
                async with runtime.db.begin() as tx:
                    waiting = await tx.sql.fetch(AGAIN, runtime.clock.now())
                await asyncio.sleep(0.01)
        runtime.wakes.ring("delivery")

    async def began(self, *phones: str) -> list[datetime]:
        """When the first send to each of these phones began: it arrives as soon as the machine gets
        round to it. Waits until all are written down."""
        async with asyncio.timeout(20):
            while True:
                async with self.service.runtime.db.begin() as tx:
                    rows = await tx.sql.fetch(BEGAN, phones)
                if len(rows) == len(phones):
                    return [row["at"] for row in rows]
                await asyncio.sleep(0.01)

    async def receipts(self, message: dict[str, Any]) -> list[dict[str, Any]]:
        """The receipts of a message, as the API shows them."""
        listed: list[dict[str, Any]] = (await self.get(message["links"]["delivery_receipts"]))[
            "delivery_receipts"
        ]
        return listed

    async def _call(self, method: str, path: str, status: int, **request: Any) -> Any:
        url = path if path.startswith("http") else self.service.url + path
        async with self.http.request(method, url, **request) as response:
            text = await response.text()
            assert response.status == status, (response.status, text)
            return await response.json() if text else None


@asynccontextmanager
async def house(
    dsn: str, observe: Observe | None = None, clock: Clock | None = None, **sections: Any
) -> AsyncIterator[House]:
    """A running house on this database; `sections` replace those of the usual settings, but for
    `webhooks`, which changes some of its. One may be made from the URL of the customer."""
    async with customer(TOKEN) as one:
        given = {name: made(one.url) if callable(made) else made for name, made in sections.items()}
        hooks = {"post_url": f"{one.url}/events", "filters": list(POST_EVENTS)}
        given["webhooks"] = hooks | given.get("webhooks", {})
        login = b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
        async with (
            running(settings(**given), dsn, observe=observe, clock=clock) as service,
            aiohttp.ClientSession(headers={"Authorization": f"Basic {login}"}) as http,
        ):
            yield House(service, one, http)
