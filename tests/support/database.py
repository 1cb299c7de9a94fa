"""A real PostgreSQL for the tests: one server for each pytest process, one migrated database that
is emptied before each test, and databases of their own for tests that change the schema."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path

import asyncpg
from sqlalchemy.engine import make_url
from sqlmodel import SQLModel

import app.model  # noqa: F401 - fills the metadata
from app.store import embedded, schema

# Whoever is still connected: a leak of the test before must not disturb the next one.
END_OTHERS = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""

# Measured after a small test: this and the DELETEs 1 to 4 ms, TRUNCATE of all tables 200 ms, a copy
# of a template database more than 1 s.
RESTART = """
SELECT setval(oid::regclass, 1, false) FROM pg_class
WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace
"""

# A disk that others keep busy makes every commit wait; memory does not.
MEMORY = Path("/dev/shm")
MEMORY_BYTES_FREE = 2 << 30
SETTINGS = {"shared_buffers": "32MB", "max_wal_size": "128MB"}


class Server:
    """A running server; makes databases and drops them again."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self._numbers = count(1)

    @asynccontextmanager
    async def database(self) -> AsyncIterator[str]:
        """The DSN of a new database that has no schema yet."""
        name = f"test_{next(self._numbers)}"
        await self._run(f"CREATE DATABASE {name} STRATEGY file_copy")
        try:
            yield make_url(self.dsn).set(database=name).render_as_string(hide_password=False)
        finally:
            await self._run(f"DROP DATABASE {name} WITH (FORCE)")

    async def _run(self, statement: str) -> None:
        async with connected(self.dsn) as sql:
            await sql.execute(statement)


class Reused:
    """One migrated database; `empty` makes it as good as new."""

    def __init__(self, dsn: str, sql: asyncpg.Connection) -> None:
        self.dsn = dsn
        self._sql = sql
        tables = [table.name for table in reversed(SQLModel.metadata.sorted_tables)]
        # Participants that go leave their changes behind: those go last.
        deletions = [f'DELETE FROM "{table}"' for table in (*tables, "changes")]
        self._empty = ";".join([*deletions, RESTART])

    async def empty(self) -> None:
        """No rows, no other connections, and identities begin at 1 again."""
        await self._sql.execute(END_OTHERS)
        await self._sql.execute(self._empty)


@asynccontextmanager
async def serve() -> AsyncIterator[Server]:
    """A new embedded server, as durable as any; in memory where there is room."""
    with tempfile.TemporaryDirectory(prefix="parley-test-", dir=_roomy()) as folder:
        server = await embedded.start(Path(folder), settings=SETTINGS)
        try:
            yield Server(server.dsn)
        finally:
            await server.stop()


def _roomy() -> Path | None:
    """The folder in memory; None where there is none, or too little of it."""
    usable = MEMORY.is_dir() and os.access(MEMORY, os.W_OK | os.X_OK)
    return MEMORY if usable and shutil.disk_usage(MEMORY).free > MEMORY_BYTES_FREE else None


@asynccontextmanager
async def reuse(server: Server) -> AsyncIterator[Reused]:
    """A migrated database for one test after the other."""
    async with server.database() as dsn:
        await schema.migrate(dsn, lambda _: None)
        async with connected(dsn) as sql:
            yield Reused(dsn, sql)


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A raw connection."""
    sql = await asyncpg.connect(dsn)
    try:
        yield sql
    finally:
        await sql.close(timeout=5)
