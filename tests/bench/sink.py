"""A sink for deliveries and webhooks, as a process (`python -m tests.bench.sink PORT`): it takes
every POST at once; a GET tells how many came, and when the first and the last of them."""

from __future__ import annotations

import asyncio
import json
import sys
from time import monotonic
from typing import cast

import uvloop

HEAD = "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: "


class Count:
    """What came since the last GET."""

    def __init__(self) -> None:
        self.taken, self.first, self.last = 0, 0.0, 0.0

    def take(self) -> None:
        """One more."""
        self.last = monotonic()
        self.first = self.first or self.last
        self.taken += 1

    def told(self) -> str:
        """The count as JSON; it begins anew."""
        said = json.dumps([self.taken, self.first, self.last])
        self.taken, self.first, self.last = 0, 0.0, 0.0
        return said


class Taking(asyncio.Protocol):
    """One connection, kept alive."""

    def __init__(self, count: Count) -> None:
        self._count = count
        self._heard = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is not of that class

    def data_received(self, data: bytes) -> None:
        self._heard += data
        while True:
            head, found, rest = self._heard.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0] or 0)
            if not found or len(rest) < length:
                return
            self._heard = rest[length:]
            self._answer(head.startswith(b"GET"))

    def _answer(self, asks: bool) -> None:
        count = self._count
        if asks:
            said = count.told()
        else:
            count.take()
            said = f'{{"id":"SM{count.last:.6f}-{count.taken}"}}'
        self._transport.write(f"{HEAD}{len(said)}\r\n\r\n{said}".encode())


async def serve(port: int) -> None:
    """Serve until terminated."""
    count = Count()
    server = await asyncio.get_running_loop().create_server(
        lambda: Taking(count), "127.0.0.1", port
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
