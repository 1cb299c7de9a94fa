"""A file while it comes in: sealed frame by frame into a draft that nobody else sees.

A draft is locked while it is written, and the lock goes with the process: what can be locked by
somebody else was left by one that died, and is swept away.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EDQUOT, EFBIG, ENOSPC
from hashlib import sha256
from pathlib import Path

from app.errors import NoRoom
from app.files import frames
from app.vault import Vault, sealed_by

FULL = frozenset({ENOSPC, EDQUOT, EFBIG})
NO_ROOM = "There is no room to store media"


class Draft:
    """One file on its way in. `size` is how much came, `sealed_by` what the key is known by that
    seals it, empty until the first frame."""

    def __init__(self, vault: Vault, key: str, path: Path) -> None:
        self.key, self.path = key, path
        self.size, self.sealed_by = 0, ""
        self._vault, self._waiting, self._hash = vault, bytearray(), sha256()
        self._places = 0
        self._file = _locked(path)

    @property
    def sha256(self) -> str:
        """The digest of what came."""
        return self._hash.hexdigest()

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes. Raises NoRoom."""
        self.size += len(chunk)
        self._waiting += chunk
        while len(self._waiting) > frames.FRAME_BYTES:  # the last frame says that it is the last
            frame = bytes(self._waiting[: frames.FRAME_BYTES])
            del self._waiting[: frames.FRAME_BYTES]
            await asyncio.to_thread(self._seal, frame, last=False)

    async def finish(self) -> None:
        """Nothing more comes: it is on the disk when this returns. Raises NoRoom."""
        frame = bytes(self._waiting)
        self._waiting.clear()
        await asyncio.to_thread(self._seal, frame, last=True)

    def close(self) -> None:
        """Let it go; what was not put on a shelf is no more."""
        os.close(self._file)
        self.path.unlink(missing_ok=True)

    def _seal(self, frame: bytes, *, last: bool) -> None:
        self._hash.update(frame)
        sealed = frames.seal(self._vault, self.key, self._places, frame, last=last)
        self._places += 1
        self.sealed_by = sealed_by(sealed)
        with room():
            rest = memoryview(sealed)
            while rest:
                rest = rest[os.write(self._file, rest) :]
            if last:
                os.fsync(self._file)


@contextmanager
def room() -> Iterator[None]:
    """Raises NoRoom when the disk is full in this block."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise NoRoom(NO_ROOM) from error
        raise


def check_free(folder: Path, bytes_min: int) -> None:
    """Raises NoRoom when less than this is free where the folder is."""
    if shutil.disk_usage(folder).free < bytes_min:
        raise NoRoom(NO_ROOM)


def sweep(folder: Path) -> int:
    """Remove the drafts that processes left which died; gives how many."""
    gone = 0
    for path in folder.iterdir() if folder.is_dir() else ():
        with suppress(OSError):  # it was put on its shelf, or is being written
            opened = os.open(path, os.O_RDWR)
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
                gone += 1
            finally:
                os.close(opened)
    return gone


def _locked(path: Path) -> int:
    """A new draft, open and locked."""
    with room():
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.stat().st_ino != os.fstat(opened).st_ino:
            raise FileNotFoundError(path)
    except OSError as error:  # swept between two steps
        os.close(opened)
        raise NoRoom("the draft was swept away; try again") from error
    return opened
