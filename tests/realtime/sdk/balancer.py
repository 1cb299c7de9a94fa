"""One port in front of several processes, as a load balancer has it, and the network before it."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import count

CHUNK_BYTES = 65_536


class Balancer:
    """Takes connections (by TLS, if it has that) and gives each to the next process that takes it.
    `cut` breaks those there are; while it is `down` it takes none."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.ports: Sequence[int] = ()
        self._turns = count()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self.down = False
        self.served: Counter[int] = Counter()

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def origin(self) -> str:
        """Host and port, without a scheme."""
        return f"127.0.0.1:{self.port}"

    def cut(self) -> None:
        """Break every connection, without a word."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def open(self) -> None:
        """Take connections from now on."""
        self._server = await asyncio.start_server(self._taken, "127.0.0.1", 0, ssl=self._tls)

    async def close(self) -> None:
        """Take none any more, and break those there are."""
        assert self._server is not None
        self._server.close()
        self.cut()
        await self._server.wait_closed()

    async def _taken(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError):
            behind = None if self.down else await self._next()
            if behind is None:
                writer.transport.abort()
                return
            their_reader, their_writer = behind
            both = (writer, their_writer)
            self._writers.update(both)
            try:
                await asyncio.gather(_carry(reader, their_writer), _carry(their_reader, writer))
            finally:
                self._writers.difference_update(both)
                for one in both:
                    one.transport.abort()

    async def _next(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        for _ in self.ports:
            port = self.ports[next(self._turns) % len(self.ports)]
            with suppress(OSError):
                behind = await asyncio.open_connection("127.0.0.1", port)
                self.served[port] += 1
                return behind
        return None


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(CHUNK_BYTES):
            writer.write(chunk)
            await writer.drain()
    with suppress(OSError, RuntimeError):
        if writer.can_write_eof():
            writer.write_eof()
        else:
            writer.close()  # TLS knows no half of an end


@asynccontextmanager
async def balancer(tls: ssl.SSLContext | None = None) -> AsyncIterator[Balancer]:
    """One, while the block runs; what is behind it is said later. With `tls` it ends that."""
    one = Balancer(tls)
    await one.open()
    try:
        yield one
    finally:
        await one.close()
