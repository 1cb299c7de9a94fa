"""A connection that a loop keeps: what fails on it is not acknowledged, and it heals."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from app.errors import Unavailable
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


async def test_a_statement_alone_commits_whatever_was_begun_before(
    db: Database, sql: asyncpg.Connection
) -> None:
    await sql.execute("CREATE TABLE IF NOT EXISTS said (word text)")
    held = db.hold()
    async with held.begin(lambda: True):
        pass
    async with held.alone() as alone:
        await alone.execute("INSERT INTO said VALUES ('there')")
    alone.terminate()
    assert await sql.fetch("SELECT word FROM said") == [("there",)]
    async with held.alone() as healed:
        assert await healed.fetchval("SELECT 1") == 1
    await sql.execute("DROP TABLE said")
    await held.close()


async def test_a_statement_alone_never_goes_into_an_open_transaction(db: Database) -> None:
    held = db.hold()
    connection = await held.live()
    await connection.execute("BEGIN")
    with pytest.raises(RuntimeError, match="left open"):
        async with held.alone():
            raise AssertionError("it must not come here")
    async with held.alone() as healed:
        assert healed is not connection
    await held.close()


async def test_who_was_alone_on_a_connection_that_broke_is_told_so(db: Database) -> None:
    held = db.hold()
    with pytest.raises(Unavailable):
        async with held.alone() as sql:
            await sql.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    async with held.begin(lambda: True) as begun:
        pass
    begun.terminate()
    async with held.alone() as healed:
        assert await healed.fetchval("SELECT 1") == 1
    await held.close()


async def test_who_is_cancelled_alone_leaves_a_connection_that_works(
    db: Database, sql: asyncpg.Connection
) -> None:
    held = db.hold()
    connection = await held.live()

    async def waits() -> None:
        async with held.alone() as alone:
            await alone.execute("SELECT pg_sleep(60)")

    task = asyncio.create_task(waits())
    pid = connection.get_server_pid()
    sleeping = "SELECT wait_event FROM pg_stat_activity WHERE pid = $1"
    async with asyncio.timeout(10):
        while await sql.fetchval(sleeping, pid) != "PgSleep":
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with held.alone() as again:
        assert await again.fetchval("SELECT 1") == 1
    await held.close()
