"""The revisions, run on real databases: they give what the models say, once, and can be undone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from sqlmodel import SQLModel

from app.store import schema
from tests.support.database import Server, connected

# Everything that a model can say of a table, as PostgreSQL tells it.
CATALOGUE = """
SELECT 'column', c.relname, a.attname, concat_ws(' ', format_type(a.atttypid, a.atttypmod),
    'collate ' || l.collname, CASE WHEN a.attnotnull THEN 'not null' END,
    'default ' || pg_get_expr(d.adbin, d.adrelid), 'identity ' || nullif(a.attidentity::text, ''))
FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
LEFT JOIN pg_collation l ON l.oid = a.attcollation
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'
UNION ALL
SELECT 'constraint', r.conrelid::regclass::text, r.conname, pg_get_constraintdef(r.oid)
FROM pg_constraint r WHERE r.connamespace = 'public'::regnamespace
UNION ALL
SELECT 'index', tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL
SELECT 'storage', relname, relkind::text, array_to_string(reloptions, ' ')
FROM pg_class WHERE relnamespace = 'public'::regnamespace
ORDER BY 1, 2, 3
"""

# Conversations of five messages, of which the first lacks three, the latest too, and the last two.
OLD = """
INSERT INTO accounts (sid, default_chat_service_sid, date_created, date_updated)
VALUES ('AC1', 'IS1', now(), now());
INSERT INTO services (sid, account_sid, friendly_name, date_created, date_updated)
VALUES ('IS1', 'AC1', 'x', now(), now());
INSERT INTO conversations (sid, account_sid, chat_service_sid, message_count, active_at, state_at,
  state, date_created, date_updated)
SELECT 'CH' || lpad(n::text, 4, '0'), 'AC1', 'IS1', 5, now(), now(), 'active', now(), now()
FROM generate_series(0, 1100) AS n;
INSERT INTO messages (sid, account_sid, chat_service_sid, conversation_sid, index, author, source,
  date_created, date_updated)
SELECT 'IM' || sid || i, 'AC1', 'IS1', sid, i, 'system', 'API', now(), now()
FROM conversations, generate_series(0, 4) AS i;
DELETE FROM messages WHERE conversation_sid = 'CH0000' AND index IN (1, 2, 4)
  OR conversation_sid = 'CH1100' AND index IN (0, 3);
"""

REDRAFT = """the models say something that the revisions do not. Until the first release: delete
migrations/versions/0001_*.py, run `python -m migrations.draft "The first schema"`, read the diff.
Afterwards: `python -m migrations.draft "what changes"`, and read what it wrote."""


async def catalogue(dsn: str) -> list[tuple[Any, ...]]:
    async with connected(dsn) as sql:
        rows = [tuple(row) for row in await sql.fetch(CATALOGUE)]
    return [row for row in rows if "alembic_version" not in f"{row[1]} {row[2]}"]


async def tables(dsn: str) -> set[str]:
    async with connected(dsn) as sql:
        rows = await sql.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    return {row["tablename"] for row in rows}


async def revision_of(dsn: str) -> str | None:
    async with connected(dsn) as sql:
        return await schema.current(sql)


def quiet(line: str) -> None:
    """Says nothing."""


@pytest.fixture
async def created(postgres: Server) -> AsyncIterator[str]:
    """A database that the models made, without revisions."""
    async with postgres.database() as dsn:
        async with schema.connection(dsn) as connection:
            await connection.run_sync(SQLModel.metadata.create_all)
            await connection.commit()
        yield dsn


async def test_alembic_finds_nothing_to_do_after_the_last_revision(dsn: str) -> None:
    def differences(connection: Connection) -> list[Any]:
        options = {"compare_type": True, "compare_server_default": True}
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, SQLModel.metadata))

    async with schema.connection(dsn) as connection:
        assert await connection.run_sync(differences) == [], REDRAFT


async def test_the_revisions_make_the_same_database_as_the_models(dsn: str, created: str) -> None:
    migrated, modelled = await catalogue(dsn), await catalogue(created)
    assert [row for row in modelled if row not in migrated] == [], REDRAFT
    assert [row for row in migrated if row not in modelled] == [], REDRAFT


async def test_a_migration_says_what_it_does_and_is_done_once(bare_dsn: str) -> None:
    said: list[str] = []
    assert await revision_of(bare_dsn) is None
    assert await schema.migrate(bare_dsn, said.append) == schema.head()
    assert await revision_of(bare_dsn) == schema.head()
    assert said[0] == f"migrating the database from nothing to {schema.head()}"
    assert said[1] == "migrated to 0001: The first schema."
    said.clear()
    assert await schema.migrate(bare_dsn, said.append) == schema.head()
    assert said == []


async def test_replicas_that_start_together_take_turns(bare_dsn: str) -> None:
    said: list[str] = []
    together = (schema.migrate(bare_dsn, said.append) for _ in range(4))
    assert await asyncio.gather(*together) == [schema.head()] * 4
    assert len([line for line in said if line.startswith("migrating")]) == 1


async def test_a_database_of_a_newer_release_is_left_as_it_is(bare_dsn: str) -> None:
    await schema.migrate(bare_dsn, quiet)
    async with connected(bare_dsn) as sql:
        await sql.execute("UPDATE alembic_version SET version_num = '9999'")
    said: list[str] = []
    assert await schema.migrate(bare_dsn, said.append) == "9999"
    assert said == ["the database is at 9999, which is newer than this release: left as it is"]
    assert not schema.is_known("9999")


async def test_a_lock_that_is_not_to_be_had_is_tried_again(bare_dsn: str) -> None:
    tried = asyncio.Event()

    def say(line: str) -> None:
        if line.startswith("a table is in use"):
            tried.set()

    async with connected(bare_dsn) as sql:
        holding = sql.transaction()
        await holding.start()
        await sql.execute("CREATE TABLE receipts ()")
        async with asyncio.TaskGroup() as group:
            migrating = group.create_task(schema.migrate(bare_dsn, say, lock_timeout_s=0.1))
            await tried.wait()
            assert await revision_of(bare_dsn) is None, "a revision is done whole or not at all"
            await holding.rollback()
    assert migrating.result() == schema.head()


async def test_what_fails_for_another_reason_is_raised(bare_dsn: str) -> None:
    async with connected(bare_dsn) as sql:
        await sql.execute("CREATE TABLE receipts ()")
    with pytest.raises(Exception, match="already exists"):
        await schema.migrate(bare_dsn, quiet)
    assert await revision_of(bare_dsn) is None
    assert await tables(bare_dsn) <= {"receipts", "alembic_version"}


async def test_the_first_revision_can_be_undone(bare_dsn: str) -> None:
    def undo(connection: Connection) -> None:
        command.downgrade(schema.config(connection), "base")

    await schema.migrate(bare_dsn, quiet)
    async with schema.connection(bare_dsn) as connection:
        await connection.run_sync(undo)
    assert await tables(bare_dsn) == {"alembic_version"}
    assert await schema.migrate(bare_dsn, quiet) == schema.head()


async def test_messages_removed_before_they_were_counted_are_counted(bare_dsn: str) -> None:
    def begin(connection: Connection) -> None:
        command.upgrade(schema.config(connection), "0022")

    async with schema.connection(bare_dsn) as connection:
        await connection.run_sync(begin)
    async with connected(bare_dsn) as sql:
        await sql.execute(OLD)
        assert await schema.migrate(bare_dsn, quiet) == schema.head()
        rows = await sql.fetch("SELECT sid, removed_count FROM conversations ORDER BY sid")
    counted = {row["sid"]: row["removed_count"] for row in rows}
    assert len(counted) == 1101
    assert {sid: count for sid, count in counted.items() if count} == {"CH0000": 3, "CH1100": 2}


async def test_a_pair_can_be_claimed_before_what_holds_it_exists(sql: asyncpg.Connection) -> None:
    claim = """
    INSERT INTO bindings (participant_sid, conversation_sid, account_sid, address, proxy_address)
    VALUES ('MB1', 'CH1', 'AC1', '+15005550001', '+15005550006')
    """
    with pytest.raises(asyncpg.ForeignKeyViolationError):
        async with sql.transaction():
            await sql.execute(claim)
            claimed = await sql.fetchval("SELECT count(*) FROM bindings")
    assert claimed == 1, "only the commit asked for the conversation"
