"""A clock that stands still until a test turns it."""

from __future__ import annotations

import asyncio
import heapq
from datetime import UTC, datetime, timedelta
from itertools import count

from app.clock import Clock

START = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)


class TurnedClock(Clock):
    """Wall time and monotonic time move together, by `turn` and `turn_to` only.

    Sleepers wake in the order in which they are due. One that sleeps again within the same turn
    counts from the time after the turn. Belongs to one event loop.
    """

    def __init__(self, now: datetime = START) -> None:
        self._now = now
        self._monotonic = 1000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()

    def now(self) -> datetime:
        """The present, as the test turned it."""
        return self._now

    def monotonic(self) -> float:
        """Seconds; grows by what the test turned."""
        return self._monotonic

    @property
    def sleepers(self) -> int:
        """How many wait for the clock."""
        return sum(not woken.done() for _, _, woken in self._sleepers)

    async def sleep(self, seconds: float) -> None:
        """Wait until the clock was turned this far; nothing or less only gives way."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._monotonic + seconds, next(self._order), woken))
        await woken

    def turn(self, seconds: float) -> None:
        """Let this much time pass (never backwards) and wake everybody who is due."""
        assert seconds >= 0, "time does not run backwards"
        self._now += timedelta(seconds=seconds)
        self._monotonic += seconds
        # A sum of turns may fall a rounding error short of what was asked for.
        while self._sleepers and self._sleepers[0][0] <= self._monotonic + 1e-6:
            _, _, woken = heapq.heappop(self._sleepers)
            if not woken.done():
                woken.set_result(None)

    def turn_to(self, moment: datetime) -> None:
        """Turn to a moment that is not past."""
        self.turn((moment - self._now).total_seconds())

    async def until_asleep(self, sleepers: int = 1) -> None:
        """Give way until so many wait for the clock: then everything else has had its turn."""
        async with asyncio.timeout(5):
            while self.sleepers < sleepers:
                await asyncio.sleep(0)


class AheadClock(Clock):
    """The real clock, which a test puts ahead: for whole houses, whose parts wait by themselves."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def now(self) -> datetime:
        """The present, as far ahead as the test put it."""
        return super().now() + timedelta(seconds=self.ahead_s)

    def monotonic(self) -> float:
        """Seconds; jumps with the present."""
        return super().monotonic() + self.ahead_s
