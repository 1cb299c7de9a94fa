"""A flow and its worker without a service around them: every step is the test's, and the process
may die before and after each of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import asyncpg

from app.convoy import Convoy
from app.definitions import Definitions
from app.lanes import OneQueue
from app.model import Flow
from app.model.flows import FLOW, PUBLISHED
from app.model.traffic import Inbound
from app.observe import Observe
from app.road.items import Arrival, Road, Taken
from app.road.walk import Walker
from app.runtime import Runtime
from app.store import flows, running
from app.store.database import Database
from app.store.declared import declare
from app.studio.errand import Shop
from app.studio.keeper import Keeper, Kept
from app.studio.worker import Worker
from tests.support.clock import TurnedClock
from tests.support.settings import ACCOUNT, SMS, settings

FLOW_SID = "FW" + "5" * 32
LEASE_S = 30.0


class Died(BaseException):
    """The process is gone: nothing of it runs any more."""


@dataclass
class Fuse:
    """Burns with each step; at zero the process dies. `left` None: it does not."""

    left: int | None = None

    def burn(self) -> None:
        if self.left is None:
            return
        self.left -= 1
        if self.left < 0:
            raise Died


class Fused:
    """A convoy of the process: it may die before what it asks for happens, and after that."""

    def __init__(self, convoy: Any, fuse: Fuse) -> None:
        self._convoy, self._fuse = convoy, fuse

    async def submit(self, item: Any) -> Any:
        self._fuse.burn()
        result = await self._convoy.submit(item)
        self._fuse.burn()
        return result


@dataclass
class Stage:
    """The database is real, and so are road, keeper and worker."""

    runtime: Runtime
    road: Road
    kept: Kept
    sql: asyncpg.Connection
    clock: TurnedClock
    queue: OneQueue = field(default_factory=lambda: OneQueue(FLOW))
    texts: int = 0
    definitions: Definitions | None = None
    """Those of a process that lives on; else each time another one works."""

    async def text(self, body: str, phone: str = "+15551230001") -> str:
        """Somebody texts; gives the conversation."""
        self.texts += 1
        inbound = Inbound("lab", f"SM{self.texts}", "sms", phone, SMS, body=body)
        taken = await self.road.submit(Arrival(ACCOUNT, inbound))
        assert isinstance(taken, Taken)
        assert taken.conversation_sid is not None
        return taken.conversation_sid

    async def work(
        self, fuse_left: int | None = None, meanwhile: Callable[[], Awaitable[None]] | None = None
    ) -> bool:
        """A process takes what is due and works on it, one item; it dies when its fuse has burnt.
        Says whether there was anything to do. `meanwhile` happens when it has read what is there.
        """
        fuse = Fuse(fuse_left)
        road, kept = Fused(self.road, fuse), Fused(self.kept, fuse)
        definitions = self.definitions or Definitions(self.runtime.db)
        shop = Shop(self.runtime, road, kept, definitions)  # type: ignore[arg-type]
        worker = Worker(shop)
        async with self.runtime.db.begin() as tx:
            claimed, _ = await self.queue.take(tx.sql, 1, now=self.clock.now(), lease_s=LEASE_S)
            parcels = await running.parcels(tx.sql, claimed)
        if meanwhile is not None:
            await meanwhile()
        for item in claimed:
            try:
                try:
                    walked = await worker.attempt(item, parcels.get(item.seq))
                except Exception as error:
                    walked = worker.broken(item, parcels.get(item.seq), error)
                await worker.settle(walked)
            except Died:
                self.clock.turn(LEASE_S + 1)  # until then nobody else may touch it
        return bool(claimed)

    async def finish(self) -> None:
        """Work until nothing is left to do now."""
        while await self.work():
            pass

    async def sweep(self) -> None:
        """The clock's job."""
        async with self.runtime.db.begin() as tx:
            await running.time_out(tx.sql, tx.now)

    async def close(self) -> None:
        """Every conversation closes, as by the API."""
        async with self.runtime.db.begin() as tx:
            rows = await tx.sql.fetch(
                "UPDATE conversations SET state = 'closed' WHERE state <> 'closed' RETURNING sid"
            )
            await tx.sql.execute("UPDATE bindings SET open = false WHERE open")
            await running.close(tx.sql, [row["sid"] for row in rows], tx.now)

    async def said(self) -> list[str]:
        """What the flow said, in order."""
        rows = await self.sql.fetch(
            "SELECT body FROM messages WHERE author = $1 ORDER BY index", FLOW_SID
        )
        return [row["body"] for row in rows]


@asynccontextmanager
async def staged(
    db: Database, sql: asyncpg.Connection, definition: str, **sections: Any
) -> AsyncIterator[Stage]:
    """A stage whose number leads to this flow."""
    assert isinstance(db.clock, TurnedClock)
    rule = {"type": "studio", "studio_flow_sid": FLOW_SID}
    chosen = settings(addresses=[{"address": SMS, "auto_creation": rule}], **sections)
    async with db.begin() as tx:
        await declare(tx, chosen)
        flow = Flow(
            sid=FLOW_SID,
            account_sid=ACCOUNT,
            friendly_name="f",
            status=PUBLISHED,
            revision=0,
            date_created=tx.now,
            date_updated=tx.now,
        )
        flows.advanced(flow, PUBLISHED)
        await flows.add(tx, flow, definition)
    async with aiohttp.ClientSession() as http:
        runtime = Runtime(chosen, db, http, http, db.clock, Observe(), {}, "http://parley.test")
        walker, keeper = Walker(runtime), Keeper(runtime)
        road: Road = Convoy(walker, longest=64, waiting_max=10_000)
        kept: Kept = Convoy(keeper, longest=64, waiting_max=10_000)
        async with asyncio.TaskGroup() as group:
            for convoy in (road, kept):
                group.create_task(convoy.run())
            try:
                yield Stage(runtime, road, kept, sql, db.clock)
            finally:
                for convoy in (road, kept):
                    convoy.close()
        await walker.close()
        await keeper.close()
