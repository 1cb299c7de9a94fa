"""Convoys: whatever waits goes through one transaction together, then each is answered.

Half of a small transaction's cost is its commit: a convoy shares it. One convoy is under way at a
time and leaves as soon as the walker is free (waiting for more costs more than it brings). When a
convoy fails it is walked again one by one, so that one poisoned item cannot harm its neighbours.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Generic, TypeVar

from app.errors import Unavailable

T = TypeVar("T")
R = TypeVar("R")

Walk = Callable[[Sequence[T]], Awaitable[Sequence[R | Exception]]]
"""Takes a convoy through one transaction; gives a result, or the refusal, for each in its place."""


class Convoy(Generic[T, R]):
    """A bounded queue and its walker. At most `longest` go together, at most `waiting_max` wait."""

    def __init__(self, walk: Walk[T, R], *, longest: int, waiting_max: int) -> None:
        self._walk = walk
        self._longest = longest
        self._waiting_max = waiting_max
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._arrived = asyncio.Event()
        self._closing = False

    async def submit(self, item: T) -> R:
        """What became of the item, once that is committed. Raises Unavailable when too many wait
        or we are closing, and whatever refusal the walk gave for this item."""
        return await self.enqueue(item)

    def enqueue(self, item: T) -> asyncio.Future[R]:
        """The same without waiting: items enqueued one after the other keep their order."""
        if self._closing or len(self._waiting) >= self._waiting_max:
            raise Unavailable("too much is waiting; try again")
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        self._arrived.set()
        return future

    def waiting(self) -> bool:
        """Whether another convoy leaves when this one has arrived."""
        return bool(self._waiting)

    def close(self) -> None:
        """Take nothing more; `run` returns when all that waits is answered."""
        self._closing = True
        self._arrived.set()

    async def run(self) -> None:
        """Walk until closed and empty. When cancelled, whoever waits is told to try again."""
        try:
            while self._waiting or not self._closing:
                if self._waiting:
                    await self._depart()
                    continue
                self._arrived.clear()
                await self._arrived.wait()
        finally:
            self.close()
            _turn_away(future for _, future in self._waiting)
            self._waiting.clear()

    async def _depart(self) -> None:
        count = min(len(self._waiting), self._longest)
        convoy = [self._waiting.popleft() for _ in range(count)]
        convoy = [(item, future) for item, future in convoy if not future.cancelled()]
        try:
            results = await self._results(convoy)
        except asyncio.CancelledError:
            _turn_away(future for _, future in convoy)
            raise
        for future, result in results:
            if future.cancelled():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

    async def _results(
        self, convoy: Sequence[tuple[T, asyncio.Future[R]]]
    ) -> list[tuple[asyncio.Future[R], R | Exception]]:
        futures = [future for _, future in convoy]
        try:
            results = await self._walk([item for item, _ in convoy])
            return list(zip(futures, results, strict=True))
        except Unavailable as away:
            return [(future, away) for future in futures]
        except Exception as error:
            if len(convoy) == 1:
                return [(futures[0], error)]
        alone = [await self._results([one]) for one in convoy]
        return [pair for pairs in alone for pair in pairs]


def _turn_away(futures: Iterable[asyncio.Future[R]]) -> None:
    """We stop before these were walked, or before it is known that they were."""
    for future in futures:
        if not future.done():
            future.set_exception(Unavailable("we are stopping; try again"))
