"""Files of 150 MB through the real service, and a kill in the middle of one."""

from __future__ import annotations

import asyncio
import hashlib
from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import psutil
import pytest

from tests.faults.child import Child

pytestmark = pytest.mark.faults

ACCOUNT, TOKEN = "AC" + "a" * 32, "the-account-token"
WHOLE, CHUNK = 150 * 1_048_576, 262_144
GROWS_MAX = 48 * 1_048_576
"""By how much the process may grow; a file in memory would be three times that."""

CONFIG = """
account: {{sid: {account}, auth_token: {token}}}
server: {{port: {port}, drain_s: 2}}
secrets: {{key: "a key of thirty-two characters ..."}}
media: {{folder: {folder}, free_bytes_min: 0}}
ops: {{port: {ops_port}}}
"""


async def sent(count: int, pause: asyncio.Event | None = None) -> AsyncIterator[bytes]:
    """A file of so many chunks; with `pause`, half of it, and then nothing more."""
    for place in range(count):
        if pause is not None and place == count // 2:
            pause.set()
            await asyncio.Event().wait()
        yield place.to_bytes(4, "big") * (CHUNK // 4)


def files(folder: Path) -> list[Path]:
    return [one for one in folder.rglob("*") if one.is_file()]


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    login = b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
    async with aiohttp.ClientSession(headers={"Authorization": f"Basic {login}"}) as session:
        yield session


@pytest.fixture
async def child(dsn: str, tmp_path: Path, http: aiohttp.ClientSession) -> AsyncIterator[Child]:
    one = Child("media", tmp_path, dsn)
    one.config.write_text(
        CONFIG.format(
            account=ACCOUNT,
            token=TOKEN,
            port=one.port,
            ops_port=one.ops_port,
            folder=tmp_path / "media",
        )
    )
    one.start()
    await one.ready(http)
    try:
        yield one
    finally:
        one.close()


async def place(child: Child, http: aiohttp.ClientSession) -> str:
    async with http.get(f"{child.url}/v1/Services") as answer:
        [service] = (await answer.json())["services"]
    return f"{child.url}/v1/Services/{service['sid']}/Media"


async def test_memory_does_not_grow_with_a_file(child: Child, http: aiohttp.ClientSession) -> None:
    url, process = await place(child, http), psutil.Process(child.process.pid)
    before, most = process.memory_info().rss, 0
    done = asyncio.Event()

    async def watch() -> None:
        nonlocal most
        while not done.is_set():
            most = max(most, process.memory_info().rss)
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    kind = {"Content-Type": "application/octet-stream"}
    async with http.post(url, data=sent(WHOLE // CHUNK), headers=kind) as answer:
        made = await answer.json()
        assert (answer.status, made["size"]) == (201, WHOLE), made
    came, expected = hashlib.sha256(), hashlib.sha256()
    async with http.get(made["links"]["content_direct_temporary"]) as answer:
        async for chunk in answer.content.iter_chunked(CHUNK):
            came.update(chunk)
    async for chunk in sent(WHOLE // CHUNK):
        expected.update(chunk)
    done.set()
    await watching
    assert came.digest() == expected.digest()
    assert most - before < GROWS_MAX, (most - before) // 1_048_576


async def test_a_kill_in_the_middle_of_an_upload_leaves_nothing(
    child: Child, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    url, half = await place(child, http), asyncio.Event()

    async def upload() -> None:
        async with http.post(url, data=sent(80, half), headers={"Content-Type": "text/plain"}):
            pass

    uploading = asyncio.create_task(upload())
    await half.wait()
    while sum(one.stat().st_size for one in files(tmp_path / "media")) < 20 * CHUNK:
        await asyncio.sleep(0.02)
    child.kill()
    with pytest.raises(aiohttp.ClientError):
        await uploading
    assert len(files(tmp_path / "media")) == 1
    child.start()
    await child.ready(http)
    async with asyncio.timeout(60):
        while files(tmp_path / "media"):
            await asyncio.sleep(0.05)
