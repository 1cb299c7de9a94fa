"""When one secret key takes the place of another: files are sealed anew by the first, one after the
other, so that those before it may go.

Idempotent, in any number of processes: a file that was left in the middle is as it was, or as it
shall be, and is looked at again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from app.errors import Unsealable
from app.files.store import Kept
from app.runtime import Runtime
from app.store import media

BATCH_MAX = 100


@dataclass(slots=True)
class Resealed:
    """What became of files: how many are sealed anew, how many could not be read, and the keys (by
    what they are known) that some need and that are not given. `stopped`: not all were looked at.
    `free`: there are keys after the first, and no file needs them any more; one that could not be
    read, that another process is at, or that nobody looked at may."""

    done: int = 0
    unread: int = 0
    missing: list[str] = field(default_factory=list)
    stopped: bool = False
    free: bool = False


async def reseal(runtime: Runtime, stopping: Callable[[], bool]) -> Resealed:
    """Seal by the first key what those after it sealed; no file is looked at while there is only
    one. Raises NoRoom, Unavailable: what is left is for the next time."""
    found, (first, *older) = Resealed(), runtime.vault.keys or ("",)
    for by in ("", *older) if older else ():
        await _reseal_all(runtime, by, stopping, found)
        if found.stopped:
            return found
    async with runtime.db.read() as tx:
        left = [by for by in await media.seals(tx.sql) if by != first]
    found.missing = [by for by in left if by not in ("", *older)]
    found.free = bool(older) and not left
    return found


async def _reseal_all(
    runtime: Runtime, by: str, stopping: Callable[[], bool], found: Resealed
) -> None:
    """Those that this key is said to have sealed."""
    after: str | None = ""
    while after is not None:
        async with runtime.db.read() as tx:
            rows = await media.sealed(tx.sql, by, after, BATCH_MAX)
        for row in rows:
            found.stopped = stopping()
            if found.stopped:
                return
            await _reseal(runtime, Kept(**row), by, found)
        after = rows[-1]["key"] if len(rows) == BATCH_MAX else None


async def _reseal(runtime: Runtime, kept: Kept, was: str, found: Resealed) -> None:
    """Look at one file, and seal it anew where one of the keys before the first sealed it."""
    try:
        by = await runtime.files.sealed_by(kept)
        if by in runtime.vault.keys[1:]:
            found.done += await _replace(runtime, kept)
            return
    except FileExistsError:
        return  # another process is at it
    except (FileNotFoundError, Unsealable):
        async with runtime.db.read() as tx:
            found.unread += await media.is_kept(tx.sql, kept.key)
        return
    async with runtime.db.begin() as tx:
        await media.looked(tx.sql, kept.key, was, by)


async def _replace(runtime: Runtime, kept: Kept) -> bool:
    """Seal one file anew; False when it is nobody's any more, or another process is at it. From
    before it is written until that is known to the database it is doomed: whatever dies, or
    deletes it, leaves nothing."""
    async with runtime.files.sealing(kept) as draft:
        async with runtime.db.begin() as tx:
            until = await media.risk(tx.sql, kept.key, tx.now)
        if until is None:
            return False
        await runtime.files.replace(kept, draft)
    async with runtime.db.begin() as tx:
        await media.resealed(tx.sql, kept.key, draft.sealed_by, until)
    return True
