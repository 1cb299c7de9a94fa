"""The service: builds the parts, runs them in one TaskGroup, drains, closes in reverse.

Everything that is started here is stopped here, in the order written down in `running`.
"""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from app import egress
from app.api.application import actions
from app.api.application import build as build_api
from app.api.auth import Gate
from app.carriers import discover
from app.carriers.contract import Carrier, Hosted
from app.clock import Clock
from app.convoy import Convoy
from app.delivery.loop import delivery_loop
from app.delivery.settle import Settler, Settling
from app.files import shelves
from app.inbound.asking import ask_loop
from app.inbound.door import Doors
from app.lanes import punctual
from app.media.fetch import fetch_loop
from app.observe import Observe
from app.ops.health import Health, check_server
from app.ops.hook_routes import HookRoutes
from app.ops.jobs import Jobs
from app.ops.metrics import Metrics
from app.ops.opt_outs import OptOutRoutes
from app.ops.routes import operator_routes, probe_routes
from app.realtime.hub import Hub
from app.road.items import Road
from app.road.walk import Walker
from app.runtime import Runtime, vault_of
from app.settings.models import Settings
from app.store import schema
from app.store.bells import Ringer, listen
from app.store.database import Database
from app.store.declared import declare
from app.streams.follower import Followers
from app.streams.sequencer import Sequencer
from app.webhooks import before
from app.webhooks.after import Teller, Telling, hook_loop

GC_THRESHOLDS = (10_000, 20, 50)
ROLES = ("api", "inbound", "worker", "jobs")
WALKERS_WAITING_MAX = 10_000
"""Attempts and statuses that may wait to be settled; carriers are told 503 beyond."""


@dataclass(slots=True)
class Service:
    """A running service. `url` is where it listens, `ops_url` where health and metrics are; `hub`
    are those who are connected to it."""

    runtime: Runtime
    url: str
    ops_url: str
    health: Health
    hub: Hub
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
        listening = _listen(settings.server.host, settings.server.port)
        stack.callback(listening.close)
        runtime = await _runtime(stack, settings, db, clock, observe, _origin(listening))
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
    return settings.hooks.in_flight + settings.streams.in_flight + settings.media.in_flight


@asynccontextmanager
async def _parts(
    runtime: Runtime, listening: socket.socket, roles: tuple[str, ...], metrics: Metrics
) -> AsyncIterator[Service]:
    """Walkers, loops, doors, jobs: started in this order, drained in reverse."""
    settings = runtime.settings
    health = Health(runtime, await asyncio.to_thread(schema.head))
    walker, settler, teller = Walker(runtime), Settler(runtime), Teller(runtime)
    walk = settings.road
    road: Road = Convoy(walker, longest=walk.convoy_max, waiting_max=walk.queue_max)
    settling: Settling = Convoy(settler, longest=128, waiting_max=WALKERS_WAITING_MAX)
    walker.more, settler.more = road.waiting, settling.waiting
    telling: Telling = Convoy(teller, longest=128, waiting_max=WALKERS_WAITING_MAX)
    deliveries = delivery_loop(runtime, settling)
    hooks = hook_loop(runtime, telling, teller.queue)
    asks, fetches = ask_loop(runtime, road), fetch_loop(runtime)
    sequencer, followers = Sequencer(runtime), Followers(runtime)
    jobs = Jobs(runtime, settling.submit)
    hub = Hub(runtime, road, actions(runtime), Gate(runtime))
    application = _application(runtime, hub, settling, health, metrics, roles)
    async with asyncio.TaskGroup() as group:
        walking = [group.create_task(part.run()) for part in (road, settling, telling)]
        standing = [group.create_task(health.run()), *_bells(group, runtime, roles)]
        runtime.db.moved = hub.moved
        standing.append(group.create_task(hub.run() if "api" in roles else hub.tell()))
        working = []
        if "worker" in roles:
            loops = (deliveries, hooks, asks, fetches, sequencer, followers)
            working = [group.create_task(part.run()) for part in loops]
        stack = AsyncExitStack()
        try:
            probes = probe_routes(health, metrics)
            site = await _serve(stack, application, probes, listening, settings)
            url = _origin(listening)
            service = Service(runtime, url, site or url, health, hub)
            await _worlds(stack, runtime, service.url)
            if "jobs" in roles:
                jobs.start()
            yield service
        finally:
            left_s = _deadline(runtime.clock, settings.server.drain_s)
            health.drain()
            await jobs.stop()
            for loop in (deliveries, hooks, asks, fetches, sequencer, followers):
                loop.close()
            await _finish(working, left_s())
            for leased in (deliveries, hooks, asks, fetches, followers):
                await leased.release()
            closing = group.create_task(stack.aclose())  # requests in flight need the walkers
            await asyncio.wait([closing], timeout=left_s())
            for convoy in (road, settling, telling):
                convoy.close()
            await _finish(walking, left_s())
            await closing
            for task in standing:
                task.cancel()
    for part in (walker, settler, teller):
        await part.close()


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


def _application(
    runtime: Runtime,
    hub: Hub,
    settling: Settling,
    health: Health,
    metrics: Metrics,
    roles: tuple[str, ...],
) -> web.Application:
    """Everything that is answered on the main port."""
    gate, road = hub.gate, hub.road
    application = web.Application()
    if "api" in roles:
        application = build_api(runtime, road, gate, hub.actions)
        hub.join(application)
    if "inbound" in roles:
        application.add_routes(Doors(runtime, road, settling.submit).routes())
        for name, carrier in runtime.carriers.items():
            if isinstance(carrier, Hosted):
                application.add_subapp(f"/carriers/{name}/world/", carrier.pages())
    if "api" in roles:
        application.add_routes(operator_routes(runtime, gate.operator))
        application.add_routes(HookRoutes(runtime).routes(gate.operator))
        application.add_routes(OptOutRoutes(runtime).routes(gate.operator))
    if runtime.settings.ops.port is None:
        application.add_routes(probe_routes(health, metrics))
    return application


async def _serve(
    stack: AsyncExitStack,
    application: web.Application,
    probes: Sequence[web.AbstractRouteDef],
    listening: socket.socket,
    settings: Settings,
) -> str | None:
    """Start answering; gives the URL of the operators' own listener when there is one."""
    ops_url = None
    if settings.ops.port is not None:
        apart = web.Application()
        apart.add_routes(probes)
        ops_socket = _listen(settings.ops.host, settings.ops.port)
        await _site(stack, apart, ops_socket, settings.server.drain_s)
        ops_url = _origin(ops_socket)
    await _site(stack, application, listening, settings.server.drain_s)
    return ops_url


async def _site(
    stack: AsyncExitStack, application: web.Application, listening: socket.socket, drain_s: float
) -> None:
    # The access log costs as much as a whole request; our own events say more.
    # aiohttp waits this long twice: for requests to end, then for connections to close.
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=drain_s / 2)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.SockSite(runner, listening, backlog=1024).start()


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


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((host, port))
    return made


def _origin(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host and '[' not in host else host}:{port}"
