"""The real service as a process of its own, so that it can be killed like one."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import aiohttp

ROOT = Path(__file__).parents[2]
POLL_S = 0.02
READY_S = 30.0


class Child:
    """One `python -m app serve` on ports that it keeps through every restart."""

    def __init__(self, name: str, folder: Path, dsn: str) -> None:
        self.name = name
        self.config = folder / f"{name}.yaml"
        self.log = folder / f"{name}.log"
        self.starts = 0
        self._dsn = dsn
        self._port, self._ops_port = _reserved(), _reserved()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def port(self) -> int:
        return int(self._port.getsockname()[1])

    @property
    def ops_port(self) -> int:
        return int(self._ops_port.getsockname()[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None, f"{self.name} was never started"
        return self._process

    def start(self) -> None:
        """Start it; it answers when `ready` returns."""
        self.starts += 1
        environment = {**os.environ, "PARLEY_DATABASE_URL": self._dsn, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, "-m", "app", "serve", "--config", str(self.config)]
        with self.log.open("ab") as log:
            log.write(f"--- start {self.starts}\n".encode())
            log.flush()
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=log
            )

    def kill(self) -> None:
        """SIGKILL: no word to anybody."""
        self.process.kill()
        self.process.wait()
        with self.log.open("ab") as log:
            log.write(b"--- killed\n")

    def freeze(self) -> None:
        """SIGSTOP: as when the machine under it is moved, or swaps."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT: it goes on and does not know that time has passed."""
        self.process.send_signal(signal.SIGCONT)

    def terminate(self) -> None:
        """SIGTERM."""
        self.process.send_signal(signal.SIGTERM)

    async def ended(self, within_s: float) -> int:
        """Its exit status, once it ended by itself. Raises AssertionError when it stays."""
        before = time.monotonic()
        while self.process.poll() is None:
            late = time.monotonic() - before > within_s
            assert not late, f"{self.name} is still there after {within_s} s\n{self.tail()}"
            await asyncio.sleep(POLL_S)
        return self.process.returncode

    async def ready(self, http: aiohttp.ClientSession) -> None:
        """Wait until /readyz says 200."""
        await self.until_readiness(http, 200)

    async def until_readiness(
        self, http: aiohttp.ClientSession, status: int, within_s: float = READY_S
    ) -> None:
        """Wait until /readyz gives this status; a dead process never will."""
        before, last = time.monotonic(), "nothing yet"
        while last != str(status):
            assert self.process.poll() is None, f"{self.name} ended\n{self.tail()}"
            late = time.monotonic() - before > within_s
            assert not late, f"/readyz of {self.name}: {last}, wanted {status}\n{self.tail()}"
            last = await self._readiness(http)
            if last != str(status):
                await asyncio.sleep(POLL_S)

    async def _readiness(self, http: aiohttp.ClientSession) -> str:
        try:
            async with http.get(f"http://127.0.0.1:{self.ops_port}/readyz") as response:
                await response.read()
                return str(response.status)
        except (aiohttp.ClientError, OSError) as error:
            return type(error).__name__

    def tail(self, lines: int = 25) -> str:
        """The end of its log."""
        if not self.log.exists():
            return f"{self.name} has no log"
        text = self.log.read_text(errors="replace").splitlines()
        loud = [line for line in text if '"level":"info"' not in line]
        said = [f"... log of {self.name}, warnings and errors:", *loud[-lines:], "... its end:"]
        return "\n".join([*said, *text[-lines:]])

    def close(self) -> None:
        """End it, whatever it does."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        self._port.close()
        self._ops_port.close()


def _reserved() -> socket.socket:
    """A free port. Bound and never listening: nobody else is given it while the service is dead."""
    port = socket.socket()
    port.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    port.bind(("127.0.0.1", 0))
    return port
