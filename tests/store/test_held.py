"""A connection that a loop keeps: what fails on it is not acknowledged, and it heals."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from app.store.database import Database


async def test_an_error_that_somebody_swallowed_is_not_taken_for_a_commit(db: Database) -> None:
    held = db.hold()
    with pytest.raises(RuntimeError, match="failed before its commit"):
        async with held.begin() as sql:
            with pytest.raises(asyncpg.DivisionByZeroError):
                await sql.execute("SELECT 1 / 0")
    async with held.begin() as sql:
        assert await sql.fetchval("SELECT 1") == 1
    await held.close()


async def test_who_has_more_to_do_begins_again_with_the_commit(db: Database) -> None:
    held = db.hold()
    async with held.begin(lambda: True) as sql:
        first = await sql.fetchval("SELECT pg_current_xact_id()::text")
    assert sql.is_in_transaction()
    async with held.begin() as sql:
        assert await sql.fetchval("SELECT pg_current_xact_id()::text") != first
    assert not sql.is_in_transaction()
    await held.close()


async def test_who_rests_leaves_no_transaction_behind(db: Database) -> None:
    held = db.hold()
    await held.rest()
    async with held.begin(lambda: True) as sql:
        pass
    await held.rest()
    assert not sql.is_in_transaction()
    async with held.begin() as again:
        assert again is sql
        assert await sql.fetchval("SELECT 1") == 1
    await held.close()


async def test_who_rests_on_a_broken_connection_gets_another(db: Database) -> None:
    held = db.hold()
    async with held.begin(lambda: True) as sql:
        pass
    sql.terminate()
    await held.rest()
    async with held.begin() as again:
        assert again is not sql
        assert await again.fetchval("SELECT 1") == 1
    await held.close()


async def test_who_is_stopped_twice_leaves_no_transaction_behind(db: Database) -> None:
    held = db.hold()
    inside = asyncio.Event()

    async def work() -> None:
        async with held.begin() as sql:
            await sql.execute("CREATE TEMPORARY TABLE half (done int)")
            inside.set()
            await sql.execute("SELECT pg_sleep(30)")

    async with asyncio.TaskGroup() as group:
        task = group.create_task(work())
        await inside.wait()
        task.cancel()
        await asyncio.sleep(0)
        task.cancel()
    async with held.begin() as sql:
        assert await sql.fetchval("SELECT to_regclass('half')") is None
    await held.close()


async def test_words_to_other_processes_do_not_wait_for_the_disk(db: Database) -> None:
    for fleeting, said in ((True, "off"), (False, "on")):
        held = db.hold(fleeting=fleeting)
        assert await (await held.live()).fetchval("SHOW synchronous_commit") == said
        await held.close()
