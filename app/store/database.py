"""Connections: a pool for the API's short transactions, held connections for the hot loops.

Statements are built from the SQLModel tables (SQLAlchemy Core) or written as SQL; both run on the
same asyncpg connection and in the same transaction. JSON crosses this border as text, both ways:
written SQL selects it with `::text`, because what a driver makes of it depends on its set-up.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
from sqlalchemy import Executable, RowMapping, insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.orm.instrumentation import manager_of_class
from sqlmodel import SQLModel
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_exponential

from app.clock import Clock
from app.errors import Unavailable

M = TypeVar("M", bound=SQLModel)

GONE = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.IdleSessionTimeoutError,
    asyncpg.TooManyConnectionsError,
    asyncpg.ReadOnlySQLTransactionError,  # the server was demoted: another one is to be asked
)
"""What the driver raises when the server is away: nothing happened, or (the connection broke under
a COMMIT) nobody knows whether it did."""

STATEMENT_S = 30.0
"""No statement of a loop takes so long, unless the server is gone without a word."""

AWAY = "the database is away"

SESSION = {"application_name": "parley", "idle_in_transaction_session_timeout": "30s"}
"""A process that freezes (or a machine that is gone without a word) inside a transaction keeps its
locks, and everybody behind them, no longer than this. Nothing of ours waits so long in one."""

PINNED = {
    "plan_cache_mode": "force_generic_plan",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_seqscan": "off",
    "jit": "off",
}
"""Plans of the hot loops are pinned: unpinned, the same batch swung by a factor of two."""


@dataclass(slots=True)
class Tx:
    """One transaction. `now` is its one present; `sql` runs written SQL ($1 parameters).

    `rings` collects the kinds of outbox items added; they are rung after the commit. `echoes` is
    False once it is known that nobody in the account hears of changes that are quiet.
    """

    connection: AsyncConnection
    sql: asyncpg.Connection
    now: datetime
    rings: set[str] = field(default_factory=set)
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
        table = SQLModel.metadata.tables[str(type(row).__tablename__)]  # not the class: no ORM
        await self.connection.execute(insert(table).values(**row.model_dump()))


class Database:
    """All connections to one PostgreSQL. `ring` is told, after a commit, which kinds of outbox
    items were added."""

    def __init__(self, dsn: str, clock: Clock, *, pool_max: int = 10) -> None:
        self.dsn = dsn
        self.clock = clock
        self.ring: Callable[[str], None] = _nobody
        # The driver reads the DSN itself: it knows more of libpq's options than SQLAlchemy does.
        connect = partial(asyncpg.connect, dsn, timeout=5, server_settings=SESSION)
        self.engine: AsyncEngine = create_async_engine(
            "postgresql+asyncpg://",
            async_creator=connect,
            isolation_level="AUTOCOMMIT",  # the transaction below is the driver's own
            pool_size=pool_max,
            max_overflow=0,
            pool_timeout=5,
        )

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Tx]:
        """A transaction; raises Unavailable when the database is away."""
        connection, driver = await self._take()
        try:
            async with driver.transaction():
                tx = Tx(connection, driver, self.clock.now())
                yield tx
        except Exception as error:
            if is_away(error) or driver.is_closed():
                raise Unavailable(AWAY) from error
            raise
        finally:
            if driver.is_closed():
                await connection.invalidate()
            await connection.close()
        for kind in tx.rings:
            self.ring(kind)

    async def _take(self) -> tuple[AsyncConnection, Any]:
        """A live connection; dead ones left over from a restart are thrown away."""
        try:
            async for attempt in _patiently():
                with attempt:
                    while True:
                        connection = await self.engine.connect()
                        driver: Any = (await connection.get_raw_connection()).driver_connection
                        if not driver.is_closed():
                            return connection, driver
                        await connection.invalidate()
                        await connection.close()
        except PoolTimeout as full:
            raise Unavailable("no database connection is free") from full
        except Exception as error:
            if is_away(error):
                raise Unavailable(AWAY) from error
            raise
        raise AssertionError

    def hold(self, *, pinned: bool = False) -> Held:
        """A connection for one loop alone; it reconnects by itself."""
        return Held(self.dsn, pinned=pinned)

    async def close(self) -> None:
        """Close every pooled connection."""
        await self.engine.dispose()


def _never() -> bool:
    """Nothing more is to be done."""
    return False


class Held:
    """One connection that one loop keeps for itself: no pool, no reset, prepared statements stay.

    Not for two tasks at once.
    """

    def __init__(self, dsn: str, *, pinned: bool) -> None:
        self._dsn = dsn
        self._settings = SESSION | (PINNED if pinned else {})
        self._connection: asyncpg.Connection | None = None
        self._begun = False

    async def live(self) -> asyncpg.Connection:
        """The connection, made anew when it broke; raises Unavailable after a few seconds."""
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        try:
            async for attempt in _patiently():
                with attempt:
                    self._begun = False
                    self._connection = await asyncpg.connect(
                        self._dsn,
                        server_settings=self._settings,
                        timeout=5,
                        command_timeout=STATEMENT_S,
                    )
        except GONE as gone:
            raise Unavailable(AWAY) from gone
        assert self._connection is not None
        return self._connection

    @asynccontextmanager
    async def begin(self, more: Callable[[], bool] = _never) -> AsyncIterator[asyncpg.Connection]:
        """A transaction on the held connection; raises Unavailable when the database is away.

        When there is `more` to do at its end, its commit begins the next transaction in the same
        round trip, and that one must follow at once.
        """
        connection = await self.live()
        try:
            if not self._begun:
                await connection.execute("BEGIN")
            self._begun = False
            try:
                yield connection
            except BaseException:
                if not connection.is_closed():
                    await connection.execute("ROLLBACK")
                raise
            chained = more()
            await connection.execute("COMMIT AND CHAIN" if chained else "COMMIT")
            self._begun = chained
        except Exception as error:
            if is_away(error) or connection.is_closed():
                connection.terminate()
                raise Unavailable(AWAY) from error
            raise

    async def close(self) -> None:
        """Give the connection back to the server."""
        if self._connection is not None and not self._connection.is_closed():
            await self._connection.close(timeout=2)


def sentence(beside: str, name: str) -> str:
    """The text of a .sql file that lies beside a module."""
    return Path(beside).with_name(name).read_text()


def is_away(error: BaseException) -> bool:
    """Whether this says that the server is away, not that we asked wrongly."""
    if isinstance(error, DBAPIError):
        cause = error.orig.__cause__ if error.orig is not None else None
        return error.connection_invalidated or (cause is not None and is_away(cause))
    return isinstance(error, GONE)


def _loaded(model: type[M], row: RowMapping) -> M:
    """A row as the ORM loads one: past `__init__`, which sets each column as if it changed, and
    takes 25 times as long (half of the time of a list)."""
    loaded: M = manager_of_class(model).new_instance()
    loaded.__dict__.update(row)
    return loaded


def _patiently() -> AsyncRetrying:
    return AsyncRetrying(
        retry=retry_if_exception(is_away),
        wait=wait_exponential(multiplier=0.05, max=0.5),
        stop=stop_after_delay(4),
        reraise=True,
    )


def _nobody(kind: str) -> None:
    """Nobody listens yet."""
