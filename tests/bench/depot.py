"""A server that keeps files and gives them back, and does nothing else: what media are measured
against (`python -m tests.bench.depot PORT`). Nothing is sealed, checked or remembered."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path

import uvloop
from aiohttp import web

CHUNK_BYTES = 65_536


class Depot:
    """Files by their number, in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._count = folder, 0

    async def put(self, request: web.Request) -> web.Response:
        """Write a file, off the loop, as it comes."""
        self._count += 1
        name = str(self._count)
        with (self._folder / name).open("wb") as file:
            async for chunk in request.content.iter_chunked(CHUNK_BYTES * 4):
                await asyncio.to_thread(file.write, chunk)
        return web.Response(text=name, status=201)

    async def get(self, request: web.Request) -> web.StreamResponse:
        """Read it, in chunks."""
        response = web.StreamResponse()
        await response.prepare(request)
        with (self._folder / request.match_info["name"]).open("rb") as file:
            while chunk := await asyncio.to_thread(file.read, CHUNK_BYTES * 4):
                await response.write(chunk)
        return response


async def main(port: int) -> None:
    """Serve until killed."""
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder:
        depot = Depot(Path(folder))
        app = web.Application(client_max_size=2**31)
        app.add_routes([web.post("/", depot.put), web.get("/{name}", depot.get)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
