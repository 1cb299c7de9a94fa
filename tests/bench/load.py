"""The load: connections that post signed forms as fast as they are answered, in a process of its
own (`python -m tests.bench.load SPEC`). Raw sockets and no client library: it shares the processors
with what it measures, and never pushes that off one of them.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
from dataclasses import asdict, dataclass
from functools import partial
from time import perf_counter, time_ns
from typing import cast
from urllib.parse import quote_plus

from app.carriers.signature import HEADER, compute
from tests.bench import town
from tests.bench.processes import finished
from tests.bench.table import percentile

BODY = "Is the bicycle still for sale?"
WARM_S = 0.5
"""Answers in this time at the start are not counted."""
AHEAD_PER_S = 8000
"""Requests that are made before the time begins: to sign them would take a fifth of a processor
from what is measured."""


@dataclass(frozen=True)
class Spec:
    """What to post: to the conversations numbered below `conversations`, or, for this share, from
    somebody new; for `seconds` after the warm-up."""

    port: int
    connections: int
    seconds: float
    conversations: int
    fresh_share: float = 0.1


@dataclass(frozen=True)
class Report:
    """How it went. Latencies are from the write of a request to its whole answer."""

    acks: int
    refused: int
    per_s: float
    p50_ms: float
    p99_ms: float


async def run(spec: Spec) -> Report:
    """Load in a process of its own."""
    told = await finished(sys.executable, "-m", "tests.bench.load", json.dumps(asdict(spec)))
    report = Report(**json.loads(told))
    assert report.acks and not report.refused, report
    return report


class Writer:
    """Makes requests, most of them ahead of time: only the sender, the id and the signature
    differ."""

    def __init__(self, spec: Spec) -> None:
        self._spec = spec
        self._url = f"http://127.0.0.1:{spec.port}{town.INBOUND}"
        self._fresh = time_ns() // 1_000_000
        self._made = 0
        self._form = town.SAME | {"Body": BODY}
        self._same = "".join(f"&{name}={quote_plus(value)}" for name, value in self._form.items())
        self._head = (
            f"POST {town.INBOUND} HTTP/1.1\r\nHost: 127.0.0.1:{spec.port}\r\n"
            f"Content-Type: application/x-www-form-urlencoded\r\n"
        )
        ahead = round(AHEAD_PER_S * (WARM_S + spec.seconds))
        self._ahead = [self._request() for _ in range(ahead)]

    def request(self) -> bytes:
        """The next request."""
        return self._ahead.pop() if self._ahead else self._request()

    def _request(self) -> bytes:
        self._made += 1
        sid = f"SM{random.getrandbits(128):032x}"  # as carriers draw them: anywhere in an index
        if random.random() < self._spec.fresh_share:
            sender = town.address(town.STRANGER, self._fresh + self._made)
        else:
            sender = town.address(town.CUSTOMER, random.randrange(self._spec.conversations))
        form = self._form | {"From": sender, "MessageSid": sid, "SmsSid": sid}
        signature = compute(self._url, form.items(), town.CARRIER_TOKEN)
        body = f"From=%2B{sender[1:]}&MessageSid={sid}&SmsSid={sid}{self._same}"
        head = f"{self._head}{HEADER}: {signature}\r\nContent-Length: {len(body)}\r\n\r\n"
        return f"{head}{body}".encode()


class Connection(asyncio.Protocol):
    """One connection: writes, waits for the whole answer, writes again until the time is up."""

    def __init__(self, writer: Writer, starts: float, ends: float) -> None:
        self._writer, self._starts, self._ends = writer, starts, ends
        self._heard = b""
        self.latencies: list[float] = []
        self.acks = self.refused = 0
        self.done = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not of that class
        self._next()

    def data_received(self, data: bytes) -> None:
        self._heard += data
        head, found, body = self._heard.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
        if not found or len(body) < length:
            return
        now = perf_counter()
        self.acks += 1
        self.refused += not head.startswith(b"HTTP/1.1 200")
        if self._starts <= now < self._ends:
            self.latencies.append(now - self._sent)
        self._heard = b""
        self._next()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.refused += 1
            self.done.set_result(None)

    def _next(self) -> None:
        if perf_counter() >= self._ends:
            self.done.set_result(None)
            self._transport.close()
            return
        request = self._writer.request()
        self._sent = perf_counter()
        self._transport.write(request)


async def post(spec: Spec) -> Report:
    """Post from here."""
    loop, writer = asyncio.get_running_loop(), Writer(spec)
    starts = perf_counter() + WARM_S
    connections = [
        Connection(writer, starts, starts + spec.seconds) for _ in range(spec.connections)
    ]
    for connection in connections:
        await loop.create_connection(partial(_same, connection), "127.0.0.1", spec.port)
    await asyncio.gather(*(connection.done for connection in connections))
    latencies = [taken for connection in connections for taken in connection.latencies]
    return Report(
        acks=sum(connection.acks for connection in connections),
        refused=sum(connection.refused for connection in connections),
        per_s=len(latencies) / spec.seconds,
        p50_ms=percentile(latencies, 0.5) * 1000,
        p99_ms=percentile(latencies, 0.99) * 1000,
    )


def _same(connection: Connection) -> Connection:
    return connection


def step_back() -> None:
    """Wait for a processor where others run. Woken by an answer, this would interrupt who gives the
    next one, once for nearly each; clients on machines of their own never do. pgbench, which is the
    other side, was tried so too: it is no faster."""
    if hasattr(os, "SCHED_BATCH"):  # Linux
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))


if __name__ == "__main__":
    import uvloop

    step_back()
    print(json.dumps(asdict(uvloop.run(post(Spec(**json.loads(sys.argv[1])))))))
