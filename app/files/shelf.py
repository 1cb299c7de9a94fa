"""What a place for files must be able to do; and that there is no room."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol


class Shelf(Protocol):
    """Keeps sealed files under names that are never used twice. Raises Unavailable when it is away,
    NoRoom when it is full."""

    async def put(self, key: str, draft: Path) -> None:
        """Keep what this file of ours holds, durably: whole, or not at all."""
        ...

    def read(self, key: str, offset: int, length: int) -> AsyncIterator[bytes]:
        """So many bytes from there on, in chunks of any size. Raises FileNotFoundError."""
        ...

    async def remove(self, key: str) -> None:
        """Remove it, if it is there."""
        ...

    async def close(self) -> None:
        """Let connections go."""
        ...
