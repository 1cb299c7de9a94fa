"""Outgoing HTTP to URLs that users give: one guarded client.

The check is made on the address that a socket is about to connect to, so no spelling of a host
(decimal or octal IPv4, IPv4 inside IPv6, a name that changes its answer) gets around it
(`app/settings/targets.py` says which are closed). No redirects, no proxy from the environment, no
cookies. What each part of a call took is written down (`Timing`).
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from app.settings.models import EgressSettings
from app.settings.targets import Targets, unwrapped

ANSWER_BYTES_MAX = 65_536


class Refused(OSError):
    """The target's address must not be called; the text says which setting would open it."""

    def __init__(self, text: str) -> None:
        super().__init__(errno.EACCES, text)


class Guard:
    """Which addresses may be connected to."""

    def __init__(self, settings: EgressSettings) -> None:
        self._targets = Targets(settings.private, settings.open)

    def check(self, address: str, host: str = "") -> None:
        """Raises Refused for an address that is closed. `host` is the name that led there."""
        tier = self._targets.closed(address, host)
        if tier == "private":
            ip = unwrapped(address)
            raise Refused(f"{ip} is a private address: set egress.private or egress.open")
        if tier == "forbidden":
            ip = unwrapped(address)
            raise Refused(f"{ip} is a forbidden address: only an entry in egress.open opens it")

    def socket(self, info: Any) -> socket.socket:
        """A socket for this address, if it may be connected to."""
        family, kind, proto, _, target = info
        self.check(target[0], _host.get())
        made = socket.socket(family=family, type=kind, proto=proto)
        made.setblocking(False)
        return made


_host: ContextVar[str] = ContextVar("host", default="")
"""The host of the URL that the present task calls; a host opened by name opens its addresses."""


@dataclass(slots=True)
class Timing:
    """When the parts of one call ended, in seconds of the loop's time; None: there was no such
    part. A connection that was there already has no name looked up, no connect and no TLS."""

    began: float
    named: float | None = None
    connected: float | None = None
    secured: float | None = None
    answered: float | None = None

    def millis(self) -> dict[str, int]:
        """What each part took: dns, connect, tls, first_byte (from the connection on), and the
        whole until now: total."""
        parts: dict[str, int] = {}
        before = self.began
        for name in PARTS:
            at = getattr(self, PARTS[name])
            if at is not None:
                parts[name] = max(0, round((at - before) * 1000))
                before = at
        return parts | {"total": round((_now() - self.began) * 1000)}


PARTS = {"dns": "named", "connect": "connected", "tls": "secured", "first_byte": "answered"}

_timing: ContextVar[Timing | None] = ContextVar("timing", default=None)
"""The call of the present task, when it is timed."""


def start_timing() -> Timing:
    """Time the next call of the present task."""
    timing = Timing(_now())
    _timing.set(timing)
    return timing


def client(
    settings: EgressSettings,
    *,
    limit: int,
    resolver: AbstractResolver | None = None,
    tls: ssl.SSLContext | None = None,
) -> aiohttp.ClientSession:
    """The guarded client; at most `limit` connections at once. Call it through `call`. `resolver`
    and `tls` stand in for the system's names and trusted roots."""
    connector = aiohttp.TCPConnector(
        limit=limit,
        socket_factory=Guard(settings).socket,
        ttl_dns_cache=10,
        resolver=resolver,
        ssl=tls or trusting(),
    )
    return aiohttp.ClientSession(
        connector=connector,
        trace_configs=[_traces()],
        trust_env=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": "Parley/1.0"},
    )


@asynccontextmanager
async def call(
    client: aiohttp.ClientSession,
    method: str,
    url: str,
    *,
    timeout_s: float,
    connect_s: float | None = None,
    read_s: float | None = None,
    **request: Any,
) -> AsyncIterator[aiohttp.ClientResponse]:
    """One request to a URL that a user gave, under a total deadline (and, when they are given, one
    to connect and one between two packets), without redirects.

    Raises aiohttp.ClientError, TimeoutError or ValueError (not a URL that can be called).
    """
    mark = _host.set((urlsplit(url).hostname or "").lower())
    try:
        async with client.request(
            method,
            URL(url, encoded=True),
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(
                total=timeout_s, sock_connect=connect_s, sock_read=read_s
            ),
            **request,
        ) as response:
            yield response
    finally:
        _host.reset(mark)


async def read(response: aiohttp.ClientResponse, bytes_max: int = ANSWER_BYTES_MAX) -> bytes:
    """The answer's body, cut at `bytes_max`."""
    parts: list[bytes] = []
    room = bytes_max
    async for chunk in response.content.iter_any():
        parts.append(chunk[:room])
        room -= len(chunk)
        if room <= 0:
            response.close()
            break
    return b"".join(parts)


def trusting(roots: str | None = None) -> ssl.SSLContext:
    """What a TLS connection is checked by: these roots (a PEM file), else the system's."""
    context = _TimedTls(ssl.PROTOCOL_TLS_CLIENT)
    if roots is None:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        context.load_verify_locations(roots)
    context.set_alpn_protocols(("http/1.1",))
    return context


class _TimedTls(ssl.SSLContext):
    """The handshake begins when the connection is there: nobody else says when that is."""

    def wrap_bio(self, *args: Any, **more: Any) -> ssl.SSLObject:
        timing = _timing.get()
        if timing is not None:
            timing.connected = _now()
        return super().wrap_bio(*args, **more)


def _traces() -> aiohttp.TraceConfig:
    """Notes when each part of a timed call ends."""

    async def named(*_: Any) -> None:
        if (timing := _timing.get()) is not None:
            timing.named = _now()

    async def connected(*_: Any) -> None:
        if (timing := _timing.get()) is not None:
            if timing.connected is None:
                timing.connected = _now()
            else:
                timing.secured = _now()

    async def answered(*_: Any) -> None:
        if (timing := _timing.get()) is not None:
            timing.answered = _now()

    async def reused(*_: Any) -> None:
        if (timing := _timing.get()) is not None:
            timing.named = timing.connected = timing.secured = None

    traces = aiohttp.TraceConfig()
    traces.on_dns_resolvehost_end.append(named)
    traces.on_connection_create_end.append(connected)
    traces.on_connection_reuseconn.append(reused)
    traces.on_request_end.append(answered)
    return traces


def _now() -> float:
    return asyncio.get_running_loop().time()
