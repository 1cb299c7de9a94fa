"""One socket: who is there, and what is under way.

Everything that goes out is written to the transport at once and never waited for; a client that
does not read is given up when too much waits for it, so that it holds nobody else up. It comes
back, and asks for what it missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import orjson
from aiohttp import web

from app import ids
from app.clock import Clock
from app.realtime import frames
from app.realtime.reading import Person
from app.realtime.subscribing import Subscriber
from app.rules.access_tokens import Grant

ROOM_SHARE = 4
"""Requests are not answered while a fourth of that waits."""
ROOM_S = 0.02
HEARD_S = 0.005
IN_FLIGHT_MAX = 16
OFFLOAD, EXPIRED, REVOKED = 308, 410, 401
WORDS: Mapping[int, str] = {OFFLOAD: "OFFLOAD", EXPIRED: "TOKEN_EXPIRED", REVOKED: "UNAUTHORIZED"}
AGAIN_MS = 2000
GIVEN_UP_S = 10.0
"""How long somebody who is let go may still read what waits."""


class Session:
    """A socket whose token was good."""

    def __init__(
        self,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport,
        clock: Clock,
        send_bytes_max: int,
    ) -> None:
        self._socket, self._transport, self._clock = socket, transport, clock
        self._send_bytes_max = send_bytes_max
        self.slots = asyncio.Semaphore(IN_FLIGHT_MAX)
        self.gone = False
        self.warned = False
        self._person: Person | None = None
        self.subscriber: Subscriber | None = None
        self.id = ids.token()
        self._pushed = self._acknowledged = 0

    @property
    def known(self) -> bool:
        """Whether a token was good on this socket."""
        return self._person is not None

    @property
    def person(self) -> Person:
        """Who is there."""
        assert self._person is not None
        return self._person

    @property
    def grant(self) -> Grant:
        """What their token grants."""
        return self.person.grant

    @property
    def identity(self) -> str:
        """Their identity."""
        return self.grant.identity

    def enter(self, person: Person) -> None:
        """Somebody is there, or is there with a new token."""
        self._person, self.warned = person, False

    def reply(self, frame_id: str, header: Mapping[str, Any], payload: bytes = b"") -> None:
        """Answer a frame."""
        head = {"method": "reply", "id": frame_id, **header}
        self._write(frames.message(frames.pack(head, payload)))

    def refuse(
        self,
        frame_id: str,
        status: int,
        word: str,
        message: str,
        code: int,
        hint: Any = None,
    ) -> None:
        """Refuse to let somebody in; 401 is for good, anything else is tried again."""
        said = {"code": status, "status": word, "errorCode": code, "description": message}
        payload = b"" if hint is None else orjson.dumps(hint)
        self.reply(frame_id, {"status": said}, payload)

    async def finish(self, seconds: float) -> None:
        """Wait until what is under way is answered, at most so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                for _ in range(IN_FLIGHT_MAX):
                    await self.slots.acquire()

    def send(self, header: Mapping[str, Any], body: Any = None) -> None:
        """Send a frame of our own; clients acknowledge it."""
        payload = b"" if body is None else orjson.dumps(body)
        head = {"id": "TM" + ids.token(), **header}
        self.push(frames.message(frames.pack(head, payload)))

    def push(self, frame: bytes) -> None:
        """Write one WebSocket message that the client acknowledges; never waits."""
        self._pushed += 1
        self._write(frame)

    def acknowledged(self) -> None:
        """The client has read the next of what was pushed to it."""
        self._acknowledged += 1

    async def heard(self, seconds: float) -> None:
        """Wait until the client has read what was pushed to it so far, at most so long."""
        wanted, until = self._pushed, self._clock.monotonic() + seconds
        while self._acknowledged < wanted and not self.gone:
            if self._clock.monotonic() >= until:
                return
            await self._clock.sleep(HEARD_S)

    def _write(self, frame: bytes) -> None:
        if self.gone or self._transport.is_closing():
            return
        self._transport.write(frame)
        if self._waiting > self._send_bytes_max:
            self.give_up()

    def give_up(self) -> None:
        """Close: this client cannot follow. It is told when to come back, if it ever reads that."""
        if self.gone or self._transport.is_closing():
            return
        self.gone = True
        self._transport.write(frames.message(_close(OFFLOAD, AGAIN_MS)))
        self._transport.close()
        asyncio.get_running_loop().call_later(GIVEN_UP_S, self._transport.abort)

    @property
    def _waiting(self) -> int:
        """What was not read yet, in bytes."""
        return self._transport.get_write_buffer_size()

    async def room(self) -> None:
        """Wait until the client has read enough to be answered more."""
        while not self.gone and self._waiting > self._send_bytes_max // ROOM_SHARE:
            if self._transport.is_closing():
                return
            await self._clock.sleep(ROOM_S)

    def dismiss(self, code: int, reconnect_ms: int | None = None) -> None:
        """Tell the client to go (and when to come back)."""
        self.push(frames.message(_close(code, reconnect_ms)))

    async def close(self, code: int = 1000) -> None:
        """Close the socket."""
        self.gone = True
        await self._socket.close(code=code)

    def leave(self) -> None:
        """The socket is closed."""
        self.gone = True
        if self.subscriber is not None:
            self.subscriber.leave()


def _close(code: int, reconnect_ms: int | None) -> bytes:
    """The frame that tells a client to go (and when to come back)."""
    header = {
        "method": "close",
        "id": "TM" + ids.token(),
        "status": {"code": code, "status": WORDS[code]},
    }
    if reconnect_ms is None:
        return frames.pack(header)
    hint = {"backoff_policy": {"reconnect_min_ms": reconnect_ms}}
    return frames.pack(header, orjson.dumps(hint))
