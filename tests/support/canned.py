"""A server that gives canned answers, in turn, and keeps what it was asked."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

Answer = Callable[[web.Request], web.StreamResponse]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass
class Canned:
    """`answers` are used up from the front."""

    answers: list[Answer]
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        headers = dict(request.headers)
        self.asked.append(Asked(request.method, request.raw_path, headers, body))
        return self.answers.pop(0)(request)


@asynccontextmanager
async def canned(*answers: Answer) -> AsyncIterator[Canned]:
    """A server on loopback while the block runs."""
    server = Canned(list(answers))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        server.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield server
    finally:
        await runner.cleanup()


def says(status: int, said: Any = None, **headers: str) -> Answer:
    """An answer with this JSON; `_` in a header's name stands for the hyphen."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request: web.json_response(said, status=status, headers=named)


def cut(request: web.Request) -> web.StreamResponse:
    """The connection breaks instead of an answer."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()
