"""A file in frames: each is sealed for itself, so that a file of any length is written, read and
entered in its middle in little memory.

What a frame is about (the name of its file, its place, whether it is the last) is sealed with it:
frames cannot be exchanged, left out or taken from another file, nor a file cut short.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from app.errors import Unsealable
from app.vault import OVERHEAD_BYTES, Vault

FRAME_BYTES = 262_144
SEALED_BYTES = FRAME_BYTES + OVERHEAD_BYTES


def seal(vault: Vault, key: str, place: int, data: bytes, *, last: bool) -> bytes:
    """One frame. Raises Forbidden when there is no key to seal with."""
    return vault.seal(data, _about(key, place, last))


def place_of(size: int, start: int, end: int) -> tuple[int, int]:
    """Where in the sealed file the frames lie that hold the bytes from `start` to before `end` of
    a file of `size`: their first byte, and how many."""
    first, last = start // FRAME_BYTES, (end - 1) // FRAME_BYTES
    stop = min((last + 1) * SEALED_BYTES, sealed_size(size))
    return first * SEALED_BYTES, stop - first * SEALED_BYTES


def sealed_size(size: int) -> int:
    """How long a file of this size is when it is sealed."""
    return size + -(-size // FRAME_BYTES) * OVERHEAD_BYTES


async def opened(
    vault: Vault, key: str, size: int, start: int, end: int, raw: AsyncIterator[bytes]
) -> AsyncIterator[bytes]:
    """The bytes from `start` to before `end`, of the sealed ones at `place_of`. Raises Unsealable:
    no key, not ours, changed, or cut short."""
    place, waiting = start // FRAME_BYTES, bytearray()
    count = -(-size // FRAME_BYTES)
    async for chunk in raw:
        waiting += chunk
        while len(waiting) >= SEALED_BYTES:
            frame = bytes(waiting[:SEALED_BYTES])
            del waiting[:SEALED_BYTES]
            yield _cut(vault, key, place, count, frame, start, end)
            place += 1
    if waiting:
        yield _cut(vault, key, place, count, bytes(waiting), start, end)
        place += 1
    if place * FRAME_BYTES < end:
        raise Unsealable("the file is shorter than it was")


def _cut(
    vault: Vault, key: str, place: int, count: int, frame: bytes, start: int, end: int
) -> bytes:
    data = vault.open(frame, _about(key, place, place == count - 1))
    begins = place * FRAME_BYTES
    return data[max(0, start - begins) : end - begins]


def _about(key: str, place: int, last: bool) -> str:
    return f"file {key} {place} {'end' if last else 'more'}"
