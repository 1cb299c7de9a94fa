"""What every test may ask for: a database that is empty and migrated, and a clock to turn."""

from __future__ import annotations

from collections.abc import AsyncIterator

import asyncpg
import pytest

from app.clock import Clock
from app.store.database import Database
from tests.support.clock import TurnedClock
from tests.support.database import Reused, Server, connected, reuse, serve


@pytest.fixture(scope="session")
async def postgres() -> AsyncIterator[Server]:
    """The PostgreSQL of this pytest process (with pytest-xdist: of this worker)."""
    async with serve() as server:
        yield server


@pytest.fixture(scope="session")
async def reused_database(postgres: Server) -> AsyncIterator[Reused]:
    """The database that `dsn` empties."""
    async with reuse(postgres) as database:
        yield database


@pytest.fixture
async def dsn(reused_database: Reused) -> str:
    """An empty, migrated database. What a test leaves stays until the next one asks for it."""
    await reused_database.empty()
    return reused_database.dsn


@pytest.fixture
async def bare_dsn(postgres: Server) -> AsyncIterator[str]:
    """A database of this test's own, without a schema. Takes a second: for migrations only."""
    async with postgres.database() as dsn:
        yield dsn


@pytest.fixture
def clock() -> TurnedClock:
    """A clock that stands still. A module that needs real time defines its own `clock`."""
    return TurnedClock()


@pytest.fixture
async def db(dsn: str, clock: Clock) -> AsyncIterator[Database]:
    """The database as the service has it, with this test's clock."""
    database = Database(dsn, clock)
    yield database
    await database.close()


@pytest.fixture
async def sql(dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A raw connection to the test's database."""
    async with connected(dsn) as connection:
        yield connection
