"""A server that is away: how it shows, how long it is waited for, and how it lets go of us."""

from __future__ import annotations

import asyncpg
from sqlalchemy.exc import DBAPIError
from tenacity import AsyncRetrying, retry_if_exception, stop_after_delay, wait_exponential

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

AWAY = "the database is away"

SESSION = {"application_name": "parley", "idle_in_transaction_session_timeout": "30s"}
"""A process that freezes (or a machine that is gone without a word) inside a transaction keeps its
locks, and everybody behind them, no longer than this. Nothing of ours waits so long in one."""

REFUSALS = (asyncpg.InvalidAuthorizationSpecificationError, asyncpg.InvalidCatalogNameError)
"""What the server says to somebody whom it does not let in: the URL is wrong, not the server."""


def refusal(error: BaseException) -> str | None:
    """What the server said when it did not let us in; None for every other error."""
    cause = error.orig.__cause__ if isinstance(error, DBAPIError) and error.orig else error
    return str(cause) if isinstance(cause, REFUSALS) else None


def is_away(error: BaseException) -> bool:
    """Whether this says that the server is away, not that we asked wrongly."""
    if isinstance(error, DBAPIError):
        cause = error.orig.__cause__ if error.orig is not None else None
        return error.connection_invalidated or (cause is not None and is_away(cause))
    return isinstance(error, GONE)


def patiently() -> AsyncRetrying:
    """Tries to connect, for a few seconds, while the server is away."""
    return AsyncRetrying(
        retry=retry_if_exception(is_away),
        wait=wait_exponential(multiplier=0.05, max=0.5),
        stop=stop_after_delay(4),
        reraise=True,
    )
