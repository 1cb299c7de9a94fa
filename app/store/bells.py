"""Bells between processes: NOTIFY after the commit, coalesced; LISTEN where the workers are.

A lost bell costs at most one poll of the loop that it was for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from app.clock import Clock
from app.errors import Unavailable
from app.observe import Failed, Observe
from app.store.away import is_away
from app.store.database import Database

CHANNEL = "parley"
COALESCE_S = 0.01
"""At most one NOTIFY in this time, and the first at once: each is a transaction of its own."""


class Ringer:
    """Rings the bells of other processes, for work that this process leaves to them."""

    def __init__(self, db: Database, clock: Clock, observe: Observe) -> None:
        self._held = db.hold(fleeting=True)
        self._observe = observe
        self._clock = clock
        self._kinds: set[str] = set()
        self._asked = asyncio.Event()

    def ring(self, kind: str) -> None:
        """There is work of this kind; told after at most a few milliseconds."""
        self._kinds.add(kind)
        self._asked.set()

    async def run(self) -> None:
        """Tell until cancelled."""
        try:
            while True:
                await self._asked.wait()
                self._asked.clear()
                kinds, self._kinds = self._kinds, set()
                try:
                    sql = await self._held.live()
                    await sql.execute("SELECT pg_notify($1, $2)", CHANNEL, " ".join(sorted(kinds)))
                except Exception as error:  # whatever it is: the workers poll meanwhile
                    _report(self._observe, error)
                    await self._clock.sleep(1.0)
                await self._clock.sleep(COALESCE_S)
        finally:
            await self._held.close()


async def listen(db: Database, ring: Callable[[str], None], clock: Clock, observe: Observe) -> None:
    """Ring our own bells when another process tells us to, until cancelled."""
    held = db.hold()

    def heard(_connection: object, _pid: int, _channel: str, kinds: object) -> None:
        for kind in str(kinds).split():
            ring(kind)

    try:
        while True:
            try:
                sql = await held.live()
                gone = asyncio.Event()
                sql.add_termination_listener(lambda _connection, gone=gone: gone.set())
                await sql.add_listener(CHANNEL, heard)
                await gone.wait()
            except Exception as error:  # whatever it is: we poll meanwhile
                _report(observe, error)
                await clock.sleep(0.5)
    finally:
        await held.close()


def _report(observe: Observe, error: Exception) -> None:
    """That the database is away is said by readiness; anything else should be read."""
    if not isinstance(error, Unavailable) and not is_away(error):
        observe(Failed("the bells between processes", error))
