"""The PostgreSQL under a fault test: of its own, to be shut down and killed at will."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from random import Random

import asyncpg
from sqlalchemy.engine import make_url

from app.store import embedded
from app.store.embedded import Embedded
from tests.support.database import MEMORY, MEMORY_BYTES_FREE, SETTINGS, connected

POLL_S = 0.02
VICTIMS = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND application_name = 'parley' ORDER BY pid
"""


class Ground:
    """A running server. It outlives the services; tests take it away and bring it back."""

    def __init__(self, server: Embedded, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self._numbers = count(1)

    @asynccontextmanager
    async def database(self) -> AsyncIterator[str]:
        """The DSN of a new, empty database; `parley serve` makes its schema."""
        name = f"faults_{next(self._numbers)}"
        await self._run(f"CREATE DATABASE {name} STRATEGY file_copy")
        try:
            yield make_url(self._server.dsn).set(database=name).render_as_string(False)
        finally:
            await self._server.ensure_running()
            await self._run(f"DROP DATABASE {name} WITH (FORCE)")

    async def shut(self) -> None:
        """A fast shutdown, as an operator's restart begins: clients are disconnected."""
        os.kill(self._postmaster(), signal.SIGINT)
        async with asyncio.timeout(20):
            while self._pid_file.exists():
                await asyncio.sleep(POLL_S)

    def crash(self) -> None:
        """SIGKILL of the postmaster: the next start recovers from the log."""
        os.kill(self._postmaster(), signal.SIGKILL)

    async def back(self) -> None:
        """Start what is down; returns when it takes clients."""
        async with asyncio.timeout(30):
            while not await self._server.ensure_running():
                await asyncio.sleep(POLL_S)

    async def cut(self, dsn: str, random: Random) -> None:
        """End one of the services' connections, in the middle of whatever it does."""
        if victims := await self._victims(dsn):
            async with connected(dsn) as sql:
                await sql.execute("SELECT pg_terminate_backend($1)", random.choice(victims))

    async def wound(self, dsn: str, random: Random) -> None:
        """SIGKILL of one connection's process, as by the kernel when memory is short: PostgreSQL
        throws everybody out and recovers by itself; returns when it takes clients again."""
        if victims := await self._victims(dsn):
            os.kill(random.choice(victims), signal.SIGKILL)
        async with asyncio.timeout(30):
            while await self._is_away(dsn):
                await asyncio.sleep(POLL_S)

    async def _victims(self, dsn: str) -> list[int]:
        async with connected(dsn) as sql:
            return [row["pid"] for row in await sql.fetch(VICTIMS)]

    async def _is_away(self, dsn: str) -> bool:
        try:
            async with connected(dsn) as sql:
                await sql.execute("SELECT 1")
        except (OSError, asyncpg.PostgresError):
            return True
        return False

    @property
    def _pid_file(self) -> Path:
        return self._folder / str(embedded.MAJOR) / "postmaster.pid"

    def _postmaster(self) -> int:
        return int(self._pid_file.read_text().split()[0])

    async def _run(self, statement: str) -> None:
        async with connected(self._server.dsn) as sql:
            await sql.execute(statement)


@asynccontextmanager
async def grounds() -> AsyncIterator[Ground]:
    """A server as durable as any, in memory where there is room."""
    with tempfile.TemporaryDirectory(prefix="parley-faults-", dir=_roomy()) as folder:
        server = await embedded.start(Path(folder), settings=SETTINGS)
        try:
            yield Ground(server, Path(folder))
        finally:
            await server.stop()


def _roomy() -> Path | None:
    usable = MEMORY.is_dir() and os.access(MEMORY, os.W_OK | os.X_OK)
    return MEMORY if usable and shutil.disk_usage(MEMORY).free > MEMORY_BYTES_FREE else None
