"""A customer that can be rude: it hangs, resets, answers garbage or errors; it remembers all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web
from twilio.request_validator import RequestValidator

from tests.support.customer import Customer, Hook

Mood = Literal["well", "hangs", "resets", "garbage", "errors"]
MOODS: tuple[Mood, ...] = ("hangs", "resets", "garbage", "errors")
BEFORE, SINK = "/before", "/sink"
NOT_ANSWERED = 599
"""What is remembered as the status of a webhook that got no answer, or no whole one."""


@dataclass
class RudeCustomer(Customer):
    """`mood` decides how the next webhooks are treated; a hanging one is let go by `calm`.

    `asked` are the pre-events: never rejected, but hung, reset and answered with garbage. `sunk`
    are the arrays of events that came by a sink, accepted or not."""

    mood: Mood = "well"
    asked: list[Hook] = field(default_factory=list)
    sunk: list[tuple[Hook, list[dict[str, Any]]]] = field(default_factory=list)
    _calmed: asyncio.Event = field(default_factory=asyncio.Event)

    def turn(self, mood: Mood) -> None:
        """Be in this mood from now on; whoever hangs is let go without an answer."""
        self.mood = mood
        self._calmed.set()
        self._calmed = asyncio.Event()

    @property
    def hanging(self) -> int:
        """How many webhooks hang right now."""
        return self._hanging

    _hanging: int = 0

    async def take(self, request: web.Request) -> web.Response:
        hook = await self._read(request)
        asked = hook.path == BEFORE
        if hook.path == SINK:
            self.sunk.append((hook, await request.json()))
        else:
            (self.asked if asked else self.hooks).append(hook)
        self._changed.set()
        if self.mood == "well" or (asked and self.mood == "errors"):
            hook.status = 200
            return web.Response()
        if self.mood == "errors":
            hook.status = 503
            return web.Response(status=503, text="not now")
        if self.mood == "hangs":
            self._hanging += 1
            await self._calmed.wait()
            self._hanging -= 1
        elif self.mood == "garbage" and request.transport is not None:
            request.transport.write(b"\x00\xff what? \r\n\r\n")
        if request.transport is not None:
            request.transport.close() if self.mood == "garbage" else request.transport.abort()
        return web.Response(status=500)

    async def _read(self, request: web.Request) -> Hook:
        form = {key: str(value) for key, value in (await request.post()).items()}
        given = request.headers.get("X-Twilio-Signature", "")
        said: Any = (await request.read()).decode() if request.path == SINK else form
        return Hook(
            method=request.method,
            path=request.path,
            form=form,
            headers=dict(request.headers),
            signed=RequestValidator(self.token).validate(self.url + request.path_qs, said, given),
            status=NOT_ANSWERED,
        )


@asynccontextmanager
async def rude_customer(token: str) -> AsyncIterator[RudeCustomer]:
    """A customer that listens on loopback while the block runs."""
    one = RudeCustomer(token)
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", one.take)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, backlog=1024).start()
    one.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield one
    finally:
        one.turn("well")
        await runner.cleanup()
