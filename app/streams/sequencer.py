"""The sequencer: gives what happened its place in the log (app/store/stream_log.py says why).

Every worker process has one, and they take turns: the lock makes them one. Rung by the transactions
that left something, and by the clock in case that a bell was lost.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from app.errors import Unavailable
from app.model.streams import FOLLOW, STREAM, logged_bell
from app.observe import Failed
from app.runtime import Runtime
from app.store import stream_log

POLL_S = 1.0


class Sequencer:
    """Turns until closed, on a connection of its own."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._held = runtime.db.hold(pinned=True)
        self._bell = runtime.wakes.bell(STREAM)
        self._closing = False

    def close(self) -> None:
        """Take no further turn."""
        self._closing = True
        self._bell.set()

    async def run(self) -> None:
        """Take turns until closed."""
        try:
            while not self._closing:
                self._bell.clear()
                if not await self._turn():
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._bell.wait(), POLL_S)
        finally:
            await self._held.close()

    async def turn(self) -> int:
        """One turn; gives how many events it moved. Raises Unavailable."""
        now = self._runtime.clock.now()
        async with self._held.begin() as sql:
            moved = await stream_log.sequence(sql, now)
            bells = {logged_bell(account_sid) for account_sid in moved}
            if bells:
                await stream_log.tell(sql, bells | {FOLLOW})
        for bell in (*bells, FOLLOW) if bells else ():
            self._runtime.wakes.heard(bell)
        return sum(moved.values())

    async def _turn(self) -> bool:
        """Whether there may be more at once."""
        try:
            return await self.turn() >= stream_log.MOVED_MAX
        except Unavailable:
            await self._runtime.clock.sleep(0.2)
        except Exception as error:
            self._runtime.observe(Failed("the sequencer", error))
            await self._runtime.clock.sleep(POLL_S)
        return False
