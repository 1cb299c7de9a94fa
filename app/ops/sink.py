"""Where log lines go: collected in memory, made and written together."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import BinaryIO, Generic, TypeVar

from app.clock import Clock

T = TypeVar("T")

HELD_S = 0.2
"""How long a line may wait; a crash of the process loses no more than that."""
HELD_MAX = 64
"""How many may wait: together they are made in the time of a request."""


class Sink(Generic[T]):
    """Takes what lines are made of by `render`, which never fails. To make and write one after the
    other takes a third of what it takes between requests. Outside an event loop every line is
    written at once."""

    def __init__(self, stream: BinaryIO, clock: Clock, render: Callable[[T], bytes]) -> None:
        self.clock = clock
        self._stream = stream
        self._render = render
        self._held: list[T] = []
        self._timer: asyncio.TimerHandle | None = None

    def take(self, said: T) -> None:
        """Take one line's content, which does not change any more."""
        self._held.append(said)
        if len(self._held) >= HELD_MAX or not self._scheduled():
            self.flush()

    def flush(self) -> None:
        """Write what was collected. A reader that went away is no reason to fail."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        held, self._held = self._held, []
        if not held:
            return
        lines = b"".join(self._render(said) + b"\n" for said in held)
        try:
            self._stream.write(lines)
            self._stream.flush()
        except (OSError, ValueError):
            pass

    def _scheduled(self) -> bool:
        """Whether the lines will be written soon."""
        if self._timer is not None and not self._timer.cancelled():
            return True
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        self._timer = loop.call_later(HELD_S, self.flush)
        return True
