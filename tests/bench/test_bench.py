"""The bench is a command, not a test; this keeps it from rotting."""

from __future__ import annotations

import asyncio
import sys

import pytest

from tests.bench.processes import ROOT

COMMAND = (sys.executable, "-m", "tests.bench", "--quick", "--seconds", "0.3")
SMALLEST = {
    "hot": "one conversation : spread",
    "flows": "flows begun : webhooks told",
    "heard": "inbound -> messageAdded, 100 sockets: p99 ms",
}
"""The quickest figure of the roads, of what is told and answered, and of sockets."""


@pytest.mark.timeout(300)  # programs and databases of its own, beside other tests
async def test_the_bench_measures_its_smallest_figures() -> None:
    named = [word for name in SMALLEST for word in ("--only", name)]
    process = await asyncio.create_subprocess_exec(
        *COMMAND, *named, cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    said, complaints = await process.communicate()
    assert process.returncode == 0, complaints.decode()[-3000:]
    table = said.decode()
    assert [title for title in SMALLEST.values() if title not in table] == []
