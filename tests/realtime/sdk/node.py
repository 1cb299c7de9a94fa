"""A Node process with clients of the SDK, and what they hear."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.realtime.sdk import installed

DRIVER = Path(__file__).with_name("driver.js")
LINE_BYTES_MAX = 32 << 20
WITHIN_S = 30.0
QUIET = ("disconnected", "Unable to connect")
"""How promises end that the SDK leaves alone when its socket drops; nothing else may."""


class SdkError(Exception):
    """What the SDK rejects a promise with."""

    def __init__(self, said: dict[str, Any]) -> None:
        super().__init__(f"{said['name']}: {said['message']} ({said['status']}, {said['code']})")
        self.status, self.code, self.message = said["status"], said["code"], said["message"]


@dataclass
class Heard:
    """One event of one client."""

    who: str | None
    event: str
    data: Any


@dataclass
class Node:
    """The process. Everything that its clients hear is kept, in order."""

    process: asyncio.subprocess.Process
    heard: list[Heard] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _asked: dict[int, asyncio.Future[Any]] = field(default_factory=dict)
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def listen(self) -> None:
        """Read what the process says, to its end."""
        assert self.process.stdout is not None
        while line := await self.process.stdout.readline():
            said = json.loads(line)
            if "id" in said:
                self._answered(said)
                continue
            async with self._news:
                self.heard.append(Heard(said["who"], said["event"], said["data"]))
                self._news.notify_all()
        for asked in self._asked.values():
            asked.set_exception(ConnectionError("Node has ended"))

    def _answered(self, said: dict[str, Any]) -> None:
        asked = self._asked.pop(said["id"])
        if asked.done():
            return
        if "error" in said:
            asked.set_exception(SdkError(said["error"]))
        else:
            asked.set_result(said["value"])

    async def ask(self, who: str, code: str, within_s: float = WITHIN_S, /, **args: Any) -> Any:
        """Run this piece of JavaScript; `client` is there, and what is given by name."""
        assert self.process.stdin is not None
        number = next(self._numbers)
        asked = self._asked[number] = asyncio.get_running_loop().create_future()
        request = {"id": number, "who": who, "code": code, "args": args}
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        async with asyncio.timeout(within_s):
            return await asked

    async def until(self, wanted: Callable[[Heard], bool], since: int, within_s: float) -> Heard:
        """The first event beyond `since` that is wanted, once it is there."""
        async with asyncio.timeout(within_s), self._news:
            while True:
                for one in self.heard[since:]:
                    if wanted(one):
                        return one
                since = len(self.heard)
                await self._news.wait()

    def unhandled(self, since: int = 0) -> list[Any]:
        """Promises that the SDK left alone for another reason than a lost socket."""
        left = [one.data for one in self.heard[since:] if one.event == "unhandled"]
        return [one for one in left if not any(word in one["message"] for word in QUIET)]


@dataclass
class Person:
    """One identity's client."""

    node: Node
    name: str
    identity: str

    async def open(self, token: str, uri: str, **options: Any) -> None:
        """Make the client; it connects by itself."""
        args = {"token": token, "uri": uri, "options": options}
        await self.node.ask(self.name, "open", **args)

    async def run(self, code: str, within_s: float = WITHIN_S, /, **args: Any) -> Any:
        """Run JavaScript with `client`. Raises SdkError."""
        return await self.node.ask(self.name, code, within_s, **args)

    async def saw(
        self, event: str, within_s: float = WITHIN_S, /, since: int = 0, **like: Any
    ) -> Any:
        """The data of the first event of this name (since a `mark`) that has these members (of
        itself, or of the object that it is about); waits for it."""

        def wanted(one: Heard) -> bool:
            return one.who == self.name and one.event == event and _is_like(one.data, like)

        try:
            return (await self.node.until(wanted, since, within_s)).data
        except TimeoutError:
            there = "\n".join(f"{one.event} {one.data}"[:300] for one in self.heard[-40:])
            raise AssertionError(f"{self.name} saw no {event} {like}; but:\n{there}") from None

    async def turns(self, state: str, since: int = 0) -> None:
        """Wait until the client says that its connection is in this state."""
        turned = (self.name, "connectionStateChanged", state)
        await self.node.until(lambda one: (one.who, one.event, one.data) == turned, since, WITHIN_S)

    @property
    def mark(self) -> int:
        """The place of what is heard next."""
        return len(self.node.heard)

    @property
    def heard(self) -> list[Heard]:
        """What this client has heard."""
        return [one for one in self.node.heard if one.who == self.name]

    def all(self, event: str, since: int = 0) -> list[Any]:
        """The data of every event of this name."""
        found = self.node.heard[since:]
        return [one.data for one in found if (one.who, one.event) == (self.name, event)]


def _is_like(data: Any, like: dict[str, Any]) -> bool:
    if not like:
        return True
    if not isinstance(data, dict):
        return False
    if all(key in data and data[key] == value for key, value in like.items()):
        return True
    inside = [data.get(name) for name in ("message", "participant", "conversation", "user")]
    return any(isinstance(one, dict) and _is_like(one, like) for one in inside)


@asynccontextmanager
async def node() -> AsyncIterator[Node]:
    """A Node process while the block runs."""
    program = installed.node()
    assert program is not None
    process = await asyncio.create_subprocess_exec(
        program,
        str(DRIVER),
        cwd=installed.FOLDER,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_BYTES_MAX,
    )
    one = Node(process)
    listening = asyncio.create_task(one.listen())
    try:
        await one.until(lambda heard: heard.event == "ready", 0, WITHIN_S)
        yield one
    finally:
        process.kill()
        await process.wait()
        await asyncio.gather(listening, return_exceptions=True)
