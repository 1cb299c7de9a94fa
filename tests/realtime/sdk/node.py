"""A Node process with clients of the SDK."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.realtime.sdk import installed
from tests.realtime.sdk.clients import Clients

DRIVER = Path(__file__).with_name("driver-node.js")
LINE_BYTES_MAX = 32 << 20


@asynccontextmanager
async def node(*options: str, **environment: str) -> AsyncIterator[Clients]:
    """A Node process while the block runs, with these options and this much more environment."""
    program = installed.node()
    assert program is not None
    process = await asyncio.create_subprocess_exec(
        *(program, *options, str(DRIVER)),
        cwd=installed.FOLDER,
        env={**os.environ, **environment},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=LINE_BYTES_MAX,
    )

    async def write(request: Mapping[str, Any]) -> None:
        assert process.stdin is not None
        process.stdin.write(json.dumps(request).encode() + b"\n")

    clients = Clients(write)
    listening = asyncio.create_task(_listen(process, clients))
    try:
        await clients.ready()
        yield clients
    finally:
        process.kill()
        await process.wait()
        await asyncio.gather(listening, return_exceptions=True)


async def _listen(process: asyncio.subprocess.Process, clients: Clients) -> None:
    """Read what the process says, to its end."""
    assert process.stdout is not None
    while line := await process.stdout.readline():
        clients.take(json.loads(line))
    clients.end()
