"""The API as a web application, and its place on the site."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial

import orjson
from aiohttp import web

from app.api import auth, client_media, errors, media, openapi
from app.api.access_tokens import Tokens
from app.api.auth import Gate
from app.api.call import door
from app.api.event_log import READERS
from app.api.limits import Buckets, Counting, counted_by
from app.api.routes import Route, chat_routes, routes
from app.api.studio_routes import VERSION as FLOWS_VERSION
from app.api.studio_routes import studio_routes
from app.media import links
from app.road.items import Road
from app.runtime import Runtime
from app.streams.reading import Readers

VERSION, CHAT_VERSION = "/v1", "/v3"


def build(
    runtime: Runtime, road: Road, gate: Gate | None = None, buckets: Buckets | None = None
) -> web.Application:
    """The site with the API on it; others may add their own paths, which keep their own answers."""
    site = web.Application()
    gate = gate or Gate(runtime)
    buckets = buckets or actions(runtime)
    api = version(runtime, road, gate, buckets, routes())
    readers = api[READERS] = Readers(runtime)
    site.on_shutdown.append(_letting_go(readers))
    site.add_subapp(VERSION, api)
    site.add_subapp(CHAT_VERSION, version(runtime, road, gate, buckets, chat_routes()))
    site.add_subapp(FLOWS_VERSION, version(runtime, road, gate, buckets, studio_routes()))
    tokens = Tokens(runtime, gate.keys)
    site.add_subapp(client_media.PREFIX, client_media.build(runtime, road, tokens, buckets))
    site.router.add_get(links.PATH, _opened(runtime))
    described = openapi.document(
        {VERSION: routes(), FLOWS_VERSION: studio_routes(), CHAT_VERSION: chat_routes()}
    )
    site.router.add_get(openapi.PATH, said(orjson.dumps(described)))
    return site


def actions(runtime: Runtime) -> Buckets:
    """What changes of one conversation, or service, are counted in."""
    return Buckets(runtime.settings.limits.effective_actions_per_s, runtime.clock)


def _opened(runtime: Runtime) -> errors.Handler:
    """The handler of temporary URLs of files: who has one needs no credentials."""
    shape = errors.shaper(runtime.observe)

    async def handle(request: web.Request) -> web.StreamResponse:
        response: web.StreamResponse = await shape(request, partial(media.opened, runtime))
        return response

    return handle


def _letting_go(readers: Readers) -> Callable[[web.Application], Awaitable[None]]:
    """Who waits for events waits no longer when we stop: their requests are in flight."""

    async def let_go(_: web.Application) -> None:
        readers.close()

    return let_go


def said(body: bytes) -> errors.Handler:
    """A handler that always says this, to everybody."""

    async def handle(_: web.Request) -> web.StreamResponse:
        return web.Response(body=body, content_type="application/json", charset="utf-8")

    return handle


def version(
    runtime: Runtime, road: Road, gate: Gate, buckets: Buckets, routes: Iterable[Route]
) -> web.Application:
    """Everything below one version's prefix, which its paths do not repeat."""
    guard = auth.guard(gate)
    application = web.Application(middlewares=[errors.shaper(runtime.observe), guard])
    for route in routes:
        counting = Counting(buckets, counted_by(route.method, route.path))
        handler = door(runtime, road, route.verb, route.status, counting)
        application.router.add_route(route.method, route.path, handler)
    return application
