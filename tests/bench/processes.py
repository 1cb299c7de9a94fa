"""Processes of the bench: started, waited for, ended; and the processor time that they used."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

import psutil

ROOT = Path(__file__).parents[2]
START_S, FINISH_S, STOP_S = 60.0, 120.0, 20.0


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


async def finished(*command: str | Path) -> str:
    """What a command says on its standard output; it must succeed."""
    process = await asyncio.create_subprocess_exec(
        *command, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        said, _ = await asyncio.wait_for(process.communicate(), FINISH_S)
    except BaseException:
        process.kill()
        raise
    assert process.returncode == 0, f"{command[:4]} ended with {process.returncode}"
    return said.decode()


@asynccontextmanager
async def listening(
    port: int, log: Path, *command: str | Path, **environment: str
) -> AsyncIterator[psutil.Process]:
    """A process that listens on this port while the block runs; what it says goes to the log."""
    with log.open("ab") as said:
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=os.environ | environment, stdout=said, stderr=said
        )
    try:
        await _answers(process, port, log)
        yield psutil.Process(process.pid)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            process.kill()
            await process.wait()


async def _answers(process: asyncio.subprocess.Process, port: int, log: Path) -> None:
    deadline = monotonic() + START_S
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            assert process.returncode is None, f"it ended: {log.read_text()[-2000:]}"
            assert monotonic() < deadline, f"it does not answer: {log.read_text()[-2000:]}"
            await asyncio.sleep(0.05)
            continue
        writer.close()
        return


def used_s(process: psutil.Process) -> float:
    """Seconds of processor time of a process and all its children, those that ended too."""
    total = 0.0
    for one in (process, *process.children()):
        try:
            times = one.cpu_times()
        except psutil.NoSuchProcess:
            continue
        total += times.user + times.system
        if one is process:
            total += times.children_user + times.children_system
    return total


def resident_mib(process: psutil.Process) -> float:
    """Memory that a process has."""
    return float(process.memory_info().rss) / (1 << 20)
