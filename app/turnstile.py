"""A turnstile: lets one task through in each turn of the event loop.

Tasks that become ready together run one after the other before the loop looks at its sockets again.
With many requests at once that takes milliseconds, in which an answer of the database lies unread
and the database has nothing to do. Behind a turnstile the sockets are looked at between any two.
"""

from __future__ import annotations

import asyncio
from collections import deque


class Turnstile:
    """Whoever comes first goes first. Nothing waits where nobody else is."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._shut = False

    async def enter(self) -> None:
        """Go on in a turn of the loop in which nobody else has come through here."""
        loop = asyncio.get_running_loop()
        if self._shut:
            mine = loop.create_future()
            self._waiting.append(mine)
            await mine
            return
        self._shut = True
        loop.call_soon(self._next, loop)

    def _next(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.cancelled():
                waiter.set_result(None)
                loop.call_soon(self._next, loop)
                return
        self._shut = False
