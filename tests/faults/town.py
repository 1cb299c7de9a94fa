"""A town around the service: its processes, the World of phones, the customer, the database."""

from __future__ import annotations

import asyncio
import json
import math
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import aiohttp
import asyncpg

from app.carriers.sandbox_http import serving
from app.carriers.sandbox_wire import SandboxDialect
from app.carriers.sandbox_world import World
from tests.faults.child import Child
from tests.faults.ground import Ground
from tests.faults.rude import BEFORE, RudeCustomer, rude_customer
from tests.support.database import connected
from tests.support.settings import ACCOUNT, POST_EVENTS, TOKEN

CREDENTIALS = "Basic " + b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
SECRET = "the-secret-of-the-lab"
SMS = ("+15005550006", "+15005550007", "+15005550008")
HOOKED = SMS[2]
"""A message to this one creates a conversation that has a webhook of its own."""
WHATSAPP = "whatsapp:+15005550010"
WAITS_S = [0.1, 0.2, *[0.4] * 100]
"""Long enough that nobody gives up during a test."""
TIMEOUT_S = 1.0
LEASE_S = 3.0
LOOK_UP_AFTER_S = 0.8
DRAIN_S = 5.0
STREAMS = {"waits_s": WAITS_S, "timeout_s": TIMEOUT_S, "lease_s": LEASE_S}

LEFT = """
SELECT (SELECT count(*) FROM outbox) AS items, (SELECT count(*) FROM lanes) AS lanes,
  (SELECT count(*) FROM lanes l WHERE NOT EXISTS (
    SELECT FROM outbox o WHERE o.lane = l.lane)) AS empty_lanes,
  (SELECT count(*) FROM outbox o WHERE NOT EXISTS (
    SELECT FROM lanes l WHERE l.lane = o.lane)) AS stray_items,
  (SELECT count(*) FROM lanes WHERE lease IS NOT NULL) AS leased
"""


class WideWorld(World):
    """A World whose network spreads what phones write over all our doors."""

    doors: tuple[str, ...] = ()

    @property
    def inbound_url(self) -> str | None:
        return self.doors[next(self._turns) % len(self.doors)] if self.doors else None

    @inbound_url.setter
    def inbound_url(self, url: str | None) -> None:
        self._turns = count()


@dataclass
class Town:
    """Everybody; `random` is the one source of chance, from `seed`."""

    seed: int
    random: Random
    dsn: str
    ground: Ground
    world: WideWorld
    customer: RudeCustomer
    services: list[Child]
    http: aiohttp.ClientSession

    @property
    def service(self) -> Child:
        """The service, where there is one."""
        return self.services[0]

    async def ready(self) -> None:
        """Wait until every service is."""
        for service in self.services:
            await service.ready(self.http)

    async def left(self) -> dict[str, int]:
        """What is in the outbox, seen at one moment."""
        async with connected(self.dsn) as sql:
            return dict(await sql.fetchrow(LEFT))

    async def quiet(self, within_s: float = 40.0) -> None:
        """Wait until the World has nothing to bring and the outbox is empty: however long that
        takes on a busy machine, but not for so long with nothing less in it. At every moment on the
        way, a lane has items and an item has its lane."""
        before, fewest = time.monotonic(), math.inf
        while True:
            idle, left = self.world.idle, await self.left()
            if left["items"] < fewest:
                before, fewest = time.monotonic(), left["items"]
            broken = left["empty_lanes"] or left["stray_items"]
            assert not broken, f"lanes and items do not match: {left}"
            if idle and self.world.idle and not left["items"]:
                return
            late = time.monotonic() - before > within_s
            assert not late, self.story(f"not quiet after {within_s} s: {left}, World idle: {idle}")
            await asyncio.sleep(0.1)

    def story(self, what: str) -> str:
        """What went wrong, and what is needed to look into it."""
        told = [what, f"seed {self.seed}", f"the World: {self.world.counts}"]
        return "\n".join([*told, *(service.tail() for service in self.services)])


@asynccontextmanager
async def town(
    ground: Ground,
    folder: Path,
    seed: int,
    *,
    services: int = 1,
    drain_s: float = DRAIN_S,
    public_url: str | None = None,
    **sections: Any,
) -> AsyncIterator[Town]:
    """A town whose services are ready, each known under its own URL, or all under one. `sections`
    replace those of the configuration; one may be made from the whole of it."""
    async with AsyncExitStack() as stack:
        dsn = await stack.enter_async_context(ground.database())
        customer = await stack.enter_async_context(rude_customer(TOKEN))
        world = WideWorld(
            dialect=SandboxDialect(SECRET),
            seed=seed,
            retry_waits_s=(0.1, 0.2, *[0.4] * 150),
            timeout_s=10.0,
        )
        await stack.enter_async_context(world)
        world_url = await stack.enter_async_context(serving(world, secret=SECRET))
        timeout = aiohttp.ClientTimeout(total=15)
        http = await stack.enter_async_context(
            aiohttp.ClientSession(headers={"Authorization": CREDENTIALS}, timeout=timeout)
        )
        children = [Child(f"service-{n + 1}", folder, dsn) for n in range(services)]
        for child in children:
            stack.callback(child.close)
            usual = configuration(world_url, customer.url)
            given = {name: one(usual) if callable(one) else one for name, one in sections.items()}
            settings = usual | given
            if "webhooks" in sections:
                urls = {"pre_url": f"{customer.url}{BEFORE}", "post_url": f"{customer.url}/events"}
                settings["webhooks"] = urls | sections["webhooks"]
            settings["server"] = {
                "port": child.port,
                "public_url": public_url or child.url,
                "drain_s": drain_s,
            }
            settings["ops"] = {"port": child.ops_port, "log_format": "json"}
            child.config.write_text(json.dumps(settings, indent=1))
            child.start()
        known = [public_url] if public_url else [child.url for child in children]
        world.doors = tuple(f"{url}/carriers/lab/inbound" for url in known)
        one = Town(seed, Random(seed), dsn, ground, world, customer, children, http)
        await one.ready()
        yield one


def configuration(world_url: str, customer_url: str) -> dict[str, Any]:
    """The configuration file: everything as usual, but in a hurry."""
    retries = {"waits_s": WAITS_S, "timeout_s": TIMEOUT_S, "lease_s": LEASE_S}
    scoped = {
        "type": "webhook",
        "webhook_url": f"{customer_url}/scoped",
        "webhook_filters": ["onMessageAdded"],
    }
    return {
        "account": {"sid": ACCOUNT, "auth_token": TOKEN},
        "database": {"pool_max": 5},
        "carriers": {
            "lab": {
                "kind": "sandbox",
                "url": world_url,
                "secret": SECRET,
                "look_up_after_s": LOOK_UP_AFTER_S,
                "timeout_s": TIMEOUT_S,
            }
        },
        "senders": [
            {"address": address, "carrier": "lab", "messaging_service": "default"}
            for address in (*SMS, WHATSAPP)
        ],
        "messaging_services": {"default": {"autocreate": True}},
        "addresses": [{"address": HOOKED, "auto_creation": scoped}],
        "webhooks": {"post_url": f"{customer_url}/events", "filters": list(POST_EVENTS)},
        "delivery": retries | {"pauses_s": [0.5]},
        "hooks": retries | {"pauses_s": [0.5]},
        "egress": {"open": ["127.0.0.1"]},
    }


async def rows(dsn: str, statement: str, *arguments: Any) -> list[asyncpg.Record]:
    """Rows of the database, seen from outside the service."""
    async with connected(dsn) as sql:
        found: list[asyncpg.Record] = await sql.fetch(statement, *arguments)
        return found
