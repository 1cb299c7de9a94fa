"""The API keys of the database, without a question to it for every request.

All live keys are read together and believed for `LIFE_S`: a key that was made or revoked is so,
everywhere, after that many seconds at the latest. Unknown keys cost no question either, so nobody
can make us ask, or tell by the time of an answer whether a key exists.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from app.clock import Clock
from app.store import keys
from app.store.database import Database
from app.store.keys import Live

LIFE_S = 2.0


class Keys:
    """What the database said of its keys, at most `LIFE_S` ago."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db, self._clock = db, clock
        self._read_at: float | None = None
        self._live: Mapping[str, Live] = {}
        self._turn = asyncio.Lock()

    async def find(self, sid: str) -> Live | None:
        """The key with this SID, unless it was revoked. Raises Unavailable."""
        if not self._fresh():
            async with self._turn:
                if not self._fresh():
                    await self._read()
        return self._live.get(sid)

    def forget(self) -> None:
        """A bell (`store.keys.BELL`) said that a key was revoked: ask anew at the next question."""
        self._read_at = None

    def _fresh(self) -> bool:
        return self._read_at is not None and self._clock.monotonic() < self._read_at + LIFE_S

    async def _read(self) -> None:
        asked = self._clock.monotonic()
        async with self._db.begin() as tx:
            self._live = await keys.live(tx.sql)
        self._read_at = asked
