"""What processes tell each other: names of what moved, and who types. NOTIFY carries no more than
that; each process reads what its own clients need.

Who has clients says so every few seconds. While nobody else does, nobody is told anything: a
process that is alone pays nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection

import orjson

from app.errors import Unavailable
from app.observe import Failed
from app.runtime import Runtime
from app.store.away import is_away

CHANNEL = "parley_moves"
HERE = "here"
COALESCE_S = 0.01
"""At most one NOTIFY in this time."""
PAYLOAD_BYTES_MAX = 7900
WAITING_MAX = 100_000
"""Names that may wait while the database is away; the poll of the others finds what is dropped."""
AGAIN_S = 0.5
HERE_S, SILENT_S = 4.0, 15.0
"""How often a process says that it has clients, and after what silence it has none."""

Typing = tuple[str, str, str]
"""A service, a conversation of it, and the identity that types there."""


class Wire:
    """Tells other processes, and hears them."""

    def __init__(
        self, runtime: Runtime, heard: Callable[[Collection[str], Collection[Typing]], None]
    ) -> None:
        self._runtime, self._heard = runtime, heard
        self._telling, self._hearing = runtime.db.hold(fleeting=True), runtime.db.hold()
        self._names: set[str] = set()
        self._typing: set[Typing] = set()
        self._asked = asyncio.Event()
        self._own_pid = 0
        self._others_at = runtime.clock.monotonic()  # there may be some: we have not heard yet
        self._here = False
        self._here_at = -HERE_S

    def tell(self, names: Collection[str]) -> None:
        """These moved."""
        if self._listened and len(self._names) < WAITING_MAX:
            self._names.update(names)
            self._asked.set()

    def types(self, service_sid: str, sid: str, identity: str) -> None:
        """Somebody types."""
        if self._listened and len(self._typing) < WAITING_MAX:
            self._typing.add((service_sid, sid, identity))
            self._asked.set()

    def here(self) -> None:
        """We have clients: say so, if that was not said just now."""
        now = self._runtime.clock.monotonic()
        if now - self._here_at >= HERE_S:
            self._here_at, self._here = now, True
            self._asked.set()

    @property
    def _listened(self) -> bool:
        """Whether another process has clients."""
        return self._runtime.clock.monotonic() - self._others_at < SILENT_S

    async def run(self) -> None:
        """Tell until cancelled."""
        try:
            while True:
                await self._asked.wait()
                self._asked.clear()
                names, self._names = self._names, set()
                typing, self._typing = self._typing, set()
                here, self._here = self._here, False
                try:
                    sql = await self._telling.live()
                    self._own_pid = sql.get_server_pid()
                    for payload in payloads(names, typing) + [HERE] * here:
                        await sql.execute("SELECT pg_notify($1, $2)", CHANNEL, payload)
                except Exception as error:  # whatever it is: the others poll meanwhile
                    self._report(error)
                    await self._runtime.clock.sleep(AGAIN_S)
                await self._runtime.clock.sleep(COALESCE_S)
        finally:
            await self._telling.close()

    async def listen(self) -> None:
        """Hear until cancelled."""
        try:
            while True:
                try:
                    sql = await self._hearing.live()
                    gone = asyncio.Event()
                    sql.add_termination_listener(lambda _connection, gone=gone: gone.set())
                    await sql.add_listener(CHANNEL, self._notified)
                    await gone.wait()
                except Exception as error:
                    self._report(error)
                    await self._runtime.clock.sleep(AGAIN_S)
        finally:
            await self._hearing.close()

    def _notified(self, _connection: object, pid: int, _channel: str, payload: object) -> None:
        if pid == self._own_pid:
            return  # we have heard that already
        if payload == HERE:
            self._others_at = self._runtime.clock.monotonic()
            return
        try:
            said = orjson.loads(str(payload))
            names = [str(name) for name in said["moved"]]
            typing = [(str(one[0]), str(one[1]), str(one[2])) for one in said["typing"]]
        except (orjson.JSONDecodeError, KeyError, TypeError, IndexError):
            return
        self._heard(names, typing)

    def _report(self, error: Exception) -> None:
        if not isinstance(error, Unavailable) and not is_away(error):
            self._runtime.observe(Failed("what processes tell each other", error))


def payloads(names: Collection[str], typing: Collection[Typing]) -> list[str]:
    """What is said, in pieces that fit."""
    pieces: list[str] = []
    some: list[str] = []
    size = 0
    for name in sorted(names):
        length = len(orjson.dumps(name)) + 1
        if some and size + length > PAYLOAD_BYTES_MAX - 200:
            pieces.append(orjson.dumps({"moved": some, "typing": []}).decode())
            some, size = [], 0
        some.append(name)
        size += length
    if some:
        pieces.append(orjson.dumps({"moved": some, "typing": []}).decode())
    pieces += [orjson.dumps({"moved": [], "typing": [one]}).decode() for one in sorted(typing)]
    return pieces
