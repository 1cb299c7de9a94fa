"""Files for carriers that bring them along themselves, as mail does: read from our shelf, or, where
only their carrier keeps them, through the guarded client."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

import aiohttp

from app import egress
from app.carriers.contract import Context, OpenFile
from app.errors import Permanent, Temporary, Unavailable, Unsealable
from app.files.store import Kept
from app.media.download import CODE, READ_S
from app.media.scaling import scaled
from app.model.traffic import MediaPart
from app.runtime import Runtime
from app.store import media

CHUNK_BYTES = 65_536


def context(runtime: Runtime) -> Context:
    """What a carrier may use for a send."""
    return replace(runtime.context, open_file=partial(opened, runtime))


@asynccontextmanager
async def opened(runtime: Runtime, part: MediaPart) -> AsyncIterator[OpenFile]:
    """This file of an outgoing message. Raises Temporary or Permanent, also while it is read."""
    kept = await _kept(runtime, part) if part.sid is not None and not part.pending else None
    try:
        if kept is None:
            async with _fetched(runtime, part) as found:
                yield found
        elif part.bytes_max is not None and kept.size > part.bytes_max:
            yield await _smaller(runtime, kept, part.bytes_max)
        else:
            yield OpenFile(kept.size, runtime.files.read(kept))
    except (Unsealable, FileNotFoundError, Unavailable) as error:
        raise Temporary(f"a file could not be read: {type(error).__name__}", CODE) from error


async def _kept(runtime: Runtime, part: MediaPart) -> Kept | None:
    async with runtime.db.read() as tx:
        found = await media.find(tx, part.sid or "")
    if found is None:
        raise Permanent("a file of the message is gone", CODE)
    if found.shelf is None:
        return None
    return Kept(found.row.file_key, found.shelf, found.row.kept_size)


async def _smaller(runtime: Runtime, kept: Kept, bytes_max: int) -> OpenFile:
    data = await scaled(runtime, kept, bytes_max)
    if data is None:
        raise Permanent(f"a picture does not get as small as {bytes_max} bytes", CODE)

    async def whole() -> AsyncIterator[bytes]:
        yield data

    return OpenFile(len(data), whole())


@asynccontextmanager
async def _fetched(runtime: Runtime, part: MediaPart) -> AsyncIterator[OpenFile]:
    try:
        timeout_s = runtime.settings.media.timeout_s
        called = egress.call(
            runtime.egress, "GET", part.url, timeout_s=timeout_s, read_s=READ_S, headers={}
        )
        async with called as response:
            if response.status != 200:
                raise Temporary(f"a file did not come: HTTP {response.status}", CODE)
            yield OpenFile(response.content_length, response.content.iter_chunked(CHUNK_BYTES))
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise Temporary(f"a file did not come: {type(error).__name__}", CODE) from error
