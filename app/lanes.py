"""Working on lanes: claim the heads that are due, attempt many at once, never let one error out.

What an attempt came to is settled by whoever works (in convoys); until then the lease keeps others
away, and when this process dies the lease runs out and somebody else asks what became of it. An
attempt never outlives its lease: it is cut in time, so that whoever comes next asks after its end.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from contextvars import ContextVar
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

import aiohttp
import asyncpg

from app import ids
from app.clock import Clock
from app.errors import Unavailable
from app.observe import Failed, Observe
from app.store import outbox
from app.store.database import Database
from app.store.outbox import Claimed
from app.turnstile import Turnstile

P = TypeVar("P")
T = TypeVar("T")

BATCH_MAX = 128
MOMENT_S = 0.005
SETTLE_AGAIN_S = 0.25
POLL_S = 1.0
"""The net under the bell: how long a due lane can wait when its bell was lost."""

ATTEMPT_SHARE = 2 / 3
"""How much of a lease an attempt may take; the rest is for settling what it came to."""

_cut_at: ContextVar[float] = ContextVar("cut_at", default=math.inf)
"""When the present task's attempt is out of time; never, outside of one."""

Load = Callable[[asyncpg.Connection, Sequence[Claimed]], Awaitable[Mapping[int, P]]]
Attempt = Callable[[Claimed, P | None], Awaitable[T]]
Broken = Callable[[Claimed, P | None, Exception], T]
Settle = Callable[[T], Awaitable[object]]


class Queue(Protocol):
    """Where a loop gets its work: whose turn it is, of the lanes that are due."""

    async def take(
        self, sql: asyncpg.Connection, room: int, *, now: datetime, lease_s: float
    ) -> tuple[list[Claimed], datetime | None]:
        """At most so many items, leased and begun, and (when there is room for more) when the next
        is due; None: none that is known of. Runs in the transaction of its caller."""

    def ended(self, item: Claimed) -> None:
        """This attempt is over and written down: there is room for another."""


class OneQueue:
    """All lanes of a kind, the longest due first."""

    def __init__(self, kind: str) -> None:
        self._kind = kind

    async def take(
        self, sql: asyncpg.Connection, room: int, *, now: datetime, lease_s: float
    ) -> tuple[list[Claimed], datetime | None]:
        """As `Queue` says."""
        claimed = await outbox.claim(
            sql,
            self._kind,
            limit=room,
            lease=ids.token(),
            now=now,
            lease_s=lease_s,
            rates={},
        )
        due = await outbox.next_due(sql, self._kind) if len(claimed) < room else None
        return claimed, due

    def ended(self, item: Claimed) -> None:
        """Nothing to remember."""


class LaneLoop(Generic[P, T]):
    """One loop for one kind of item: `load` reads what a batch needs, `attempt` tries one item,
    `broken` says what an attempt that broke came to, `settle` writes it down. `queue` is where the
    items come from; without one, from the lanes of the kind. With `rung`, whoever settles rings the
    bell when a lane can go on: an attempt that ended says nothing new then, unless there was no
    room before.

    Attempts begin a few in each turn of the event loop: many that begin at once would leave the
    answers of the database unread.
    """

    def __init__(
        self,
        kind: str,
        db: Database,
        bell: asyncio.Event,
        clock: Clock,
        observe: Observe,
        load: Load[P],
        attempt: Attempt[P, T],
        broken: Broken[P, T],
        settle: Settle[T],
        *,
        in_flight: int,
        lease_s: float,
        queue: Queue | None = None,
        rung: bool = False,
    ) -> None:
        self._kind, self._bell, self._clock, self._observe = kind, bell, clock, observe
        self._load, self._attempt = load, attempt
        self._broken, self._settle = broken, settle
        self._held = db.hold(pinned=True)
        self._in_flight, self._lease_s = in_flight, lease_s
        self._queue = queue or OneQueue(kind)
        self._turnstile = Turnstile()
        self._rung, self._full = rung, True
        self._busy = 0
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
        worker asks at once what became of it; close the connection. What was doubtful before keeps
        its lease: the mark tells when the first attempt began, only the lease how old this one is.
        """
        given_back = [item for item in self._left if item.unknown_since is None]
        with suppress(Unavailable):
            if given_back:
                async with self._held.begin() as sql:
                    await outbox.release(sql, given_back, self._clock.now())
        await self._held.close()

    async def _turn(self, group: asyncio.TaskGroup) -> None:
        self._bell.clear()
        room = min(self._in_flight - self._busy, BATCH_MAX)
        cut_at = self._clock.monotonic() + ATTEMPT_SHARE * self._lease_s
        try:
            claimed, wait_s = await self._claim(room) if room > 0 else ([], POLL_S)
        except Unavailable:
            await self._clock.sleep(0.2)
            return
        except Exception as error:
            self._observe(Failed(f"claiming {self._kind}", error))
            await self._clock.sleep(POLL_S)
            return
        for item, parcel in claimed:
            self._busy += 1
            group.create_task(self._one(item, parcel, cut_at))
        self._full = len(claimed) >= room
        if not self._full or room <= 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._bell.wait(), wait_s)

    async def _claim(self, room: int) -> tuple[list[tuple[Claimed, P | None]], float]:
        """What is ours to do now, and how long nothing else is due."""
        now = self._clock.now()
        claimed: list[Claimed] = []
        try:
            async with self._held.begin() as sql:
                claimed, due = await self._queue.take(sql, room, now=now, lease_s=self._lease_s)
                parcels = await self._load(sql, claimed) if claimed else {}
        except BaseException:
            for item in claimed:  # taken back with the transaction, or found when the lease ends
                self._queue.ended(item)
            raise
        return [(item, parcels.get(item.seq)) for item in claimed], _seconds(now, due)

    async def _one(self, item: Claimed, parcel: P | None, cut_at: float) -> None:
        try:
            tried = await self._in_time(item, parcel, cut_at)
            lease_end = cut_at + (1 - ATTEMPT_SHARE) * self._lease_s
            await self._write_down(tried, lease_end)
        except Exception as error:
            self._observe(Failed(f"settling {self._kind}", error))
        finally:
            self._busy -= 1
            self._queue.ended(item)
            if self._full or not self._rung:
                self._bell.set()

    async def _in_time(self, item: Claimed, parcel: P | None, cut_at: float) -> T:
        """The attempt, cut before its lease ends. Whatever breaks in it becomes an outcome like
        any other, so that it is tried again on the schedule and its lane goes on."""
        _cut_at.set(cut_at)
        try:
            await self._turnstile.enter()
            left_s = cut_at - self._clock.monotonic()
            if left_s <= 0:
                raise TimeoutError("the lease is too old to begin")
            async with asyncio.timeout(left_s):
                return await self._attempt(item, parcel)
        except asyncio.CancelledError:
            self._left.append(item)
            raise
        except Exception as error:
            if not isinstance(error, TimeoutError | Unavailable):
                self._observe(Failed(f"working on {self._kind}", error))
            return self._broken(item, parcel, error)

    async def _write_down(self, tried: T, lease_end: float) -> None:
        """Settle what is known, again while the database is away: to forget it is to do it twice.
        A drain does not cut it short (the walkers end later)."""
        while True:
            try:
                await asyncio.shield(self._settle(tried))
                return
            except Unavailable:
                if self._clock.monotonic() >= lease_end:
                    return  # claimed again by now, with its outcome unknown
                await self._clock.sleep(SETTLE_AGAIN_S)


def punctual(clock: Clock) -> type[aiohttp.ClientRequest]:
    """Requests for clients that send: one whose attempt is out of time ends before its body goes
    out. A process that was frozen while it connected must not send what another has sent by now."""

    class Punctual(aiohttp.ClientRequest):
        async def write_bytes(
            self, writer: Any, conn: Any, content_length: int | None = None
        ) -> None:
            if clock.monotonic() >= _cut_at.get():
                conn.close()
                return
            await super().write_bytes(writer, conn, content_length)

    return Punctual


def _seconds(now: datetime, due: datetime | None) -> float:
    """From now until something is due; at least a moment, at most a poll."""
    if due is None:
        return POLL_S
    return min(POLL_S, max(MOMENT_S, (due - now).total_seconds()))
