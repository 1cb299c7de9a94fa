"""Work that computes for long, made beside the event loop: in a thread, and one piece at a time,
since threads share one processor with the loop.

Accounts take turns: whatever one of them wants made, others wait for one piece of it. Whoever would
wait too long is told so, and can leave its place to others.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from app.errors import Unavailable
from app.turns import Turns

T = TypeVar("T")

WAITING_MAX = 16
"""Pieces of work of one account that wait: each holds a place of whoever works on items."""


class Crowded(Unavailable):
    """Others have so much of this under way that it cannot be done now; nothing was attempted."""


@dataclass(slots=True)
class Waiter:
    """Who has work, for which of its things, and for how many seconds it can still wait for
    others."""

    account_sid: str
    name: str
    left_s: float

    @asynccontextmanager
    async def waiting(self) -> AsyncIterator[None]:
        """A wait for others. Raises Crowded when it is too long."""
        now = asyncio.get_running_loop().time
        began = now()
        try:
            async with asyncio.timeout(self.left_s):
                yield
        except (TimeoutError, Unavailable) as waited:
            raise Crowded("too much that takes long is under way") from waited
        finally:
            self.left_s = max(0.0, self.left_s - (now() - began))


class Beside:
    """The thread for which everybody waits."""

    def __init__(self) -> None:
        self._turns = Turns()
        self._thread = asyncio.Semaphore(1)
        self._waiting: Counter[str] = Counter()

    def full(self, waiter: Waiter) -> bool:
        """Whether more of this thing would be refused, as far as it takes long: some of it waits
        already, and nothing else of its account finds a place. To try it would be in vain."""
        of_it = self._waiting[waiter.name] > 0
        return of_it and self._turns.full(waiter.account_sid, 1, WAITING_MAX)

    async def make(self, waiter: Waiter, work: Callable[[], T]) -> T:
        """What the work gives. Raises Crowded. The thread of somebody who is cancelled goes on, and
        nobody else's begins before it has ended."""
        async with AsyncExitStack() as stack:
            self._waiting[waiter.name] += 1
            try:
                async with waiter.waiting():
                    turn = self._turns.take(waiter.account_sid, 1, WAITING_MAX)
                    await stack.enter_async_context(turn)
                    await self._thread.acquire()
            finally:
                self._waiting[waiter.name] -= 1
                if not self._waiting[waiter.name]:
                    del self._waiting[waiter.name]
            made = asyncio.get_running_loop().run_in_executor(None, work)
            made.add_done_callback(lambda _: self._thread.release())
            return await asyncio.shield(made)
