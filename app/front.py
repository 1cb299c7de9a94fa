"""What is answered, and where: the main port, and the operators' own when there is one."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import AsyncExitStack

from aiohttp import web

from app.api.application import build as build_api
from app.carriers.contract import Hosted
from app.errors import unheard
from app.inbound.door import Doors
from app.ops.health import Health
from app.ops.hook_routes import HookRoutes
from app.ops.metrics import Metrics
from app.ops.opt_outs import OptOutRoutes
from app.ops.routes import operator_routes, probe_routes
from app.realtime.hub import Hub
from app.runtime import Runtime
from app.settings.models import Settings


def built(
    runtime: Runtime,
    hub: Hub,
    doors: Doors | None,
    health: Health,
    metrics: Metrics,
    roles: tuple[str, ...],
) -> web.Application:
    """Everything that is answered on the main port."""
    gate = hub.gate
    application = web.Application()
    if "api" in roles:
        application = build_api(runtime, hub.road, gate, hub.actions)
        hub.join(application)
    if doors is not None:
        application.add_routes(doors.routes())
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


async def serve(
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
        ops_socket = listen(settings.ops.host, settings.ops.port, "ops.port")
        await _site(stack, apart, ops_socket, settings.server.drain_s)
        ops_url = origin(ops_socket)
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


def listen(host: str, port: int, setting: str = "server.port") -> socket.socket:
    """A listening socket; port 0 takes a free one. Raises ParleyError, which says where and by
    which setting."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise unheard(setting, host, port, error) from None
    return made


def origin(listening: socket.socket) -> str:
    """The URL of a listening socket, as this machine reaches it."""
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host and '[' not in host else host}:{port}"
