"""The bench is a command, not a test; this keeps it from rotting."""

from __future__ import annotations

import asyncio
import sys

from tests.bench.processes import ROOT

COMMAND = (sys.executable, "-m", "tests.bench", "--quick", "--seconds", "0.3", "--only", "hot")


async def test_the_bench_measures_its_smallest_figure() -> None:
    process = await asyncio.create_subprocess_exec(
        *COMMAND, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, complaints = await process.communicate()
    assert process.returncode == 0, complaints.decode()[-3000:]
    table = said.decode()
    assert "one conversation : spread" in table
