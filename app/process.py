"""A process that serves: its database, how many files it may open, and what the system's signals
mean to it: SIGTERM and SIGINT to drain, SIGHUP to read the definitions of flows again. And how any
process ends whose output nobody reads."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from app.errors import ParleyError
from app.observe import Measured, Observe, Said
from app.service import Service, running, settle_down
from app.settings.models import Settings
from app.store import declared, embedded, schema

OTHER_FILES = 1_000
"""Open files besides the sockets of clients: carriers, webhooks, the database, media."""

UNHEARD = 141
"""The exit status that a shell gives to those whom SIGPIPE has ended."""

Read = Callable[[], Settings]
"""Reads the file of the configuration; raises ConfigErrors."""


def quietly(command: Callable[[], int]) -> int:
    """Run a command; gives its exit status, and UNHEARD without a word when its output was closed
    before it had said everything (`| head`)."""
    try:
        try:
            return command()
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left goes there
        return UNHEARD


async def serve(settings: Settings, roles: tuple[str, ...], observe: Observe, again: Read) -> None:
    """Serve until SIGTERM or SIGINT, then drain; a second signal exits at once. `again` reads the
    same file."""
    _open_files(settings, observe)
    async with database(settings, observe) as dsn:
        await schema.migrate(dsn, lambda text: observe(Said("info", "migrate", text)))
        async with running(settings, dsn, roles=roles, observe=observe) as service:
            settle_down()
            hung_up = _hear_signals(service)
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(_reread(hung_up, again, service, observe))
                observe(Said("info", "serving", f"{service.url} as {', '.join(roles)}"))
                await service.stopping.wait()
                reading.cancel()
            observe(Said("info", "draining", f"at most {settings.server.drain_s:g} s"))


def _hear_signals(service: Service) -> asyncio.Event:
    """What SIGHUP sets."""
    hung_up = asyncio.Event()

    def heard() -> None:
        if service.stopping.is_set():
            os._exit(1)
        service.stopping.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, heard)
    loop.add_signal_handler(signal.SIGHUP, hung_up.set)
    return hung_up


async def _reread(hung_up: asyncio.Event, read: Read, service: Service, observe: Observe) -> None:
    """At each SIGHUP, publish what the files of flows say now; a file that is wrong changes
    nothing. All else in the configuration is read at the start alone."""
    while True:
        await hung_up.wait()
        hung_up.clear()
        try:
            settings = await asyncio.to_thread(read)
            async with service.runtime.db.begin() as tx:
                await declared.declare_flows(tx, settings, service.runtime.settings.houses)
        except (ParleyError, OSError) as error:
            observe(Measured("config_last_reload_success", 0))
            observe(Said("error", "reading flows again", str(error)))
        else:
            observe(Measured("config_last_reload_success", 1))
            said = "flows are as their files say; for all else in the configuration, restart"
            observe(Said("info", "reading flows again", said))


def _open_files(settings: Settings, observe: Observe) -> None:
    """Take as many open files as the system lets us have, and say so when it is too few for the
    clients that may be connected."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    wanted = settings.realtime.connections_max + OTHER_FILES
    if hard != resource.RLIM_INFINITY and hard < wanted:
        said = f"at most {hard} (ulimit -n), and realtime.connections_max wants {wanted}"
        observe(Said("warning", "open files", said))


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
