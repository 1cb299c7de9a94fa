"""A file comes in: a doomed name, a draft, the shelf, and a transaction that takes it for good."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg

from app.errors import Invalid
from app.files import sniff
from app.files.draft import Draft
from app.files.store import Kept, new_key
from app.model.traffic import KeptFile
from app.observe import MediaStored
from app.runtime import Runtime
from app.store import media

EMPTY = (50511, "The media file is empty")
TOO_LARGE = (50512, "Message media size is too large")


@dataclass(slots=True)
class Incoming:
    """A file on its way in; `head` is how it begins. `write` raises Invalid 50512 past the limit,
    NoRoom."""

    draft: Draft
    bytes_max: int
    head: bytes = b""

    async def write(self, chunk: bytes) -> None:
        """Take the next bytes."""
        if self.draft.size + len(chunk) > self.bytes_max:
            raise Invalid(*TOO_LARGE, {"bytes_max": self.bytes_max})
        if len(self.head) < sniff.HEAD_BYTES:
            self.head += chunk[: sniff.HEAD_BYTES - len(self.head)]
        await self.draft.write(chunk)


@asynccontextmanager
async def receiving(runtime: Runtime) -> AsyncIterator[Incoming]:
    """A file that comes in; it is gone with the block unless it was put on its shelf. Raises
    Forbidden, NoRoom."""
    key, files = new_key(), runtime.files
    async with files.draft(key) as draft:
        async with runtime.db.begin() as tx:
            await media.doom(tx.sql, key, files.usual, tx.now)
        yield Incoming(draft, runtime.settings.media.bytes_max)


async def put(runtime: Runtime, incoming: Incoming) -> Kept:
    """All of it came: it is durable when this returns. Raises Invalid for an empty one."""
    if not incoming.draft.size:
        raise Invalid(*EMPTY)
    return await runtime.files.put(incoming.draft)


def lying(incoming: Incoming, kept: Kept) -> KeptFile:
    """What came, as it lies on its shelf."""
    draft = incoming.draft
    return KeptFile(kept.key, kept.shelf, draft.sha256, draft.sealed_by)


async def adopt(runtime: Runtime, sql: asyncpg.Connection, incoming: Incoming, kept: Kept) -> str:
    """In the transaction that makes it somebody's: the name under which its content is kept."""
    now = runtime.clock.now()
    return await media.adopt(sql, lying(incoming, kept), kept.size, now)


async def settle(runtime: Runtime, kept: Kept, key: str, came: str) -> None:
    """After that transaction: a file whose content was there already is not needed."""
    runtime.observe(MediaStored(came, kept.size, known=key != kept.key))
    if key != kept.key and await runtime.files.remove(kept.key, kept.shelf):
        async with runtime.db.begin() as tx:
            await media.spare(tx.sql, kept.key)
