"""The file store, on a disk and in a bucket: what is put in comes out, or an error does."""

from __future__ import annotations

import os
import sys
from asyncio import subprocess
from asyncio.subprocess import create_subprocess_exec as start
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiobotocore.session import get_session

from app.errors import Forbidden, NoRoom, Unavailable, Unsealable
from app.files import frames
from app.files.frames import FRAME_BYTES
from app.files.s3 import PART_BYTES, S3
from app.files.shelves import opened
from app.files.store import Files, Kept, new_key
from app.settings.media import MediaSettings, S3Settings
from app.vault import Vault
from tests.support.aws import standing_in

KEY = "a key of thirty-two characters ..."
BUCKET = "parley-media"
SIZES = (1, FRAME_BYTES - 1, FRAME_BYTES, FRAME_BYTES + 1, 3 * FRAME_BYTES, PART_BYTES + 12_345)


@pytest.fixture(scope="module")
async def aws() -> AsyncIterator[str]:
    """A bucket on loopback."""
    async with standing_in() as url:
        session = get_session()
        async with session.create_client("s3", region_name="us-east-1", endpoint_url=url) as s3:
            await s3.create_bucket(Bucket=BUCKET)
        yield url


@pytest.fixture(scope="module", autouse=True)
def credentials() -> None:
    os.environ |= {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"}


Made = Callable[[str], Files]


@pytest.fixture
def made(aws: str, tmp_path: Path) -> Made:
    def make(shelf: str) -> Files:
        s3 = S3Settings(bucket=BUCKET, prefix="media/", url=aws) if shelf == "s3" else None
        settings = MediaSettings(folder=str(tmp_path / "media"), free_bytes_min=0, s3=s3)
        return opened(Vault([KEY]), settings)

    return make


async def put(files: Files, data: bytes) -> Kept:
    async with files.draft(new_key()) as draft:
        for start_at in range(0, len(data), 100_000):
            await draft.write(data[start_at : start_at + 100_000])
        return await files.put(draft)


async def got(files: Files, kept: Kept, start_at: int = 0, end: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in files.read(kept, start_at, end)])


def left(folder: Path) -> list[Path]:
    return [one for one in folder.rglob("*") if one.is_file()]


@pytest.mark.parametrize("shelf", ["disk", "s3"])
@pytest.mark.parametrize("size", SIZES)
async def test_what_is_put_in_comes_out_whole_and_in_part(made: Made, shelf, size) -> None:
    files, data = made(shelf), os.urandom(size)
    kept = await put(files, data)
    assert (kept.size, kept.shelf) == (size, "disk" if shelf == "disk" else f"s3:{BUCKET}")
    assert await got(files, kept) == data
    for begins, ends in ((0, 1), (size - 1, size), (size // 3, size // 3 + size // 2 + 1)):
        ends = min(ends, size)
        assert await got(files, kept, begins, ends) == data[begins:ends]
    await files.remove(kept.key, kept.shelf)
    await files.remove(kept.key, kept.shelf)
    with pytest.raises(FileNotFoundError):
        await got(files, kept)
    assert files.folder is not None
    assert left(files.folder) == []
    await files.close()


async def test_what_lay_on_the_disk_is_read_when_new_files_go_to_a_bucket(made: Made) -> None:
    kept = await put(made("disk"), b"old")
    files = made("s3")
    assert await got(files, kept) == b"old"
    assert (await put(files, b"new")).shelf == f"s3:{BUCKET}"
    await files.close()


async def test_a_bucket_that_is_away_or_not_there_is_unavailable(aws: str, tmp_path: Path) -> None:
    for settings in (
        S3Settings(bucket=BUCKET, url="http://127.0.0.1:1"),
        S3Settings(bucket="no-such-bucket", url=aws),
    ):
        shelf = S3(settings)
        draft = tmp_path / "draft"
        draft.write_bytes(b"x")
        with pytest.raises(Unavailable):
            await shelf.put("k" * 32, draft)
        await shelf.close()


@pytest.mark.parametrize("what", ["changed", "cut", "exchanged", "swapped", "other key"])
async def test_what_was_tampered_with_is_not_given_out(made: Made, what: str) -> None:
    files, data = made("disk"), os.urandom(2 * FRAME_BYTES + 5)
    kept, other = await put(files, data), await put(files, data)
    assert files.folder is not None
    path, second = (files.folder / one.key[:2] / one.key for one in (kept, other))
    raw = bytearray(path.read_bytes())
    first, rest = raw[: frames.SEALED_BYTES], raw[frames.SEALED_BYTES :]
    if what == "changed":
        raw[-1] ^= 1
        path.write_bytes(raw)
    elif what == "cut":
        path.write_bytes(raw[: 2 * frames.SEALED_BYTES])
    elif what == "exchanged":
        path.write_bytes(rest[: frames.SEALED_BYTES] + first + rest[frames.SEALED_BYTES :])
    elif what == "swapped":
        path.write_bytes(second.read_bytes())
    else:
        files.vault = Vault([KEY + "x"])
    with pytest.raises(Unsealable):
        await got(files, kept)


async def test_a_key_that_takes_anothers_place_leaves_files_readable(made: Made) -> None:
    files = made("disk")
    kept = await put(files, b"old")
    files.vault = Vault([KEY + "new", KEY])
    assert await got(files, kept) == b"old"


@pytest.mark.parametrize("shelf", ["disk", "s3"])
async def test_a_file_is_sealed_anew_in_its_place_under_who_reads_it(made: Made, shelf) -> None:
    files, data = made(shelf), os.urandom(2 * FRAME_BYTES + 5)
    kept = await put(files, data)
    files.vault = Vault([KEY + "new", KEY])
    first, old = files.vault.keys
    assert await files.sealed_by(kept) == old
    reading = files.read(kept)
    begun = await anext(reading)
    async with files.sealing(kept) as draft:
        assert await files.sealed_by(kept) == old
        await files.replace(kept, draft)
    assert await files.sealed_by(kept) == first
    assert begun + b"".join([chunk async for chunk in reading]) == data
    files.vault = Vault([KEY + "new"])
    assert await got(files, kept) == data
    await files.close()


async def test_without_a_key_or_a_place_nothing_is_kept(made: Made) -> None:
    files = made("disk")
    files.vault = Vault()
    for one in (files, Files(Vault([KEY]))):
        with pytest.raises(Forbidden):
            await put(one, b"x")


async def test_a_draft_goes_with_what_broke_and_its_name_is_not_used(made: Made) -> None:
    files = made("disk")
    with pytest.raises(ZeroDivisionError):
        async with files.draft(new_key()) as draft:
            await draft.write(b"x" * 1_000_000)
            raise ZeroDivisionError
    assert files.folder is not None
    assert left(files.folder) == []


FULL = """
import asyncio, resource, sys
from pathlib import Path
from app.errors import NoRoom
from app.files.store import Files, new_key
from app.vault import Vault
import signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
async def main():
    files = Files.on_disk(Vault(["k" * 32]), Path(sys.argv[1]))
    try:
        async with files.draft(new_key()) as draft:
            for _ in range(20):
                await draft.write(b"x" * 100_000)
            await files.put(draft)
    except NoRoom as error:
        print(error)
asyncio.run(main())
"""

HALF = """
import asyncio, os, signal, sys
from pathlib import Path
from app.files.store import Files, new_key
from app.vault import Vault
async def main():
    files = Files.on_disk(Vault(["k" * 32]), Path(sys.argv[1]))
    async with files.draft(new_key()) as draft:
        await draft.write(b"x" * 1_000_000)
        print("half", flush=True)
        await asyncio.Event().wait()
asyncio.run(main())
"""


async def test_a_disk_that_fills_up_in_the_middle_is_said_and_nothing_stays(tmp_path: Path) -> None:
    child = await start(sys.executable, "-c", FULL, str(tmp_path), stdout=subprocess.PIPE)
    said, _ = await child.communicate()
    assert said.decode().strip() == "There is no room to store media"
    assert left(tmp_path) == []


async def test_what_a_killed_process_left_is_swept_and_what_a_living_one_writes_is_not(
    tmp_path: Path,
) -> None:
    files = Files.on_disk(Vault([KEY]), tmp_path)
    child = await start(sys.executable, "-c", HALF, str(tmp_path), stdout=subprocess.PIPE)
    assert child.stdout is not None
    assert await child.stdout.readline() == b"half\n"
    assert await files.sweep() == 0
    child.kill()
    await child.wait()
    assert len(left(tmp_path)) == 1
    assert await files.sweep() == 1
    assert left(tmp_path) == []


async def test_a_full_folder_takes_nothing_in(made: Made) -> None:
    files = made("disk")
    files.free_bytes_min = 2**60
    with pytest.raises(NoRoom):
        await put(files, b"x")
