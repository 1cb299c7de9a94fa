"""Clients of the SDK, in Node or in a browser, and what they hear."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

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
class Clients:
    """Where clients run. Everything that they hear is kept, in order; `write` sends a request to
    the driver there."""

    write: Callable[[dict[str, Any]], Awaitable[None]]
    heard: list[Heard] = field(default_factory=list)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _asked: dict[int, asyncio.Future[Any]] = field(default_factory=dict)
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def take(self, said: dict[str, Any]) -> None:
        """The driver says this."""
        if "id" in said:
            self._answered(said)
            return
        self.heard.append(Heard(said["who"], said["event"], said["data"]))
        news, self._news = self._news, asyncio.Event()
        news.set()

    def end(self) -> None:
        """The driver has ended."""
        for asked in self._asked.values():
            if not asked.done():
                asked.set_exception(ConnectionError("the driver has ended"))

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
        number = next(self._numbers)
        asked = self._asked[number] = asyncio.get_running_loop().create_future()
        await self.write({"id": number, "who": who, "code": code, "args": args})
        async with asyncio.timeout(within_s):
            return await asked

    async def until(self, wanted: Callable[[Heard], bool], since: int, within_s: float) -> Heard:
        """The first event beyond `since` that is wanted, once it is there."""
        async with asyncio.timeout(within_s):
            while True:
                news = self._news
                for one in self.heard[since:]:
                    if wanted(one):
                        return one
                since = len(self.heard)
                await news.wait()

    async def ready(self) -> None:
        """Wait until the driver is there."""
        await self.until(lambda one: one.event == "ready", 0, WITHIN_S)

    def unhandled(self, since: int = 0) -> list[Any]:
        """Promises that the SDK left alone for another reason than a lost socket."""
        left = [one.data for one in self.heard[since:] if one.event == "unhandled"]
        return [one for one in left if not any(word in one["message"] for word in QUIET)]


@dataclass
class Person:
    """One identity's client."""

    clients: Clients
    name: str
    identity: str

    async def open(self, token: str, uri: str | None, **options: Any) -> None:
        """Make the client; it connects by itself. No `uri`: it has no option but these."""
        args = {"token": token, "uri": uri, "options": options}
        await self.clients.ask(self.name, "open", **args)

    async def run(self, code: str, within_s: float = WITHIN_S, /, **args: Any) -> Any:
        """Run JavaScript with `client`. Raises SdkError."""
        return await self.clients.ask(self.name, code, within_s, **args)

    async def saw(
        self, event: str, within_s: float = WITHIN_S, /, since: int = 0, **like: Any
    ) -> Any:
        """The data of the first event of this name (since a `mark`) that has these members (of
        itself, or of the object that it is about); waits for it."""

        def wanted(one: Heard) -> bool:
            return one.who == self.name and one.event == event and _is_like(one.data, like)

        try:
            return (await self.clients.until(wanted, since, within_s)).data
        except TimeoutError:
            there = "\n".join(f"{one.event} {one.data}"[:300] for one in self.heard[-40:])
            raise AssertionError(f"{self.name} saw no {event} {like}; but:\n{there}") from None

    async def turns(self, state: str, since: int = 0) -> None:
        """Wait until the client says that its connection is in this state."""
        turned = (self.name, "connectionStateChanged", state)
        await self.clients.until(
            lambda one: (one.who, one.event, one.data) == turned, since, WITHIN_S
        )

    @property
    def mark(self) -> int:
        """The place of what is heard next."""
        return len(self.clients.heard)

    @property
    def heard(self) -> list[Heard]:
        """What this client has heard."""
        return [one for one in self.clients.heard if one.who == self.name]

    def all(self, event: str, since: int = 0) -> list[Any]:
        """The data of every event of this name."""
        found = self.clients.heard[since:]
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


Drive = Callable[[], AbstractAsyncContextManager[Clients]]
"""Makes clients possible for as long as a block runs."""
