"""A turnstile: lets a few tasks through in each turn of the event loop.

Tasks that become ready together run one after the other before the loop looks at its sockets again.
With many requests at once that takes milliseconds, in which an answer of the database lies unread
and the database has nothing to do. Behind a turnstile the sockets are looked at between any few.
Few is more than one: a turn of the loop costs half as much as a request.
"""

from __future__ import annotations

import asyncio
from collections import deque

WIDTH = 4
"""How many go through together."""


class Turnstile:
    """Whoever comes first goes first. Nobody waits where few are."""

    def __init__(self, width: int = WIDTH) -> None:
        self._width = self._places = width
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._turning = False
        self._loop = asyncio.get_running_loop()

    async def enter(self) -> None:
        """Go on in a turn of the loop in which fewer than `width` others came through here."""
        if not self._turning:
            self._turning = True
            self._loop.call_soon(self._turn)
        if self._places:
            self._places -= 1
            return
        mine = self._loop.create_future()
        self._waiting.append(mine)
        await mine

    def _turn(self) -> None:
        """The next ones go; whoever comes in this turn waits behind them."""
        self._places = self._width
        while self._waiting and self._places:
            waiter = self._waiting.popleft()
            if not waiter.cancelled():
                waiter.set_result(None)
                self._places -= 1
        self._turning = self._places < self._width
        if self._turning:
            self._loop.call_soon(self._turn)
