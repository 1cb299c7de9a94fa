"""Working on lanes: claim the heads that are due, attempt many at once, never let one error out.

What an attempt came to is settled by whoever works (in convoys); until then the lease keeps others
away, and when this process dies the lease runs out and somebody else asks what became of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from typing import Generic, TypeVar

import asyncpg

from app import ids
from app.clock import Clock
from app.errors import Unavailable
from app.observe import Failed, Observe
from app.store import outbox
from app.store.database import Database
from app.store.outbox import Claimed

P = TypeVar("P")

BATCH_MAX = 128
MOMENT_S = 0.005
POLL_S = 1.0
"""The net under the bell: how long a due lane can wait when its bell was lost."""

Load = Callable[[asyncpg.Connection, Sequence[Claimed]], Awaitable[Mapping[int, P]]]
Work = Callable[[Claimed, P | None], Awaitable[None]]


class LaneLoop(Generic[P]):
    """One loop for one kind of item: `load` reads what a batch needs, `work` does one item."""

    def __init__(
        self,
        kind: str,
        db: Database,
        bell: asyncio.Event,
        clock: Clock,
        observe: Observe,
        load: Load[P],
        work: Work[P],
        *,
        in_flight: int,
        lease_s: float,
        rates: dict[tuple[str, str], float] | None = None,
    ) -> None:
        self._kind, self._bell, self._clock, self._observe = kind, bell, clock, observe
        self._load, self._work = load, work
        self._held = db.hold(pinned=True)
        self._in_flight, self._lease_s, self._rates = in_flight, lease_s, rates or {}
        self._busy: dict[int, Claimed] = {}
        self._left: list[Claimed] = []
        self._closing = False

    def close(self) -> None:
        """Claim nothing more; `run` returns when what is in flight has ended."""
        self._closing = True
        self._bell.set()

    async def run(self) -> None:
        """Claim and work until closed."""
        async with asyncio.TaskGroup() as group:
            while not self._closing:
                await self._turn(group)

    async def release(self) -> None:
        """Give back the leases of what was cancelled at the end of the drain, so that another
        worker asks at once what became of it; close the connection."""
        with suppress(Unavailable):
            if self._left:
                async with self._held.begin() as sql:
                    await outbox.release(sql, self._left, self._clock.now())
        await self._held.close()

    async def _turn(self, group: asyncio.TaskGroup) -> None:
        self._bell.clear()
        room = min(self._in_flight - len(self._busy), BATCH_MAX)
        wait_s = POLL_S
        try:
            claimed = await self._claim(room) if room > 0 else []
            if len(claimed) < room:
                wait_s = await self._next_s()
        except Unavailable:
            await self._clock.sleep(0.2)
            return
        except Exception as error:
            self._observe(Failed(f"claiming {self._kind}", error))
            await self._clock.sleep(POLL_S)
            return
        for item, parcel in claimed:
            self._busy[item.seq] = item
            group.create_task(self._one(item, parcel))
        if len(claimed) < room or room <= 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._bell.wait(), wait_s)

    async def _claim(self, room: int) -> list[tuple[Claimed, P | None]]:
        async with self._held.begin() as sql:
            claimed = await outbox.claim(
                sql,
                self._kind,
                limit=room,
                lease=ids.token(),
                now=self._clock.now(),
                lease_s=self._lease_s,
                rates=self._rates,
            )
            parcels = await self._load(sql, claimed) if claimed else {}
        return [(item, parcels.get(item.seq)) for item in claimed]

    async def _next_s(self) -> float:
        """How long nothing is due, as far as we know; at most a poll, at least a moment."""
        async with self._held.begin() as sql:
            due = await outbox.next_due(sql, self._kind)
        if due is None:
            return POLL_S
        return min(POLL_S, max(MOMENT_S, (due - self._clock.now()).total_seconds()))

    async def _one(self, item: Claimed, parcel: P | None) -> None:
        try:
            await self._work(item, parcel)
        except Unavailable:
            pass  # not settled: the lease runs out and the item is claimed again
        except asyncio.CancelledError:
            self._left.append(item)
            raise
        except Exception as error:
            self._observe(Failed(f"working on {self._kind}", error))
        finally:
            del self._busy[item.seq]
            self._bell.set()
