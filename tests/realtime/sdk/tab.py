"""A page of a browser with clients of the SDK."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from tests.realtime.sdk import installed
from tests.realtime.sdk.chromium import Browser
from tests.realtime.sdk.clients import Clients
from tests.support.serving import serving


@asynccontextmanager
async def tab(browser: Browser) -> AsyncIterator[Clients]:
    """A page while the block runs."""
    application = web.Application()
    application.router.add_static("/", installed.FOLDER)
    async with serving(application) as url:
        page = await browser.open("about:blank")

        async def write(request: Mapping[str, Any]) -> None:
            said = json.dumps(json.dumps(request))
            await page.send("Runtime.evaluate", expression=f"void take(JSON.parse({said}))")

        clients = Clients(write)
        page.said = lambda line: clients.take(json.loads(line))
        await page.send("Page.navigate", url=f"{url}/sdk/driver.html")
        await clients.ready()
        try:
            yield clients
            assert page.wrong == []
        finally:
            clients.end()
            await page.close()
