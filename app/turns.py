"""Turns: how many may do something under one name at once; the others wait, and not too many."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from app.errors import Unavailable


@dataclass(slots=True)
class _Line:
    """Those who have a turn under one name, and those who wait for it."""

    turns: asyncio.Semaphore
    people: int = 0


class Turns:
    """A line for every name; one that nobody stands in is forgotten."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    def full(self, name: str, at_once: int, waiting_max: int) -> bool:
        """Whether `take` would refuse somebody now."""
        line = self._lines.get(name)
        return line is not None and line.people >= at_once + waiting_max

    @asynccontextmanager
    async def take(self, name: str, at_once: int, waiting_max: int) -> AsyncIterator[None]:
        """A turn, in the order of arrival. Raises Unavailable when `waiting_max` wait already."""
        if self.full(name, at_once, waiting_max):
            raise Unavailable("too many wait for the same thing")
        line = self._lines.setdefault(name, _Line(asyncio.Semaphore(at_once)))
        line.people += 1
        try:
            async with line.turns:
                yield
        finally:
            line.people -= 1
            if not line.people:
                del self._lines[name]
