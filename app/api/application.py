"""The API as a web application, and its place on the site."""

from __future__ import annotations

from aiohttp import web

from app.api import auth, errors
from app.api.call import door
from app.api.routes import routes
from app.road.items import Road
from app.runtime import Runtime

VERSION = "/v1"
OTHERS = ("/v2", "/v3")


def build(runtime: Runtime, road: Road) -> web.Application:
    """The site with the API on it; others may add their own paths, which keep their own answers."""
    site = web.Application()
    site.add_subapp(VERSION, version_1(runtime, road))
    for version in OTHERS:
        site.add_subapp(version, nothing(runtime))
    return site


def version_1(runtime: Runtime, road: Road) -> web.Application:
    """Everything below `/v1`, which paths here do not repeat."""
    guard = auth.guard(runtime.settings.account)
    application = web.Application(middlewares=[errors.shaper(runtime.observe), guard])
    for route in routes():
        handler = door(runtime, road, route.verb, route.status)
        application.router.add_route(route.method, route.path, handler)
    return application


def nothing(runtime: Runtime) -> web.Application:
    """A version of the API that is not here: all of it is a clean 404."""
    return web.Application(middlewares=[errors.shaper(runtime.observe)])
