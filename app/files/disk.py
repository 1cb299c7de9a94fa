"""Files in a folder: `<first two digits of the name>/<name>`."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

CHUNK_BYTES = 262_144


class Disk:
    """A folder of this machine (or one that all machines mount)."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def put(self, key: str, draft: Path) -> None:
        """The draft, which lies below the same folder, takes its name; both folders are synced."""
        await asyncio.to_thread(self._put, key, draft)

    async def read(self, key: str, offset: int, length: int) -> AsyncIterator[bytes]:
        """As `Shelf` says."""
        file = await asyncio.to_thread(os.open, self._path(key), os.O_RDONLY)
        try:
            end = offset + length
            while offset < end:
                size = min(CHUNK_BYTES, end - offset)
                chunk = await asyncio.to_thread(os.pread, file, size, offset)
                if not chunk:
                    return
                yield chunk
                offset += len(chunk)
        finally:
            os.close(file)

    async def remove(self, key: str) -> None:
        """As `Shelf` says."""
        await asyncio.to_thread(self._path(key).unlink, missing_ok=True)

    async def close(self) -> None:
        """Nothing is held."""

    def _put(self, key: str, draft: Path) -> None:
        path = self._path(key)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        draft.rename(path)
        _sync(path.parent)
        _sync(self._folder)

    def _path(self, key: str) -> Path:
        return self._folder / key[:2] / key


def _sync(folder: Path) -> None:
    """A new name is as durable as the folder that it is in."""
    opened = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
