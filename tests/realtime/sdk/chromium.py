"""A headless Chromium, driven over its DevTools protocol: no package between it and the tests."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.realtime.sdk import installed

BLANK = "about:blank"
LISTENING = "DevTools listening on "
FLAGS = (
    "--headless=new",
    "--no-sandbox",  # the tests may run as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
    "--remote-debugging-port=0",
)
START_S, WITHIN_S, LOOK_S = 60.0, 30.0, 0.05
MESSAGE_BYTES_MAX = 32 << 20


@dataclass
class Browser:
    """The process; each page is a person of their own, with nothing kept from another."""

    socket: aiohttp.ClientWebSocketResponse
    pages: dict[str, Page] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _asked: dict[int, asyncio.Future[Any]] = field(default_factory=dict)

    async def listen(self) -> None:
        """Read what it says, until it ends."""
        async for message in self.socket:
            said = json.loads(message.data)
            if "id" in said:
                asked = self._asked.pop(said["id"], None)
                if asked is not None and not asked.done():
                    asked.set_result(said)
            elif (page := self.pages.get(said.get("sessionId"))) is not None:
                page.heard(said["method"], said["params"])

    async def send(self, method: str, session: str | None = None, /, **params: Any) -> Any:
        """One command; its result."""
        number = next(self._numbers)
        asked = self._asked[number] = asyncio.get_running_loop().create_future()
        command = {"id": number, "method": method, "params": params}
        await self.socket.send_json(
            command if session is None else command | {"sessionId": session}
        )
        async with asyncio.timeout(WITHIN_S):
            said = await asked
        assert "error" not in said, (method, said["error"])
        return said["result"]

    async def open(self, url: str) -> Page:
        """A page of a person who was never here."""
        context = (await self.send("Target.createBrowserContext"))["browserContextId"]
        target = await self.send("Target.createTarget", url=BLANK, browserContextId=context)
        attached = await self.send(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )
        page = self.pages[attached["sessionId"]] = Page(self, attached["sessionId"], context)
        for domain in ("Page", "Runtime", "DOM", "Log"):
            await page.send(f"{domain}.enable")
        await page.send("Runtime.addBinding", name="said")
        if url != BLANK:
            await page.send("Page.navigate", url=url)
        return page


@dataclass
class Page:
    """One tab. `wrong` is what its scripts threw; `answers` are given to its prompts; `said` hears
    what they say by the function of that name."""

    browser: Browser
    session: str
    context: str
    said: Callable[[str], None] = print
    wrong: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    _tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    async def send(self, method: str, **params: Any) -> Any:
        """A command to this tab."""
        return await self.browser.send(method, self.session, **params)

    def heard(self, method: str, params: Any) -> None:
        """An event of this tab."""
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            said = details.get("exception", {}).get("description", details["text"])
            self.wrong.append(said)
        elif method == "Runtime.bindingCalled":
            self.said(params["payload"])
        elif method == "Page.javascriptDialogOpening":
            answer = {"accept": True, "promptText": self.answers.pop(0) if self.answers else ""}
            task = asyncio.create_task(self.send("Page.handleJavaScriptDialog", **answer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Its person goes, with everything that is kept of them."""
        await self.browser.send("Target.disposeBrowserContext", browserContextId=self.context)

    async def value(self, expression: str) -> Any:
        """What a piece of JavaScript gives."""
        said = await self.send(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in said, (expression, said["exceptionDetails"])
        return said["result"].get("value")

    async def until(self, expression: str, within_s: float = WITHIN_S) -> Any:
        """Look again until it is true; gives what it is then."""
        try:
            async with asyncio.timeout(within_s):
                while not (found := await self.value(expression)):
                    await asyncio.sleep(LOOK_S)
                return found
        except TimeoutError:
            shown = await self.value("document.body.innerText")
            raise AssertionError(f"never: {expression}\n{shown}\n{self.wrong}") from None

    async def sees(self, text: str, within: str = "#messages") -> None:
        """Wait until this text is shown there."""
        await self.until(f"$({within[1:]!r}).innerText.includes({json.dumps(text)})")

    async def sees_no(self, text: str, within: str = "#messages") -> None:
        """Wait until this text is not shown there."""
        await self.until(f"!$({within[1:]!r}).innerText.includes({json.dumps(text)})")

    async def click(self, selector: str) -> None:
        """Press it, once it is there."""
        there = f"document.querySelector({json.dumps(selector)})"
        await self.until(f"!!{there}")
        await self.send("Runtime.evaluate", expression=f"setTimeout(() => {there}.click())")

    async def type(self, selector: str, text: str) -> None:
        """Put the cursor there and write."""
        await self.value(f"document.querySelector({json.dumps(selector)}).focus()")
        await self.send("Input.insertText", text=text)

    async def choose(self, selector: str, *files: Path) -> None:
        """Choose files in a field for them."""
        field = await self.send(
            "Runtime.evaluate", expression=f"document.querySelector({json.dumps(selector)})"
        )
        names = [str(one) for one in files]
        object_id = field["result"]["objectId"]
        await self.send("DOM.setFileInputFiles", files=names, objectId=object_id)


@asynccontextmanager
async def chromium(folder: Path, *flags: str) -> AsyncIterator[Browser]:
    """A browser while the block runs; what it keeps goes into this folder."""
    program = installed.chromium()
    assert program is not None
    process = await asyncio.create_subprocess_exec(
        *(program, *FLAGS, *flags, f"--user-data-dir={folder}", BLANK),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(await _door(process), max_msg_size=MESSAGE_BYTES_MAX) as socket,
        ):
            browser = Browser(socket)
            listening = asyncio.create_task(browser.listen())
            reading = asyncio.create_task(_drained(process))
            try:
                yield browser
            finally:
                with suppress(Exception):
                    await browser.send("Browser.close")
                for task in (listening, reading):
                    task.cancel()
                await asyncio.gather(listening, reading, return_exceptions=True)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _door(process: asyncio.subprocess.Process) -> str:
    """Where it listens; it says so on its way up."""
    assert process.stderr is not None
    said: list[str] = []
    async with asyncio.timeout(START_S):
        while line := (await process.stderr.readline()).decode("utf-8", "replace"):
            if line.startswith(LISTENING):
                return line.removeprefix(LISTENING).strip()
            said.append(line)
    raise AssertionError(f"Chromium does not start: {said[-5:]}")


async def _drained(process: asyncio.subprocess.Process) -> None:
    assert process.stderr is not None
    while await process.stderr.readline():
        pass
