"""A recording customer: a real HTTP server that remembers webhooks and answers as it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from twilio.request_validator import RequestValidator


@dataclass
class Hook:
    """One webhook as it came."""

    method: str
    path: str
    form: dict[str, str]
    headers: dict[str, str]
    signed: bool
    status: int
    body: bytes = b""

    @property
    def event(self) -> str:
        return self.form.get("EventType", "")

    @property
    def json(self) -> Any:
        """What a JSON webhook says."""
        return json.loads(self.body)

    @property
    def token(self) -> str:
        return self.headers["I-Twilio-Idempotency-Token"]


Answer = Callable[[Hook], int | web.Response]


@dataclass
class Customer:
    """`answer` decides on each webhook (a status or a whole response); `hold` keeps those waiting
    that `holds` names (usually all), and `held` counts those that wait now."""

    token: str
    url: str = ""
    hooks: list[Hook] = field(default_factory=list)
    answer: Answer = lambda hook: 200
    hold: asyncio.Event | None = None
    holds: Callable[[Hook], bool] = lambda hook: True
    held: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def events(self, name: str | None = None, *, accepted: bool = True) -> list[Hook]:
        """The webhooks of one event (or all), by default those that were answered 2xx."""
        return [
            hook
            for hook in self.hooks
            if (name is None or hook.event == name) and (not accepted or hook.status < 300)
        ]

    async def until(self, condition: Callable[[], bool], within_s: float = 20.0) -> None:
        """Wait until the condition holds; looked at whenever a webhook came."""
        async with asyncio.timeout(within_s):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        form = {key: str(value) for key, value in (await request.post()).items()}
        hashed = "bodySHA256" in request.query
        said = body.decode() if request.content_type == "application/json" and hashed else form
        url = self.url + request.path_qs
        given = request.headers.get("X-Twilio-Signature", "")
        hook = Hook(
            method=request.method,
            path=request.path,
            form=form or dict(request.query),
            headers=dict(request.headers),
            signed=RequestValidator(self.token).validate(url, said, given),
            status=0,
            body=body,
        )
        if self.hold is not None and self.holds(hook):
            self.held += 1
            self._changed.set()
            await self.hold.wait()
            self.held -= 1
        answer = self.answer(hook)
        response = web.Response(status=answer) if isinstance(answer, int) else answer
        hook.status = response.status
        self.hooks.append(hook)
        self._changed.set()
        return response


@asynccontextmanager
async def customer(token: str, port: int = 0) -> AsyncIterator[Customer]:
    """A customer that listens on loopback while the block runs."""
    one = Customer(token)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", one.take)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    one.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield one
    finally:
        if one.hold is not None:
            one.hold.set()
        await runner.cleanup()
