"""Who is online, as others see it ("User Reachability Indicator"): somebody is as long as one
socket of theirs is open, to any process."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Collection

from app.errors import Unavailable
from app.observe import Failed
from app.runtime import Runtime
from app.store import moves, presences
from app.store.presences import BEAT_S, Person

TURN_S = 0.2
"""Who comes and goes is written down together, this often."""
BATCH_MAX = 500


class Presence:
    """Writes down who is connected to this process."""

    def __init__(
        self, runtime: Runtime, process: str, moved: Callable[[Collection[str]], None]
    ) -> None:
        self._runtime, self._process, self._moved = runtime, process, moved
        self._sockets: Counter[Person] = Counter()
        self._changed: set[Person] = set()
        self._written: set[Person] = set()
        self._bell = asyncio.Event()

    def came(self, service_sid: str, identity: str) -> None:
        """One more socket of somebody."""
        person = service_sid, identity
        self._sockets[person] += 1
        if self._sockets[person] == 1:
            self._note(person)

    def left(self, service_sid: str, identity: str) -> None:
        """One less."""
        person = service_sid, identity
        self._sockets[person] -= 1
        if self._sockets[person] <= 0:
            del self._sockets[person]
            self._note(person)

    def _note(self, person: Person) -> None:
        self._changed.add(person)
        self._bell.set()

    async def run(self) -> None:
        """Write down who comes and goes, and that we are alive, until cancelled."""
        beaten_at = 0.0
        clock = self._runtime.clock
        while True:
            try:
                async with asyncio.timeout(BEAT_S):
                    await self._bell.wait()
            except TimeoutError:
                pass
            self._bell.clear()
            try:
                await self._write()
                if clock.monotonic() - beaten_at >= BEAT_S:
                    await self._beat()
                    beaten_at = clock.monotonic()
            except Exception as error:
                if not isinstance(error, Unavailable):
                    self._runtime.observe(Failed("who is online", error))
            await clock.sleep(TURN_S)

    async def clear(self) -> None:
        """Nobody is connected to this process any more."""
        async with self._runtime.db.begin() as tx:
            gone = await presences.clear(tx.sql, self._process)
            await presences.show(tx.sql, gone, tx.now)
        self._moved({moves.person(*one) for one in gone})

    async def _write(self) -> None:
        while self._changed:
            some = sorted(self._changed)[:BATCH_MAX]
            here = [one for one in some if one in self._sockets and one not in self._written]
            gone = [one for one in some if one not in self._sockets and one in self._written]
            async with self._runtime.db.begin() as tx:
                if here:
                    await presences.come(tx.sql, here, self._process, tx.now)
                if gone:
                    await presences.go(tx.sql, gone, self._process)
                await presences.show(tx.sql, here + gone, tx.now)
            self._written = (self._written | set(here)) - set(gone)
            # Who came and went meanwhile is looked at in the next turn.
            self._changed -= {
                one for one in some if (one in self._sockets) == (one in self._written)
            }
            self._moved({moves.person(*one) for one in here + gone})

    async def _beat(self) -> None:
        """Say that we are alive; take off whom others left behind."""
        async with self._runtime.db.begin() as tx:
            if self._written:
                await presences.beat(tx.sql, self._process, tx.now)
            lost = await presences.sweep(tx.sql, tx.now)
            await presences.show(tx.sql, lost, tx.now)
        self._moved({moves.person(*one) for one in lost})
