"""The stage of the bench: a PostgreSQL of its own, databases of several sizes, services."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from typing import Any

import psutil
from sqlalchemy.engine import make_url

from app.clock import Clock
from app.settings.models import Settings
from app.store import embedded, schema
from app.store.database import Database
from app.store.declared import declare
from tests.bench import town
from tests.bench.fill import fill
from tests.bench.processes import free_port, listening, used_s
from tests.support.database import Server, connected

MESSAGES_EACH = 5

__all__ = ["Dataset", "Served", "Stage", "connected", "stage"]


@dataclass(frozen=True, slots=True)
class Dataset:
    """A database and how many conversations were put into it."""

    dsn: str
    conversations: int


@dataclass(frozen=True, slots=True)
class Served:
    """A service (or a door, or a sink) in a process of its own."""

    port: int
    process: psutil.Process

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"


@dataclass
class Stage:
    """What the figures are measured on. `seconds` is how long one run lasts, `rounds` how often."""

    folder: Path
    server: Server
    postgres: psutil.Process
    seconds: float
    quick: bool
    say: Callable[[str], None]
    _sets: dict[str, Dataset] = field(default_factory=dict)

    @property
    def rounds(self) -> int:
        """How often each run is repeated; the median counts."""
        return 1 if self.quick else 3

    @property
    def small(self) -> int:
        """Conversations of the usual database."""
        return 10_000

    @property
    def large(self) -> int:
        """Conversations of the grown one."""
        return 100_000 if self.quick else 1_000_000

    async def dataset(self, conversations: int, name: str = "bench") -> Dataset:
        """A database with so many conversations; made when it is first asked for. The outbox is
        empty and everything is on disk."""
        name = f"{name}_{conversations}"
        if name not in self._sets:
            self._sets[name] = await self._made(name, conversations)
        made = self._sets[name]
        async with connected(made.dsn) as sql:
            await sql.execute("TRUNCATE outbox, lanes")
            await sql.execute("CHECKPOINT")
        return made

    async def _made(self, name: str, conversations: int) -> Dataset:
        began = monotonic()
        async with connected(self.server.dsn) as sql:
            await sql.execute(f"CREATE DATABASE {name} STRATEGY file_copy")
        dsn = make_url(self.server.dsn).set(database=name).render_as_string(hide_password=False)
        await schema.migrate(dsn, lambda _: None)
        db = Database(dsn, Clock(), pool_max=1)
        async with db.begin() as tx:
            await declare(tx, Settings.model_validate(json.loads(town.settings(0))))
        await db.close()
        await fill(dsn, conversations, MESSAGES_EACH)
        self.say(f"{conversations:,} conversations made in {monotonic() - began:.0f} s")
        return Dataset(dsn, conversations)

    @asynccontextmanager
    async def service(self, dataset: Dataset, roles: str, **sections: Any) -> AsyncIterator[Served]:
        """A service with these roles on this database, started as an operator would."""
        port = free_port()
        config = self.folder / f"{port}.yaml"
        config.write_text(town.settings(port, **sections))
        command = ("-m", "app", "serve", "--config", config, "--role", roles)
        async with self._python(port, *command, PARLEY_DATABASE_URL=dataset.dsn) as served:
            yield served

    @asynccontextmanager
    async def program(self, name: str) -> AsyncIterator[Served]:
        """One of the programs of this folder: `door` or `sink`."""
        port = free_port()
        async with self._python(port, "-m", f"tests.bench.{name}", str(port)) as served:
            yield served

    @asynccontextmanager
    async def _python(
        self, port: int, *arguments: str | Path, **environment: str
    ) -> AsyncIterator[Served]:
        log = self.folder / f"{port}.log"
        async with listening(port, log, sys.executable, *arguments, **environment) as process:
            yield Served(port, process)

    async def cost(self, served: Served, work: Callable[[], Any]) -> tuple[Any, float, float]:
        """What the work gives, and the processor seconds of the service and of PostgreSQL."""
        before = used_s(served.process), used_s(self.postgres)
        given = await work()
        after = used_s(served.process), used_s(self.postgres)
        return given, after[0] - before[0], after[1] - before[1]


@asynccontextmanager
async def stage(*, seconds: float, quick: bool, say: Callable[[str], None]) -> AsyncIterator[Stage]:
    """A stage in temporary folders on disk: what commits cost there is part of every figure."""
    with (
        tempfile.TemporaryDirectory(prefix="parley-bench-") as folder,
        tempfile.TemporaryDirectory(prefix="parley-bench-") as data,
    ):
        server = await embedded.start(Path(data), settings={"max_wal_size": "8GB"})
        try:
            postgres = psutil.Process(_postmaster(Path(data)))
            yield Stage(Path(folder), Server(server.dsn), postgres, seconds, quick, say)
        finally:
            await server.stop()


def _postmaster(data: Path) -> int:
    return int((data / str(embedded.MAJOR) / "postmaster.pid").read_text().split()[0])
