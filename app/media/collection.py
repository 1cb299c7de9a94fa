"""What goes: media that no message took in time, those of deleted messages, files that nothing
refers to, drafts of processes that died."""

from __future__ import annotations

from app.runtime import Runtime
from app.store import media


async def collect(runtime: Runtime) -> bool:
    """One turn, idempotent, in any number of processes; whether there may be more. The names of
    files go first, in a transaction; a file that could not be removed is removed in a later one."""
    files = runtime.files
    await files.sweep()
    async with runtime.db.begin() as tx:
        gone = await media.collect(tx.sql, tx.now, runtime.settings.media.unattached_s)
    async with runtime.db.read() as tx:
        now, doomed = tx.now, await media.doomed(tx.sql, tx.now, list(files.shelves))
    for key, shelf in doomed:
        await files.remove(key, shelf)
    if doomed:
        async with runtime.db.begin() as tx:
            await media.forget(tx.sql, [key for key, _ in doomed], now)
    return media.BATCH_MAX in (gone, len(doomed))
