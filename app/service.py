"""The service: builds the parts, runs them in one TaskGroup, drains, closes in reverse.

Everything that is started here is stopped here, in the order written down in `running`.
"""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from app import egress, front
from app.carriers import discover
from app.carriers.contract import Carrier, Hosted
from app.clock import Clock
from app.files import shelves
from app.inbound.mail_port import mail_ports
from app.lanes import punctual
from app.observe import Observe, Said
from app.ops.health import Health, check_server
from app.ops.metrics import Metrics
from app.ops.routes import probe_routes
from app.parts import Parts, assembled
from app.realtime.hub import Hub
from app.rules import registration
from app.runtime import Runtime, vault_of
from app.settings.models import Settings
from app.store import schema
from app.store.bells import Ringer, listen
from app.store.database import Database
from app.store.declared import declare
from app.studio.worker import IN_FLIGHT as FLOWS_IN_FLIGHT
from app.webhooks import before

GC_THRESHOLDS = (10_000, 20, 50)
ROLES = ("api", "inbound", "worker", "jobs")


@dataclass(slots=True)
class Service:
    """A running service. `url` is where it listens, `ops_url` where health and metrics are, `hub`
    are those who are connected to it, `mail_ports` where carriers of e-mail listen, by their
    names."""

    runtime: Runtime
    url: str
    ops_url: str
    health: Health
    hub: Hub
    mail_ports: Mapping[str, int] = field(default_factory=dict)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def running(
    settings: Settings,
    dsn: str,
    *,
    roles: tuple[str, ...] = ROLES,
    observe: Observe | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[Service]:
    """The service on a database that is migrated, until the block is left; then it drains."""
    observe, clock = observe or Observe(), clock or Clock()
    metrics = Metrics(settings.carriers)
    observe.to(metrics.consume)
    async with AsyncExitStack() as stack:
        db = Database(dsn, clock, pool_max=settings.database.pool_max)
        stack.push_async_callback(db.close)
        async with db.begin() as tx:
            await check_server(tx.sql, observe, clock.now())
            await declare(tx, settings)
        for doubtful in settings.warnings:
            observe(Said("warning", "configuration", doubtful))
        for unregistered in registration.warnings(settings):
            observe(Said("warning", "A2P 10DLC", unregistered))
        listening = front.listen(settings.server.host, settings.server.port)
        stack.callback(listening.close)
        runtime = await _runtime(stack, settings, db, clock, observe, front.origin(listening))
        yield await stack.enter_async_context(_parts(runtime, listening, roles, metrics))


def settle_down() -> None:
    """What lives as long as the process is not looked at again by the cycle collector, and that
    comes less often: requests leave hardly any cycles, and looking took a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


async def _runtime(
    stack: AsyncExitStack,
    settings: Settings,
    db: Database,
    clock: Clock,
    observe: Observe,
    origin: str,
) -> Runtime:
    """The parts that everybody shares, closed with the stack."""
    timeout = aiohttp.ClientTimeout(total=settings.delivery.timeout_s)
    connector = aiohttp.TCPConnector(limit=settings.delivery.in_flight)
    http = await stack.enter_async_context(
        aiohttp.ClientSession(
            connector=connector, timeout=timeout, trust_env=False, request_class=punctual(clock)
        )
    )
    guarded = await stack.enter_async_context(
        egress.client(settings.egress, limit=_outgoing_max(settings))
    )
    questions = await stack.enter_async_context(
        egress.client(settings.egress, limit=before.ALL_AT_ONCE_MAX)
    )
    public_url = (settings.server.public_url or origin).rstrip("/")
    carriers = _carriers(settings)
    shared = (settings, db, http, guarded, clock, observe, carriers, public_url)
    vault = vault_of(settings)
    files = shelves.opened(vault, settings.media)
    stack.push_async_callback(files.close)
    return Runtime(*shared, questions=questions, vault=vault, files=files)


def _outgoing_max(settings: Settings) -> int:
    """How many calls of URLs that users give may be under way."""
    sent = settings.hooks.in_flight + settings.streams.in_flight + FLOWS_IN_FLIGHT
    return sent + settings.media.in_flight


@asynccontextmanager
async def _parts(
    runtime: Runtime, listening: socket.socket, roles: tuple[str, ...], metrics: Metrics
) -> AsyncIterator[Service]:
    """Walkers, loops, doors, jobs: started in this order, drained in reverse."""
    health = Health(runtime, await asyncio.to_thread(schema.head))
    parts = assembled(runtime, health, metrics, roles)
    async with asyncio.TaskGroup() as group:
        walking = [group.create_task(one.run()) for one in parts.convoys]
        standing = [group.create_task(health.run()), *_bells(group, runtime, roles)]
        runtime.db.moved = parts.hub.moved
        told = parts.hub.run() if "api" in roles else parts.hub.tell()
        standing.append(group.create_task(told))
        busy = parts.loops if "worker" in roles else ()
        working = [group.create_task(one.run()) for one in busy]
        stack = AsyncExitStack()
        try:
            await parts.gaps.meet()
            yield await _served(stack, parts, runtime, listening, metrics)
        finally:
            left_s = _deadline(runtime.clock, runtime.settings.server.drain_s)
            health.drain()
            parts.gaps.close()
            await parts.jobs.stop()
            for loop in parts.loops:
                loop.close()
            await _finish(working, left_s())
            for leased in parts.leased:
                await leased.release()
            closing = group.create_task(stack.aclose())  # requests in flight need the walkers
            await asyncio.wait([closing], timeout=left_s())
            for convoy in parts.convoys:
                convoy.close()
            await _finish(walking, left_s())
            await closing
            for task in standing:
                task.cancel()
    for held in parts.held:
        await held.close()


async def _served(
    stack: AsyncExitStack,
    parts: Parts,
    runtime: Runtime,
    listening: socket.socket,
    metrics: Metrics,
) -> Service:
    """Start answering, and the jobs; closed with the stack."""
    probes = probe_routes(parts.health, metrics)
    site = await front.serve(stack, parts.application, probes, listening, runtime.settings)
    ports = await mail_ports(stack, runtime, parts.doors) if parts.doors is not None else {}
    url = front.origin(listening)
    await _worlds(stack, runtime, url)
    if "jobs" in parts.roles:
        parts.jobs.start()
    return Service(runtime, url, site or url, parts.health, parts.hub, ports)


def _bells(
    group: asyncio.TaskGroup, runtime: Runtime, roles: tuple[str, ...]
) -> list[asyncio.Task[None]]:
    """Workers hear other processes; a process without workers tells them, and hears them when it
    has readers of events."""
    runtime.db.ring = runtime.wakes.ring
    standing = []
    if "worker" in roles or "api" in roles:
        heard = listen(runtime.db, runtime.wakes.heard, runtime.clock, runtime.observe)
        standing.append(group.create_task(heard))
    if "worker" not in roles:
        ringer = Ringer(runtime.db, runtime.clock, runtime.observe)
        runtime.wakes.also = ringer.ring
        standing.append(group.create_task(ringer.run()))
    return standing


def _deadline(clock: Clock, seconds: float) -> Callable[[], float]:
    """One deadline for everything that is in flight: how long it is still away."""
    ends = clock.monotonic() + seconds
    return lambda: max(0.0, ends - clock.monotonic())


async def _finish(tasks: list[asyncio.Task[None]], deadline_s: float) -> None:
    """Wait for tasks that were told to end; those that do not are cancelled."""
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=deadline_s)
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late)


async def _worlds(stack: AsyncExitStack, runtime: Runtime, origin: str) -> None:
    """Bring simulated carriers that live in this process to life."""
    for name, carrier in runtime.carriers.items():
        if isinstance(carrier, Hosted):
            door = f"{runtime.public_url}/carriers/{name}/inbound"
            via = None if runtime.public_url == origin else origin
            await stack.enter_async_context(carrier.living(door, via))


def _carriers(settings: Settings) -> Mapping[str, Carrier]:
    return {
        name: discover.build(name, carrier, settings.carrier_options(name))
        for name, carrier in settings.carriers.items()
    }
