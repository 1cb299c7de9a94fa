"""A server that gives canned answers, in turn, and keeps what it was asked in JSON."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from aiohttp import web

from app.carriers.codes import TOO_MANY_REQUESTS
from app.clock import Clock
from app.errors import CarrierError, Temporary
from app.model.traffic import Accepted
from tests.support.serving import serving

NOON = datetime(2026, 5, 4, 12, 0, 0, 500_000, UTC)

Answer = Callable[[web.Request], web.StreamResponse]


class Noon(Clock):
    """It is always noon."""

    def now(self) -> datetime:
        return NOON


@dataclass
class Asked:
    """One request as it came."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class Canned:
    """The answers that are left, and what was asked."""

    answers: list[Answer]
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Any request."""
        raw = await request.read()
        self.asked.append(
            Asked(
                request.method,
                request.path,
                dict(request.query),
                dict(request.headers),
                orjson.loads(raw) if raw else None,
            )
        )
        return self.answers.pop(0)(request)


@asynccontextmanager
async def canned(*answers: Answer) -> AsyncIterator[Canned]:
    """The server, while the block runs."""
    server = Canned(list(answers))
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.handle)
    async with serving(app) as server.url:
        yield server


def says(status: int, said: Any = None, **headers: str) -> Answer:
    """An answer in JSON; `_` in a header's name stands for the hyphen."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda request: web.json_response(said, status=status, headers=named)


def page(status: int) -> Answer:
    """What a proxy says in the provider's place."""
    return lambda request: web.Response(status=status, text="<html>")


def cut(request: web.Request) -> web.StreamResponse:
    """The connection breaks."""
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def comes_to(
    sending: Coroutine[Any, Any, Accepted], expected: Accepted | CarrierError
) -> None:
    """A send has this outcome: the same kind of error with the same code and wait, that says the
    same of the carrier, and the expected words in its text."""
    if isinstance(expected, Accepted):
        assert await sending == expected
        return
    with pytest.raises(CarrierError) as raised:
        await sending
    got = raised.value
    assert (type(got), got.code) == (type(expected), expected.code), got.message
    assert expected.message in got.message
    assert (got.down, got.barred) == (expected.down, expected.barred)
    if isinstance(expected, Temporary):
        assert isinstance(got, Temporary)
        assert got.retry_after_s == expected.retry_after_s
        assert got.throttled is (expected.code == TOO_MANY_REQUESTS)
