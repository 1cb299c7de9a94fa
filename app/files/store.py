"""The file store: drafts in a folder of this machine, whole files on a shelf."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from app import ids
from app.errors import Forbidden
from app.files import draft as drafts
from app.files import frames
from app.files.disk import Disk
from app.files.draft import Draft
from app.files.shelf import Shelf
from app.vault import HEAD_BYTES, Vault, sealed_by

DISK = "disk"
NOWHERE = (20403, "Media cannot be kept: this server has no place for files")


@dataclass(frozen=True, slots=True)
class Kept:
    """A file that is kept: its name, the shelf that it lies on, and its size in bytes."""

    key: str
    shelf: str
    size: int


@dataclass(slots=True)
class Files:
    """`folder` holds drafts and, on the shelf `disk`, files; new ones go to the shelf `usual`. At
    least `free_bytes_min` stay free in the folder: what else lives on that disk must go on."""

    vault: Vault = field(default_factory=Vault)
    folder: Path | None = None
    shelves: Mapping[str, Shelf] = field(default_factory=dict)
    usual: str = DISK
    free_bytes_min: int = 0

    @classmethod
    def on_disk(cls, vault: Vault, folder: Path, free_bytes_min: int = 0) -> Files:
        """A store that has a folder alone."""
        return cls(vault, folder, {DISK: Disk(folder)}, DISK, free_bytes_min)

    @asynccontextmanager
    async def draft(self, key: str) -> AsyncIterator[Draft]:
        """A file that comes in, under a name of `new_key`; it is gone with the block unless it was
        put. Raises Forbidden (no place, no key to seal with), NoRoom."""
        if self.folder is None:
            raise Forbidden(*NOWHERE)
        self.vault.ready()
        made = await asyncio.to_thread(self._draft, self.folder / "drafts", key)
        try:
            yield made
        finally:
            made.close()

    async def sealed_by(self, kept: Kept) -> str:
        """What the key is known by that sealed a file. Raises Unsealable, FileNotFoundError,
        Unavailable."""
        head = bytearray()
        async for chunk in self._shelf(kept).read(kept.key, 0, HEAD_BYTES):
            head += chunk
        return sealed_by(bytes(head))

    @asynccontextmanager
    async def sealing(self, kept: Kept) -> AsyncIterator[Draft]:
        """A draft of what a file says, sealed by the first key, for `replace`. Raises Unsealable,
        FileNotFoundError, FileExistsError (another process is at it), Forbidden, NoRoom,
        Unavailable."""
        async with self.draft(kept.key) as made:
            async for chunk in self.read(kept):
                await made.write(chunk)
            await made.finish()
            yield made

    async def replace(self, kept: Kept, draft: Draft) -> None:
        """Put a draft of `sealing` in the file's own place: its name and size stay, and as each
        frame says by which key it was sealed, whoever reads it meanwhile notices nothing. Raises
        NoRoom, Unavailable."""
        await self._shelf(kept).put(kept.key, draft.path)

    async def put(self, draft: Draft) -> Kept:
        """Finish a draft and keep it on the usual shelf. Raises NoRoom, Unavailable."""
        await draft.finish()
        await self.shelves[self.usual].put(draft.key, draft.path)
        return Kept(draft.key, self.usual, draft.size)

    def read(self, kept: Kept, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes of a file from `start` to before `end` (None: all). Raises Unsealable,
        FileNotFoundError, Unavailable."""
        stop = kept.size if end is None else end
        offset, length = frames.place_of(kept.size, start, stop)
        raw = self._shelf(kept).read(kept.key, offset, length)
        return frames.opened(self.vault, kept.key, kept.size, start, stop, raw)

    async def remove(self, key: str, shelf: str) -> bool:
        """Remove what has this name; whether that shelf is one of ours."""
        found = self.shelves.get(shelf)
        if found is not None:
            await found.remove(key)
        return found is not None

    async def sweep(self) -> int:
        """Remove the drafts that processes left which died; gives how many."""
        if self.folder is None:
            return 0
        return await asyncio.to_thread(drafts.sweep, self.folder / "drafts")

    async def close(self) -> None:
        """Let connections go."""
        for shelf in self.shelves.values():
            await shelf.close()

    def _shelf(self, kept: Kept) -> Shelf:
        shelf = self.shelves.get(kept.shelf)
        if shelf is None:
            raise FileNotFoundError(f"the shelf {kept.shelf} is not in the configuration")
        return shelf

    def _draft(self, folder: Path, key: str) -> Draft:
        with drafts.room():
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        drafts.check_free(folder, self.free_bytes_min)
        return Draft(self.vault, key, folder / key)


def new_key() -> str:
    """A name for a file that no other has: it tells nothing of what is in it."""
    return ids.token().replace("-", "")
