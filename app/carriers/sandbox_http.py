"""The World over HTTP: its pages, mounted in our own process or served by one of its own.

    POST messages                {reference, channel, from, to, body, media, status_url} -> 201
    GET  messages?reference=     every message taken under this reference
    GET  texts?after=ID&size=N   what phones wrote, newest first: {messages, more}
    GET  phones/{address}        what the phone got and sent
    POST phones/{address}/send   {to, body, media, others, channel, metadata, id, wait}
    POST behaviour               {address?, inbound_url?, ...Behaviour}
    GET  /                       the World in numbers

With a secret every page wants `Authorization: Bearer <secret>`.
"""

from __future__ import annotations

import argparse
import asyncio
import hmac
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import orjson
from aiohttp import web
from pydantic import ValidationError

from app.carriers.sandbox_behaviour import Cut, Refusal
from app.carriers.sandbox_wire import Media, SandboxDialect, Send
from app.carriers.sandbox_world import RECORDS_MAX, World

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

WORLD: web.AppKey[World] = web.AppKey("world", World)
SECRET_VARIABLE = "PARLEY_SANDBOX_SECRET"  # noqa: S105


def pages(world: World, secret: str | None = None) -> web.Application:
    """The World's pages, to be served or mounted."""
    app = web.Application(middlewares=[_guard(secret), _plain_errors])
    app[WORLD] = world
    app.add_routes(
        [
            web.post("/messages", take),
            web.get("/messages", look_up),
            web.get("/texts", texts),
            web.get("/phones/{address}", phone),
            web.post("/phones/{address}/send", send),
            web.post("/behaviour", behave),
            web.get("/", summary),
        ]
    )
    return app


@asynccontextmanager
async def serving(
    world: World, *, host: str = "127.0.0.1", port: int = 0, secret: str | None = None
) -> AsyncIterator[str]:
    """The URL under which the (entered) World answers; port 0: one that is free."""
    runner = web.AppRunner(pages(world, secret), shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        bound = runner.addresses[0][1]
        yield f"http://{host}:{bound}"
    finally:
        await runner.cleanup()


async def take(request: web.Request) -> web.StreamResponse:
    """The send API: 201 and the id; 400 or 503 and a code; or the connection is cut."""
    order = Send.model_validate(await _object(request))
    try:
        received = await request.app[WORLD].take(order)
    except Refusal as refusal:
        said = {"code": refusal.code, "retry_after_s": refusal.retry_after_s}
        return _json(said, status=400 if refusal.permanent else 503)
    except Cut:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=500)
    return _json({"id": received.external_id}, status=201)


async def look_up(request: web.Request) -> web.StreamResponse:
    """Every message under a reference."""
    found = request.app[WORLD].records.referenced(request.query.get("reference", ""))
    return _json({"messages": [received.view() for received in found]})


async def texts(request: web.Request) -> web.StreamResponse:
    """A page of what phones wrote."""
    size = min(max(int(request.query.get("size", "100")), 1), 1000)
    found, more = request.app[WORLD].records.texts(request.query.get("after"), size)
    shown = [one.model_dump(mode="json", by_alias=True, exclude_none=True) for one in found]
    return _json({"messages": shown, "more": more})


async def phone(request: web.Request) -> web.StreamResponse:
    """What one phone got and sent."""
    one = request.app[WORLD].phone(request.match_info["address"])
    return _json(
        {
            "address": one.address,
            "received": [received.view() for received in one.received],
            "sent": [texted.view() for texted in one.sent],
        }
    )


async def send(request: web.Request) -> web.StreamResponse:
    """A phone writes to us; answered when the door took it, or at once with `wait` false."""
    world = request.app[WORLD]
    parts = await _object(request)
    to, body, wait = str(parts.pop("to", "")), parts.pop("body", None), parts.pop("wait", True)
    media = [Media.model_validate(part) for part in parts.pop("media", [])]
    sender = request.match_info["address"]
    message = world.message(
        sender, to, body, media=media, external_id=parts.pop("id", None), **parts
    )
    texted = await world.deliver(message) if wait else world.post(message)
    return _json(texted.view(), status=200 if wait else 202)


async def behave(request: web.Request) -> web.StreamResponse:
    """Change how one phone, or every phone, behaves; and where the inbound door is."""
    world = request.app[WORLD]
    changes = await _object(request)
    if "inbound_url" in changes:
        world.inbound_url = str(changes.pop("inbound_url"))
    address = changes.pop("address", None)
    world.behave(None if address is None else str(address), **changes)
    return _json(world.summary())


async def summary(request: web.Request) -> web.StreamResponse:
    """The World in numbers."""
    return _json(request.app[WORLD].summary())


def main() -> None:
    """A World in a process of its own; prints its URL when it answers, ends on SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m app.carriers.sandbox_world")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--inbound-url", help="the door that phones' messages go to")
    parser.add_argument("--seed", type=int)
    parser.add_argument("--records-max", type=int, default=RECORDS_MAX)
    parser.epilog = f"The secret, if any, is read from {SECRET_VARIABLE}."
    asyncio.run(_run(parser.parse_args()))


async def _run(options: argparse.Namespace) -> None:
    secret = os.environ.get(SECRET_VARIABLE) or None
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    world = World(
        inbound_url=options.inbound_url,
        dialect=SandboxDialect(secret),
        seed=options.seed,
        records_max=options.records_max,
    )
    async with world, serving(world, host=options.host, port=options.port, secret=secret) as url:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()
        await ended.wait()


def _guard(secret: str | None) -> Any:
    wanted = f"Bearer {secret}".encode()

    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode("utf-8", "replace")
        if secret is not None and not hmac.compare_digest(wanted, given):
            return _json({"message": "the secret is missing or wrong"}, status=401)
        return await handler(request)

    return guard


@web.middleware
async def _plain_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except ValidationError as error:
        wrong = [".".join(map(str, part["loc"])) + ": " + part["msg"] for part in error.errors()]
        return _json({"message": "; ".join(wrong)}, status=400)
    except (ValueError, TypeError) as error:
        return _json({"message": str(error)}, status=400)
    except RuntimeError as error:
        return _json({"message": str(error)}, status=409)


async def _object(request: web.Request) -> dict[str, Any]:
    given = orjson.loads(await request.read())
    if not isinstance(given, dict):
        raise ValueError("the body is not a JSON object")
    return given


def _json(said: Any, status: int = 200) -> web.Response:
    return web.Response(body=orjson.dumps(said), status=status, content_type="application/json")
