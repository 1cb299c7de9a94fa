"""A connection that one hot loop keeps for itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import asyncpg

from app.errors import Unavailable
from app.store.away import AWAY, GONE, SESSION, is_away, patiently

STATEMENT_S = 30.0
"""No statement of a loop takes so long, unless the server is gone without a word."""

PINNED = {
    "plan_cache_mode": "force_generic_plan",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "enable_seqscan": "off",
    "jit": "off",
}
"""Plans of the hot loops are pinned: unpinned, the same batch swung by a factor of two."""

FLEETING = {"synchronous_commit": "off"}
"""A word to other processes is heard at its commit, which need not wait until it is on disk."""


def _never() -> bool:
    """Nothing more is to be done."""
    return False


class Held:
    """One connection that one loop keeps for itself: no pool, no reset, prepared statements stay.
    What is committed on a `fleeting` one may be forgotten in a crash of the database.

    Not for two tasks at once.
    """

    def __init__(self, dsn: str, *, pinned: bool, fleeting: bool = False) -> None:
        self._dsn = dsn
        self._settings = SESSION | (PINNED if pinned else {}) | (FLEETING if fleeting else {})
        self._connection: asyncpg.Connection | None = None
        self._begun = False

    async def live(self) -> asyncpg.Connection:
        """The connection, made anew when it broke; raises Unavailable after a few seconds."""
        if self._connection is not None and not self._connection.is_closed():
            return self._connection
        try:
            async for attempt in patiently():
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
        round trip; that one must follow, or `rest`, soon.
        """
        connection = await self.live()
        try:
            try:
                if not self._begun:
                    await connection.execute("BEGIN")
                self._begun = False
                yield connection
            except BaseException:
                await _roll_back(connection)
                raise
            self._begun = await _commit(connection, chain=more())
        except Exception as error:
            if is_away(error) or connection.is_closed():
                connection.terminate()
                raise Unavailable(AWAY) from error
            raise

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[asyncpg.Connection]:
        """The connection for statements of which each is a transaction of its own; raises
        Unavailable when the database is away."""
        await self.rest()
        connection = await self.live()
        if connection.is_in_transaction():  # what is written in it would not be there afterwards
            connection.terminate()
            raise RuntimeError("a transaction was left open")
        try:
            yield connection
        except Exception as error:
            if is_away(error) or connection.is_closed():
                connection.terminate()
                raise Unavailable(AWAY) from error
            raise

    async def close(self) -> None:
        """Give the connection back to the server."""
        if self._connection is not None and not self._connection.is_closed():
            await self._connection.close(timeout=2)

    async def rest(self) -> None:
        """Nothing is to be done for now: end the transaction that was begun for it."""
        connection, begun, self._begun = self._connection, self._begun, False
        if connection is not None and begun:
            with suppress(Exception):  # then the connection is closed, and made anew when wanted
                await _roll_back(connection)


async def _roll_back(connection: asyncpg.Connection) -> None:
    """End a transaction that failed. A connection on which that fails too is not used again."""
    if connection.is_closed():
        return
    try:
        await connection.execute("ROLLBACK")
    except BaseException:
        connection.terminate()
        raise


async def _commit(connection: asyncpg.Connection, *, chain: bool) -> bool:
    """Commit; gives whether the next transaction has begun. A server that was told of an error
    before answers ROLLBACK: nothing may be acknowledged then."""
    try:
        tag = await connection.execute("COMMIT AND CHAIN" if chain else "COMMIT")
    except asyncpg.PostgresError:
        raise  # it is rolled back
    except BaseException:
        connection.terminate()
        raise
    if tag != "COMMIT":
        if chain:
            await _roll_back(connection)
        raise RuntimeError("the transaction had failed before its commit")
    return chain
