"""The database's schema: which revision it has, and bringing it to the one that this release needs.

A revision is a file in `migrations/versions`. Each runs in a transaction of its own; replicas that
start together take turns.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, NullPool, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_fixed

import migrations
from app.clock import Clock

Say = Callable[[str], None]

# A statement that waits longer for a table holds up everybody who comes after it. What could not
# lock its table in this time is tried again, this often, after as long a pause.
LOCK_TIMEOUT_S = 5.0
TRIES_MAX = 12
# "parley" in ASCII: the advisory lock of whoever migrates.
TURN = 0x7061726C6579
TURN_POLL_S = 0.2

SESSION = {
    "application_name": "parley migrate",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
}
CURRENT = "SELECT version_num FROM alembic_version"
TAKE_TURN = text("SELECT pg_try_advisory_lock(:turn)")


def head() -> str:
    """The revision that this release was made for."""
    return revisions()[0]


def revisions() -> list[str]:
    """All revisions that this release knows, the newest first."""
    script = ScriptDirectory.from_config(config())
    return [known.revision for known in script.walk_revisions()]


def is_known(revision: str) -> bool:
    """Whether this release knows the revision; that of a newer release it does not."""
    return revision in revisions()


async def current(sql: asyncpg.Connection) -> str | None:
    """The revision that the database has; None when it has none of our tables."""
    if await sql.fetchval("SELECT to_regclass('alembic_version')") is None:
        return None
    revision: str | None = await sql.fetchval(CURRENT)
    return revision


async def migrate(dsn: str, say: Say, *, lock_timeout_s: float = LOCK_TIMEOUT_S) -> str:
    """Bring the database to `head()` and give the revision that it has then.

    A database that a newer release has migrated is left as it is: every release runs on the next
    one's schema. Several processes may call this at once. `say` hears a line for each step. Raises
    what the driver raises; what earlier revisions did stays.
    """
    async with connection(dsn, lock_timeout_s) as ours:
        await _take_turn(ours, say)
        driver: Any = (await ours.get_raw_connection()).driver_connection
        before = await current(driver)
        known = revisions()
        if before == known[0]:
            return before
        if before is not None and before not in known:
            say(f"the database is at {before}, which is newer than this release: left as it is")
            return before
        say(f"migrating the database from {before or 'nothing'} to {known[0]}")
        await _upgrade(ours, say, lock_timeout_s)
    return known[0]


@asynccontextmanager
async def connection(
    dsn: str, lock_timeout_s: float = LOCK_TIMEOUT_S
) -> AsyncIterator[AsyncConnection]:
    """A connection of its own for a migration: bounded waits for locks, unbounded statements."""
    session = {**SESSION, "lock_timeout": f"{lock_timeout_s * 1000:.0f}ms"}
    # The driver reads the DSN itself: it knows more of libpq's options than SQLAlchemy does.
    connect = partial(asyncpg.connect, dsn, server_settings=session, timeout=10)
    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.connect() as opened:
            yield opened
    finally:
        await engine.dispose()


async def _take_turn(connection: AsyncConnection, say: Say) -> None:
    """Wait until nobody else migrates; ends with the connection.

    Asks again and again, because whoever waits inside PostgreSQL holds a snapshot, and CREATE INDEX
    CONCURRENTLY in the migration ahead would wait for that.
    """
    said = False
    while not (await connection.execute(TAKE_TURN, {"turn": TURN})).scalar():
        await connection.commit()
        if not said:
            say("another process migrates the database: waiting for it")
            said = True
        await Clock().sleep(TURN_POLL_S)
    await connection.commit()


async def _upgrade(connection: AsyncConnection, say: Say, pause_s: float) -> None:
    """Run what is missing; again from the first that is missing when a lock was not to be had."""
    async for attempt in AsyncRetrying(
        retry=retry_if_exception(_is_locked_out),
        wait=wait_fixed(pause_s),
        stop=stop_after_attempt(TRIES_MAX),
        before_sleep=lambda _: say(f"a table is in use: trying again in {pause_s:g} s"),
        reraise=True,
    ):
        with attempt:
            await connection.run_sync(_upgrade_sync, say)


def _upgrade_sync(connection: Connection, say: Say) -> None:
    asked = config(connection)
    asked.attributes["on_version_apply"] = lambda step, **_: say(
        f"migrated to {step.up_revision_id}: {step.up_revision.doc}"
    )
    command.upgrade(asked, "head")


def _is_locked_out(error: BaseException) -> bool:
    """Whether a statement gave up waiting for a lock."""
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlstate", None) == "55P03"


def config(connection: Connection | None = None) -> Config:
    """Alembic's configuration: the revisions that are installed with us, and where they run."""
    made = Config()
    folder = Path(migrations.__file__).parent
    made.set_main_option("script_location", str(folder).replace("%", "%%"))
    made.attributes["connection"] = connection
    return made
