"""The pool: what is broken or left half-way is never handed out again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from app import ids
from app.clock import Clock
from app.model import Account, Service
from app.store.database import Database, violates

ACCOUNT = "AC" + "d" * 32


@pytest.fixture
async def one(dsn: str) -> AsyncIterator[Database]:
    """A pool of one connection, on real time."""
    database = Database(dsn, Clock(), pool_max=1)
    yield database
    await database.close()


async def backend(database: Database) -> int:
    async with database.read() as tx:
        pid: int = await tx.sql.fetchval("SELECT pg_backend_pid()")
    return pid


async def test_a_connection_is_used_again(one: Database) -> None:
    first = await backend(one)
    async with one.begin() as tx:
        assert await tx.sql.fetchval("SELECT pg_backend_pid()") == first
        assert one.taken == 1
    assert one.taken == 0


async def test_who_finds_all_taken_waits_for_the_first_that_is_given_back(one: Database) -> None:
    taken = asyncio.Event()
    done: list[str] = []

    async def holder() -> None:
        async with one.begin() as tx:
            taken.set()
            await tx.sql.fetchval("SELECT pg_sleep(0.05)")
            done.append("held")

    async def waiter() -> None:
        await taken.wait()
        await backend(one)
        done.append("waited")

    await asyncio.gather(holder(), waiter())
    assert done == ["held", "waited"]


async def test_a_connection_that_died_is_replaced(one: Database, sql: asyncpg.Connection) -> None:
    first = await backend(one)
    await sql.execute("SELECT pg_terminate_backend($1, 5000)", first)
    assert await backend(one) != first


async def test_a_cancelled_transaction_leaves_nothing_and_nobody_is_handed_it(
    one: Database, sql: asyncpg.Connection
) -> None:
    begun = asyncio.Event()

    async def change() -> None:
        async with one.begin() as tx:
            await tx.sql.execute("CREATE TABLE half_way ()")
            begun.set()
            await tx.sql.execute("SELECT pg_sleep(60)")

    changing = asyncio.create_task(change())
    await begun.wait()
    changing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await changing
    async with one.begin() as tx:
        assert await tx.sql.fetchval("SELECT to_regclass('half_way')") is None
    assert one.taken == 0


async def test_what_is_left_in_a_transaction_is_not_handed_out(one: Database) -> None:
    async with one.read() as tx:
        first = await tx.sql.fetchval("SELECT pg_backend_pid()")
        await tx.sql.execute("BEGIN")
    assert await backend(one) != first


async def test_a_question_needs_no_transaction_and_may_have_one(one: Database) -> None:
    async with one.read() as tx:
        assert not tx.sql.is_in_transaction()
        async with tx.sql.transaction():
            await tx.sql.execute("SET LOCAL plan_cache_mode = force_custom_plan")
        assert await tx.sql.fetchval("SHOW plan_cache_mode") == "auto"


async def test_a_connection_given_back_after_the_end_is_closed(
    dsn: str, sql: asyncpg.Connection
) -> None:
    database = Database(dsn, Clock(), pool_max=1)
    async with database.read() as tx:
        pid = await tx.sql.fetchval("SELECT pg_backend_pid()")
        await database.close()
    async with asyncio.timeout(10):
        while await sql.fetchval("SELECT count(*) FROM pg_stat_activity WHERE pid = $1", pid):
            pass


async def test_rows_are_written_as_they_are_with_json_and_without(one: Database) -> None:
    sid = ids.new(ids.SERVICE)
    async with one.begin() as tx:
        dates = {"date_created": tx.now, "date_updated": tx.now}
        account = Account(sid=ACCOUNT, default_chat_service_sid=sid, **dates)
        await tx.add(account)
        await tx.add(
            Service(
                sid=sid, account_sid=ACCOUNT, friendly_name="s", notifications={"a": [1]}, **dates
            )
        )
    async with one.read() as tx:
        found = await tx.row(Account, "SELECT * FROM accounts WHERE sid = $1", ACCOUNT)
        assert found is not None
        assert found.model_dump() == account.model_dump()
        [listed] = await tx.rows(Account, "SELECT * FROM accounts")
        assert (listed.sid, listed.date_created) == (ACCOUNT, account.date_created)
        text = await tx.sql.fetchval("SELECT notifications::text FROM services")
        assert text == '{"a": [1]}'


async def test_what_is_violated_is_known_by_its_name_and_not_by_what_was_written(
    one: Database,
) -> None:
    named = "CREATE TABLE named (name text); CREATE UNIQUE INDEX named_once ON named (name)"
    async with one.begin() as tx:
        await tx.sql.execute(named)
        await tx.sql.execute("INSERT INTO named VALUES ('other_index')")
        with pytest.raises(asyncpg.UniqueViolationError) as raised:
            async with tx.sql.transaction():
                await tx.sql.execute("INSERT INTO named VALUES ('other_index')")
        assert violates(raised.value, "named_once")
        assert not violates(raised.value, "other_index")
        await tx.sql.execute("DROP TABLE named")
