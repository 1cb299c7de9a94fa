"""A machine without Node runs all other tests, and says which it left out."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


async def test_without_node_the_sdk_s_tests_are_skipped_with_a_word(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-q", "-rs", "-m", "sdk", "-p", "no:cacheprovider"),
        "tests/realtime/sdk",
        cwd=ROOT,
        env={**os.environ, "PATH": str(tmp_path)},
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    told = out.decode()
    assert process.returncode == 0, told
    assert "Node is not installed" in told
    assert " skipped" in told
    assert not any(word in told for word in ("passed", "failed", "error"))
