"""The demo's customer: an application that gets webhooks and checks how they are signed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from aiohttp import web

from app.carriers.signature import HEADER, verify


class Customer:
    """Records every webhook that it gets; answers 200. Works while entered."""

    def __init__(self) -> None:
        self.token = ""
        self.url = ""
        self.forms: list[dict[str, str]] = []
        self.unsigned = 0
        self._paths: list[str] = []
        self._changed = asyncio.Event()

    async def __aenter__(self) -> Self:
        application = web.Application()
        application.router.add_post("/{path:.*}", self._take)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._runner.cleanup()

    def at(self, path: str) -> list[dict[str, str]]:
        """The webhooks that came to this path, in their order."""
        pairs = zip(self._paths, self.forms, strict=True)
        return [form for came_to, form in pairs if came_to == path]

    def events(self, name: str) -> list[dict[str, str]]:
        """The webhooks of this event."""
        return [form for form in self.forms if form["EventType"] == name]

    async def until(self, condition: Callable[[], bool], within_s: float = 15.0) -> None:
        """Wait until the condition holds; raises TimeoutError."""
        async with asyncio.timeout(within_s):
            while not condition():
                self._changed.clear()
                await self._changed.wait()

    async def _take(self, request: web.Request) -> web.Response:
        form = {key: str(value) for key, value in (await request.post()).items()}
        url = self.url + request.path_qs
        if not verify(url, form, request.headers.get(HEADER, ""), [self.token]):
            self.unsigned += 1
        self.forms.append(form)
        self._paths.append(request.path)
        self._changed.set()
        return web.Response()
