"""Connections: a pool for the API's short transactions; `held.py` has those of the hot loops.

Statements are built from the SQLModel tables (SQLAlchemy Core) or written as SQL; both run on the
same asyncpg connection and in the same transaction. JSON crosses this border as text, both ways:
written SQL selects it with `::text`, because what a driver makes of it depends on its set-up.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache, partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import asyncpg
from sqlalchemy import Executable, RowMapping, insert
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.orm.instrumentation import manager_of_class
from sqlalchemy.pool import NullPool
from sqlmodel import SQLModel

from app.clock import Clock
from app.errors import Unavailable
from app.store.away import AWAY, SESSION, is_away, patiently
from app.store.held import Held

M = TypeVar("M", bound=SQLModel)

PLACE_S = 5.0
"""How long somebody waits for a connection when all are taken."""


@dataclass(slots=True)
class Tx:
    """One transaction. `now` is its one present; `sql` runs written SQL ($1 parameters).

    `rings` collects the kinds of outbox items added; they are rung after the commit. `moved` names
    what connected clients may see change (`store/moves.py`), and is said then, too. `echoes` is
    False once it is known that nobody in the account hears of changes that are quiet.
    """

    connection: AsyncConnection
    sql: asyncpg.Connection
    now: datetime
    rings: set[str] = field(default_factory=set)
    moved: set[str] = field(default_factory=set)
    echoes: bool = True

    async def first(self, model: type[M], statement: Executable) -> M | None:
        """The first row of a statement over one table's columns, or None."""
        row = (await self.connection.execute(statement)).mappings().first()
        return None if row is None else _loaded(model, row)

    async def every(self, model: type[M], statement: Executable) -> list[M]:
        """All rows of a statement over one table's columns; the statement must bound them."""
        rows = (await self.connection.execute(statement)).mappings()
        return [_loaded(model, row) for row in rows]

    async def run(self, statement: Executable) -> int:
        """Run a change; gives how many rows it touched."""
        return (await self.connection.execute(statement)).rowcount

    async def add(self, row: SQLModel) -> None:
        """Insert one row as it is."""
        text, names = _insertion(type(row))
        if text is None:
            table = SQLModel.metadata.tables[str(type(row).__tablename__)]  # not the class: no ORM
            await self.connection.execute(insert(table).values(**row.model_dump()))
            return
        await self.sql.execute(text, *(row.__dict__[name] for name in names))

    async def row(self, model: type[M], text: str, *values: Any) -> M | None:
        """The first row of written SQL that selects all columns of a table, or None."""
        row = await self.sql.fetchrow(text, *values)
        return None if row is None else _loaded(model, row)

    async def rows(self, model: type[M], text: str, *values: Any) -> list[M]:
        """All rows of the same, to be read: plain, because a table's object costs as much as to
        show it. The SQL must bound them."""
        rows = await self.sql.fetch(text, *values)
        return [cast(M, SimpleNamespace(**row)) for row in rows]


class Database:
    """All connections to one PostgreSQL. `ring` is told, after a commit, which kinds of outbox
    items were added, and `moved` what clients may see change.

    The pool is ours, of connections that the engine made: to take one and to give it back costs as
    much as a list, and what is prepared on it stays.
    """

    def __init__(self, dsn: str, clock: Clock, *, pool_max: int = 10) -> None:
        self.dsn = dsn
        self.clock = clock
        self.ring: Callable[[str], None] = _nobody
        self.moved: Callable[[Collection[str]], None] = _nobody
        # The driver reads the DSN itself: it knows more of libpq's options than SQLAlchemy does.
        connect = partial(asyncpg.connect, dsn, timeout=5, server_settings=SESSION)
        self.engine: AsyncEngine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=connect,
            isolation_level="AUTOCOMMIT",  # the transaction below is the driver's own
            poolclass=NullPool,
        )
        self.taken = 0
        self._idle: list[tuple[AsyncConnection, Any]] = []
        self._places = asyncio.Semaphore(pool_max)
        self._closed = False

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Tx]:
        """A transaction; raises Unavailable when the database is away."""
        async with self._connected() as (connection, driver), driver.transaction():
            tx = Tx(connection, driver, self.clock.now())
            yield tx
        for kind in tx.rings:
            self.ring(kind)
        if tx.moved:
            self.moved(tx.moved)

    @asynccontextmanager
    async def read(self) -> AsyncIterator[Tx]:
        """A connection for questions alone: each is a transaction of its own, which in READ
        COMMITTED sees as much. Raises Unavailable when the database is away."""
        async with self._connected() as (connection, driver):
            yield Tx(connection, driver, self.clock.now())

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[tuple[AsyncConnection, Any]]:
        """A connection of the pool; what breaks because the server is away raises Unavailable."""
        connection, driver = await self._take()
        try:
            yield connection, driver
        except Exception as error:
            if is_away(error) or driver.is_closed():
                raise Unavailable(AWAY) from error
            raise
        finally:
            if driver.is_closed() or driver.is_in_transaction() or self._closed:
                await _discard(connection)
            else:
                self._idle.append((connection, driver))
            self.taken -= 1
            self._places.release()

    async def _take(self) -> tuple[AsyncConnection, Any]:
        """A live connection; dead ones left over from a restart are thrown away."""
        try:
            async with asyncio.timeout(PLACE_S if self._places.locked() else None):
                await self._places.acquire()
        except TimeoutError as full:
            raise Unavailable("no database connection is free") from full
        self.taken += 1
        try:
            while self._idle:
                connection, driver = self._idle.pop()
                if not driver.is_closed():
                    return connection, driver
                await _discard(connection)
            return await self._connect()
        except BaseException as error:
            self.taken -= 1
            self._places.release()
            if is_away(error):
                raise Unavailable(AWAY) from error
            raise

    async def _connect(self) -> tuple[AsyncConnection, Any]:
        """A new connection; while the server restarts it is waited for."""
        async for attempt in patiently():
            with attempt:
                connection = await self.engine.connect()
                return connection, (await connection.get_raw_connection()).driver_connection
        raise AssertionError

    def hold(self, *, pinned: bool = False, fleeting: bool = False) -> Held:
        """A connection for one loop alone; it reconnects by itself."""
        return Held(self.dsn, pinned=pinned, fleeting=fleeting)

    async def close(self) -> None:
        """Close every pooled connection; one that is taken closes when it is given back."""
        self._closed = True
        while self._idle:
            await _discard(self._idle.pop()[0])
        await self.engine.dispose()


def sentence(beside: str, name: str) -> str:
    """The text of a .sql file that lies beside a module."""
    return Path(beside).with_name(name).read_text()


TAKEN = (IntegrityError, asyncpg.UniqueViolationError)
"""What a change raises that makes something twice which may be there once."""


def violates(error: BaseException, constraint: str) -> bool:
    """Whether this is one of `TAKEN` for the unique index with this name."""
    cause = error.orig.__cause__ if isinstance(error, IntegrityError) and error.orig else error
    return getattr(cause, "constraint_name", None) == constraint


@lru_cache
def _insertion(model: type[SQLModel]) -> tuple[str | None, tuple[str, ...]]:
    """The statement that inserts one row of a table, and its columns; no statement where one of
    them is JSON, which SQLAlchemy writes."""
    table = SQLModel.metadata.tables[str(model.__tablename__)]
    names = tuple(column.name for column in table.columns)
    if any(isinstance(column.type, JSONB) for column in table.columns):
        return None, names
    columns = ", ".join(f'"{name}"' for name in names)
    values = ", ".join(f"${place}" for place in range(1, len(names) + 1))
    return f'INSERT INTO "{table.name}" ({columns}) VALUES ({values})', names


async def _discard(connection: AsyncConnection) -> None:
    """Close a connection for good, whatever state it is in."""
    await connection.invalidate()
    await connection.close()


def _loaded(model: type[M], row: Mapping[str, Any] | RowMapping) -> M:
    """A row as the ORM loads one: past `__init__`, which sets each column as if it changed, and
    takes 25 times as long (half of the time of a list)."""
    loaded: M = manager_of_class(model).new_instance()
    loaded.__dict__.update(row)
    return loaded


def _nobody(told: object) -> None:
    """Nobody listens yet."""
