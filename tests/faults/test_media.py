"""Files of 150 MB through the real service, and a kill in the middle of one."""

from __future__ import annotations

import asyncio
import hashlib
import resource
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import psutil
import pytest
from aiohttp import web

from tests.faults.child import Child
from tests.support.database import connected
from tests.support.serving import serving

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
egress: {{open: ["127.0.0.1"]}}
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


@asynccontextmanager
async def steady(process: psutil.Process) -> AsyncIterator[None]:
    """Its memory stays as large as it was while the block runs."""
    before, most = process.memory_info().rss, 0
    done = asyncio.Event()

    async def watch() -> None:
        nonlocal most
        while not done.is_set():
            most = max(most, process.memory_info().rss)
            await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        done.set()
        await watching
    assert most - before < GROWS_MAX, (most - before) // 1_048_576


async def digest(chunks: AsyncIterator[bytes]) -> bytes:
    read = hashlib.sha256()
    async for chunk in chunks:
        read.update(chunk)
    return read.digest()


async def test_memory_does_not_grow_with_a_file(child: Child, http: aiohttp.ClientSession) -> None:
    url, expected = await place(child, http), await digest(sent(WHOLE // CHUNK))
    kind = {"Content-Type": "application/octet-stream"}
    async with steady(psutil.Process(child.process.pid)):
        async with http.post(url, data=sent(WHOLE // CHUNK), headers=kind) as answer:
            made = await answer.json()
            assert (answer.status, made.get("size")) == (201, WHOLE), made
        async with http.get(made["links"]["content_direct_temporary"]) as answer:
            assert await digest(answer.content.iter_chunked(CHUNK)) == expected


async def test_memory_does_not_grow_with_a_file_that_is_fetched_or_lies_about_its_size(
    child: Child, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    async def answered(request: web.Request) -> web.StreamResponse:
        """The whole file; or, without a word about its size, one without an end."""
        endless = request.path == "/endless"
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
        await response.prepare(request)
        while True:
            async for chunk in sent(WHOLE // CHUNK):
                await response.write(chunk)
            if not endless:
                return response

    app = web.Application()
    app.router.add_get("/{name}", answered)
    url, expected = await place(child, http), await digest(sent(WHOLE // CHUNK))
    async with serving(app) as files_url, steady(psutil.Process(child.process.pid)):
        async with http.post(url, data={"MediaUrl": f"{files_url}/whole"}) as answer:
            made = await answer.json()
            assert (answer.status, made.get("size")) == (201, WHOLE), made
        async with http.get(made["links"]["content_direct_temporary"]) as answer:
            assert await digest(answer.content.iter_chunked(CHUNK)) == expected
        async with http.post(url, data={"MediaUrl": f"{files_url}/endless"}) as answer:
            said = await answer.json()
            assert answer.status == 400, said
            assert "more than the 157286400 bytes that we take" in said["message"]
        assert len(files(tmp_path / "media")) == 1


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="this system has no prlimit")
async def test_a_disk_that_fills_up_in_the_middle_is_a_503_and_nothing_stays(
    child: Child, http: aiohttp.ClientSession, tmp_path: Path, dsn: str
) -> None:
    """No file of the process may grow further: to it, the disk is full."""
    url, kind = await place(child, http), {"Content-Type": "application/octet-stream"}
    before = resource.prlimit(child.process.pid, resource.RLIMIT_FSIZE, (8 * CHUNK, -1))
    async with http.post(url, data=sent(40), headers=kind) as answer:
        said = await answer.json()
        assert (answer.status, answer.headers["Retry-After"]) == (503, "60"), said
        assert said["message"] == "There is no room to store media"
    assert files(tmp_path / "media") == []
    async with connected(dsn) as sql:
        assert await sql.fetchval("SELECT count(*) FROM media") == 0
    resource.prlimit(child.process.pid, resource.RLIMIT_FSIZE, before)
    async with http.post(url, data=sent(40), headers=kind) as answer:
        assert (answer.status, (await answer.json())["size"]) == (201, 40 * CHUNK)


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
