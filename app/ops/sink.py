"""Where log lines go: collected in memory, written together."""

from __future__ import annotations

import asyncio
from typing import BinaryIO

from app.clock import Clock

HELD_S = 0.2
"""How long a line may wait; a crash of the process loses no more than that."""
HELD_BYTES_MAX = 65_536


class Sink:
    """Takes finished lines. One system call for many of them: writing each cost more than making
    it. Outside an event loop every line is written at once."""

    def __init__(self, stream: BinaryIO, clock: Clock) -> None:
        self.clock = clock
        self._stream = stream
        self._lines: list[bytes] = []
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def take(self, line: bytes) -> None:
        """Take one line."""
        self._lines.append(line)
        self._bytes += len(line) + 1
        if self._bytes >= HELD_BYTES_MAX or not self._scheduled():
            self.flush()

    def flush(self) -> None:
        """Write what was collected. A reader that went away is no reason to fail."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        lines, self._lines, self._bytes = self._lines, [], 0
        if not lines:
            return
        try:
            self._stream.write(b"\n".join(lines) + b"\n")
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
