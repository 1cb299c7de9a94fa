"""The hook loop without the rest of the house: lanes that a test fills, and a customer to call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from app import egress
from app.convoy import Convoy
from app.model.outbox import HOOK
from app.observe import Observation, Observe
from app.runtime import Runtime
from app.store import outbox
from app.store.database import Database
from app.store.outbox import NewItem
from app.webhooks.after import Teller, Telling, hook_loop
from tests.support.clock import TurnedClock
from tests.support.settings import ACCOUNT, settings


@dataclass
class Hooking:
    """A running hook loop; the clock is turned by the test."""

    runtime: Runtime
    sql: asyncpg.Connection
    clock: TurnedClock
    teller: Teller
    observed: list[Observation] = field(default_factory=list)

    async def tell(self, lane: str, url: str, *names: str, **more: Any) -> None:
        """Items at the end of a lane: onMessageAdded with a body and a token of this name."""
        usual: dict[str, Any] = {"event": "onMessageAdded", "scope": "global", "method": "POST"}
        items = [
            NewItem(
                lane=f"h:{lane}",
                kind=HOOK,
                token=name,
                account_sid=ACCOUNT,
                conversation_sid=f"CH{lane}",
                url=url,
                **{**usual, "params": _params(lane, name), **more},
            )
            for name in names
        ]
        await self.tell_all(items)

    async def tell_all(self, items: list[NewItem]) -> None:
        """These items, in one transaction."""
        async with self.runtime.db.begin() as tx:
            await outbox.add(tx.sql, items, tx.now)
        self.runtime.wakes.ring(HOOK)

    def turn(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.turn(seconds)
        self.runtime.wakes.ring(HOOK)

    def seen(self, kind: type) -> list[Any]:
        return [one for one in self.observed if isinstance(one, kind)]

    async def until(self, question: str, wanted: Any, *given: Any, within_s: float = 60.0) -> None:
        """Wait until the database answers so."""
        async with asyncio.timeout(within_s):
            while await self.sql.fetchval(question, *given) != wanted:
                await asyncio.sleep(0.01)

    async def settled(self, count: int) -> None:
        """Wait until so many attempts are written down."""
        await self.until("SELECT count(*) FROM attempts", count)


def _params(lane: str, name: str) -> dict[str, str]:
    return {"EventType": "onMessageAdded", "Body": name, "Lane": lane}


@asynccontextmanager
async def hooking(
    db: Database, sql: asyncpg.Connection, clock: TurnedClock, **sections: Any
) -> AsyncIterator[Hooking]:
    """A hook loop on this database while the block runs."""
    chosen = settings(**sections)
    observe = Observe()
    nobody: Any = None
    async with egress.client(chosen.egress, limit=chosen.hooks.in_flight) as client:
        runtime = Runtime(chosen, db, nobody, client, clock, observe, {}, "http://parley.test")
        db.ring = runtime.wakes.ring
        teller = Teller(runtime)
        one = Hooking(runtime, sql, clock, teller)
        observe.to(one.observed.append)
        telling: Telling = Convoy(teller, longest=128, waiting_max=10_000)
        loop = hook_loop(runtime, telling, teller.queue)
        async with asyncio.TaskGroup() as group:
            group.create_task(telling.run())
            working = group.create_task(loop.run())
            try:
                yield one
            finally:
                loop.close()
                await asyncio.wait([working], timeout=0.5)
                working.cancel()
                await asyncio.wait([working])
                telling.close()
        await loop.release()
        await teller.close()
