"""A process that serves: its database, and what the system's signals mean to it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from app.observe import Observe, Said
from app.service import Service, running, settle_down
from app.settings.models import Settings
from app.store import embedded, schema


async def serve(settings: Settings, roles: tuple[str, ...], observe: Observe) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal exits at once."""
    async with database(settings, observe) as dsn:
        await schema.migrate(dsn, lambda text: observe(Said("info", "migrate", text)))
        async with running(settings, dsn, roles=roles, observe=observe) as service:
            settle_down()
            _hear_signals(service)
            observe(Said("info", "serving", f"{service.url} as {', '.join(roles)}"))
            await service.stopping.wait()
            observe(Said("info", "draining", f"at most {settings.server.drain_s:g} s"))


def _hear_signals(service: Service) -> None:
    def heard() -> None:
        if service.stopping.is_set():
            os._exit(1)
        service.stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, heard)


@asynccontextmanager
async def database(settings: Settings, observe: Observe) -> AsyncIterator[str]:
    """The DSN of the configured database, or of the embedded one while the block runs."""
    if settings.database.url is not None:
        yield settings.database.url.get_secret_value()
        return
    server = await embedded.start(Path(settings.database.folder))
    keeper = asyncio.get_running_loop().create_task(server.keep())
    try:
        yield server.dsn
    finally:
        keeper.cancel()
        await asyncio.gather(keeper, return_exceptions=True)
        await server.stop()
