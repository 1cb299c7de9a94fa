"""Names of files that are doomed: who may write under them, and which are forgotten."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from app.model.traffic import KeptFile
from app.store import media
from tests.support.database import connected

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SOON, LATER = NOW + timedelta(seconds=1), NOW + timedelta(seconds=media.COMING_S)
WAITS = """
SELECT count(*) FROM pg_locks WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))
"""
KEY, OLD, NEW, OTHER = "k1", "00000000", "00000001", "00000002"


@pytest.fixture
async def kept(sql: asyncpg.Connection) -> asyncpg.Connection:
    """A file that is kept."""
    await media.doom(sql, KEY, "disk", NOW)
    await media.adopt(sql, KeptFile(KEY, "disk", "a" * 64, OLD), 7, NOW)
    return sql


async def sealed_by(sql: asyncpg.Connection) -> str | None:
    by: str | None = await sql.fetchval("SELECT sealed_by FROM files WHERE key = $1", KEY)
    return by


async def due(sql: asyncpg.Connection) -> datetime | None:
    found: datetime | None = await sql.fetchval("SELECT due FROM doomed_files WHERE key = $1", KEY)
    return found


async def test_one_at_a_time_writes_a_file_anew(kept: asyncpg.Connection) -> None:
    assert await media.risk(kept, KEY, NOW) == LATER
    assert await media.risk(kept, KEY, SOON) is None
    await media.resealed(kept, KEY, NEW, LATER)
    assert (await sealed_by(kept), await due(kept)) == (NEW, None)
    assert await media.risk(kept, KEY, SOON) is not None


async def test_who_took_too_long_says_nothing_of_what_another_one_writes(
    kept: asyncpg.Connection,
) -> None:
    was = await sealed_by(kept)
    first = await media.risk(kept, KEY, NOW)
    second = await media.risk(kept, KEY, LATER)
    assert first is not None
    assert second is not None
    await media.resealed(kept, KEY, OTHER, first)
    assert (await sealed_by(kept), await due(kept)) == (was, second)
    await media.resealed(kept, KEY, NEW, second)
    assert (await sealed_by(kept), await due(kept)) == (NEW, None)


async def test_what_was_seen_does_not_count_when_it_was_written_since(
    kept: asyncpg.Connection,
) -> None:
    was = await sealed_by(kept)
    assert was is not None
    until = await media.risk(kept, KEY, NOW)
    assert until is not None
    await media.resealed(kept, KEY, NEW, until)
    await media.looked(kept, KEY, was, OTHER)
    assert await sealed_by(kept) == NEW
    await media.looked(kept, KEY, NEW, OTHER)
    assert await sealed_by(kept) == OTHER


async def test_a_file_that_is_gone_is_not_written_anew(sql: asyncpg.Connection) -> None:
    assert await media.risk(sql, KEY, NOW) is None
    assert await due(sql) is None


async def test_what_is_being_deleted_is_not_written_anew(
    kept: asyncpg.Connection, dsn: str
) -> None:
    async with connected(dsn) as other:
        deleting = kept.transaction()
        await deleting.start()
        await kept.execute(media.HOLD, [KEY])
        await kept.execute(media.DROP, [KEY], NOW)
        asked = asyncio.create_task(media.risk(other, KEY, NOW))
        async with asyncio.timeout(10):
            while not await kept.fetchval(WAITS):
                pass
        await deleting.commit()
        assert await asked is None
    assert await due(kept) == NOW


async def test_what_is_due_later_is_not_forgotten(sql: asyncpg.Connection) -> None:
    await media.doom(sql, KEY, "disk", NOW)
    await media.forget(sql, [KEY], NOW)
    assert await due(sql) == LATER
    await media.forget(sql, [KEY], LATER)
    assert await due(sql) is None
