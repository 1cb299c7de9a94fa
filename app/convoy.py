"""Convoys: whatever waits goes through one transaction together, then each is answered.

Half of a small transaction's cost is its commit: a convoy shares it. A convoy leaves as soon as a
walker is free (waiting for more costs more than it brings), and beside one that is under way only
when enough wait to fill another: while one waits for the database, the next one is got ready. What
must stay in order never goes in two convoys at once. When a convoy fails it is walked again one by
one, so that one poisoned item cannot harm its neighbours.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from typing import Generic, TypeVar

from app.errors import Unavailable

T = TypeVar("T")
R = TypeVar("R")

Walk = Callable[[Sequence[T]], Awaitable[Sequence[R | Exception]]]
"""Takes a convoy through one transaction; gives a result, or the refusal, for each in its place."""

Rest = Callable[[], Awaitable[None]]
Waiting = tuple[int, T, asyncio.Future[R]]
"""When it came (a number), an item, and who waits for it."""

LATE_S = 0.02
"""Nobody waits longer for others to share a convoy with, while a walker is free."""
REST_S = 0.05
"""A walker that nobody wants for so long rests."""


def _all_alike(_: object) -> Hashable:
    """One order for everything."""
    return None


class Kept(asyncio.Future[R]):
    """What becomes of an item that keeps its place, whoever stops waiting for it."""

    def cancel(self, msg: object = None) -> bool:
        """Who waits is cancelled, the item is not."""
        if not self.done():
            self.set_exception(asyncio.CancelledError())
            self.exception()  # nobody else will ask for it
        return False


class Line(Generic[T, R]):
    """The items of one order, as they came; `under_way`: the first of them are in a convoy."""

    __slots__ = ("items", "under_way")

    def __init__(self) -> None:
        self.items: deque[Waiting[T, R]] = deque()
        self.under_way = False


class Convoy(Generic[T, R]):
    """A bounded queue and its walkers. At most `longest` go together, at most `waiting_max` wait.

    A walker that is not wanted for a while is told so (`rests`, one for each walk).
    What has the same `order` (all, unless it is given) goes as it came, one convoy after the other.
    A convoy leaves beside another one with at least `beside` items, or when one has waited LATE_S.
    """

    def __init__(
        self,
        *walks: Walk[T, R],
        longest: int,
        waiting_max: int,
        order: Callable[[T], Hashable] = _all_alike,
        beside: int = 1,
        rests: Sequence[Rest] = (),
    ) -> None:
        self._walks = walks
        self._rests = rests or (None,) * len(walks)
        self._longest = longest
        self._waiting_max = waiting_max
        self._order = order
        self._beside = beside
        self._lines: dict[Hashable, Line[T, R]] = {}
        self._turns: deque[Hashable] = deque()
        self._count = self._ready = self._walking = self._came = 0
        self._arrived = asyncio.Event()
        self._closing = self._late = False
        self._lateness: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()  # to ask for it is a system call

    async def submit(self, item: T) -> R:
        """What became of the item, once that is committed. Raises Unavailable when too many wait
        or we are closing, and whatever refusal the walk gave for this item. Cancelled before its
        convoy leaves it never happens; afterwards it may."""
        future: asyncio.Future[R] = self._loop.create_future()
        self._enqueue(item, future)
        return await future

    async def in_turn(self, items: Sequence[T]) -> list[R | Exception]:
        """What became of each, submitted when the one before it is committed; those behind one that
        was turned away are not tried."""
        results: list[R | Exception] = []
        for item in items:
            if results and isinstance(results[-1], Unavailable):
                results.append(results[-1])
                continue
            try:
                results.append(await self.submit(item))
            except Exception as error:
                results.append(error)
        return results

    def enqueue(self, item: T) -> asyncio.Future[R]:
        """The same without waiting: items enqueued one after the other keep their order. Who gives
        up settles the future, or is cancelled: the item keeps its place and is walked."""
        future = Kept[R](loop=self._loop)
        self._enqueue(item, future)
        return future

    def _enqueue(self, item: T, future: asyncio.Future[R]) -> None:
        if self._closing or self._count >= self._waiting_max:
            raise Unavailable("too much is waiting; try again")
        order = self._order(item)
        line = self._lines.get(order)
        if line is None:
            line = self._lines[order] = Line()
            self._turns.append(order)
        self._came += 1
        line.items.append((self._came, item, future))
        self._count += 1
        if not line.under_way:
            self._more(1)

    def busy(self) -> bool:
        """Whether, of a convoy that is about to arrive, its walker will soon leave again."""
        return self._count > 0 or self._walking > 1

    def close(self) -> None:
        """Take nothing more; `run` returns when all that waits is answered."""
        self._closing = True
        self._arrived.set()

    async def run(self) -> None:
        """Walk until closed and empty. When cancelled, whoever waits is told to try again."""
        try:
            async with asyncio.TaskGroup() as walkers:
                for walk, rest in zip(self._walks, self._rests, strict=True):
                    walkers.create_task(self._run(walk, rest))
        finally:
            self.close()
            _turn_away(one for line in self._lines.values() for one in line.items)
            self._lines.clear()
            self._turns.clear()
            self._count = self._ready = 0
            self._on_time()

    async def _run(self, walk: Walk[T, R], rest: Rest | None) -> None:
        tired_at: float | None = None
        while self._count or not self._closing:
            if self._leaves():
                await self._depart(walk)
                tired_at = rest and self._loop.time() + REST_S
                continue
            self._arrived.clear()
            try:
                async with asyncio.timeout_at(tired_at):
                    await self._arrived.wait()
            except TimeoutError:
                tired_at = None
                if rest is not None:
                    await rest()

    async def _depart(self, walk: Walk[T, R]) -> None:
        orders, convoy = self._board()
        self._walking += 1
        try:
            results = await self._results(convoy, walk) if convoy else []
        except asyncio.CancelledError:
            _turn_away(convoy)
            raise
        finally:
            self._walking -= 1
            self._let_go(orders)
        for future, result in results:
            if future.done():  # nobody waits for it any more
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

    def _board(self) -> tuple[list[Hashable], list[Waiting[T, R]]]:
        """Who goes now, in the order in which they came, and their orders, which are under way
        from now on."""
        orders: list[Hashable] = []
        convoy: list[Waiting[T, R]] = []
        while self._turns and len(convoy) < self._longest:
            orders.append(self._turns.popleft())
            line = self._lines[orders[-1]]
            line.under_way = True
            self._ready -= len(line.items)
            while line.items and len(convoy) < self._longest:
                one = line.items.popleft()
                self._count -= 1
                if not one[2].cancelled():  # else nobody waits for it any more
                    convoy.append(one)
        convoy.sort(key=_came)
        self._on_time()
        return orders, convoy

    def _let_go(self, orders: Sequence[Hashable]) -> None:
        """What waited behind these takes its turn; a walker that waits looks again."""
        for order in orders:
            line = self._lines[order]
            if not line.items:
                del self._lines[order]
                continue
            line.under_way = False
            self._turns.append(order)
            self._more(len(line.items))
        self._arrived.set()

    def _more(self, count: int) -> None:
        """So many more can go: a walker that waits is called when that is enough for it to leave,
        or when these are late."""
        self._ready += count
        if self._walking and self._lateness is None:
            self._lateness = self._loop.call_later(LATE_S, self._grow_late)
        if self._walking < len(self._walks) and self._leaves():
            self._arrived.set()

    def _leaves(self) -> bool:
        """Whether a walker that is free leaves now."""
        return self._ready > 0 and (not self._walking or self._ready >= self._beside or self._late)

    def _grow_late(self) -> None:
        self._late = True
        self._arrived.set()

    def _on_time(self) -> None:
        """Those who were late go; those who are left have waited for nothing yet."""
        self._late = False
        if self._lateness is not None:
            self._lateness.cancel()
            self._lateness = None
        if self._ready:
            self._lateness = self._loop.call_later(LATE_S, self._grow_late)

    async def _results(
        self, convoy: Sequence[Waiting[T, R]], walk: Walk[T, R]
    ) -> list[tuple[asyncio.Future[R], R | Exception]]:
        futures = [future for _, _, future in convoy]
        try:
            results = await walk([item for _, item, _ in convoy])
            return list(zip(futures, results, strict=True))
        except Unavailable as away:
            return [(future, away) for future in futures]
        except Exception as error:
            if len(convoy) == 1:
                return [(futures[0], error)]
        alone = [await self._results([one], walk) for one in convoy]
        return [pair for pairs in alone for pair in pairs]


def _came(one: Waiting[T, R]) -> int:
    return one[0]


def _turn_away(convoy: Iterable[Waiting[T, R]]) -> None:
    """We stop before these were walked, or before it is known that they were."""
    for _, _, future in convoy:
        if not future.done():
            future.set_exception(Unavailable("we are stopping; try again"))
