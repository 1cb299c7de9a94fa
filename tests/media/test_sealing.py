"""Files are sealed anew when one secret key takes the place of another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from app.files.disk import Disk
from app.files.store import Files
from app.media import intake
from app.media.collection import collect
from app.media.sealing import Resealed, reseal
from app.observe import Said
from app.ops.jobs import Jobs
from app.store import media
from app.vault import Vault
from tests.api.conftest import VAULT_KEY, World, living
from tests.api.test_media import PDF, PNG, attach, conversation, get, kept, upload
from tests.support.clock import TurnedClock

NEW = "n" * 32
ONE_OF_SEVERAL = "1 files were sealed anew; files may still need the keys after the first"


@pytest.fixture
async def world(dsn: str) -> AsyncIterator[World]:
    """A world with a database of its own: it looks at every file that there is."""
    async with living(dsn) as made:
        yield made


class Watched(Disk):
    """A disk that says what it is about to do, and waits until it is let."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.about = {what: asyncio.Event() for what in ("put", "read", "remove")}
        self.may = {what: asyncio.Event() for what in self.about}

    async def put(self, key: str, draft: Path) -> None:
        await self._wait("put")
        await super().put(key, draft)

    async def read(self, key: str, offset: int, length: int) -> AsyncIterator[bytes]:
        await self._wait("read")
        async for chunk in super().read(key, offset, length):
            yield chunk

    async def remove(self, key: str) -> None:
        await self._wait("remove")
        await super().remove(key)

    async def _wait(self, what: str) -> None:
        self.about[what].set()
        await self.may[what].wait()


def watched(world: World) -> Watched:
    """Its files lie on such a disk from now on."""
    assert world.runtime.files.folder is not None
    shelf = Watched(world.runtime.files.folder)
    world.runtime.files.shelves = {"disk": shelf}
    return shelf


def later(world: World) -> None:
    """What is doomed now is due."""
    clock = TurnedClock(world.runtime.clock.now() + timedelta(seconds=media.COMING_S + 5))
    world.runtime.clock = world.runtime.db.clock = clock


def give(world: World, *keys: str) -> None:
    world.runtime.vault = world.runtime.files.vault = Vault(keys)


def content(made: dict[str, dict[str, str]]) -> str:
    return made["links"]["content_direct_temporary"]


async def noted(*_: object) -> bool:
    return True


def said_of(world: World) -> list[tuple[str, str]]:
    return [(one.level, one.detail) for one in world.observed if isinstance(one, Said)]


async def unmarked(world: World) -> None:
    """Its files came before it was written down which key seals them."""
    async with world.runtime.db.begin() as tx:
        await tx.sql.execute("UPDATE files SET sealed_by = ''")


async def doomed(world: World) -> int:
    async with world.runtime.db.read() as tx:
        return int(await tx.sql.fetchval("SELECT count(*) FROM doomed_files"))


async def test_afterwards_the_old_key_may_go(world: World) -> None:
    made = [await upload(world), await upload(world, PDF, "application/pdf")]
    assert await reseal(world.runtime, bool) == Resealed(), "with one key there is nothing to do"
    give(world, NEW, VAULT_KEY)
    assert await reseal(world.runtime, bool) == Resealed(done=2, free=True)
    assert await reseal(world.runtime, bool) == Resealed(free=True)
    assert await doomed(world) == 0
    give(world, NEW)
    for one, data in zip(made, (PNG, PDF), strict=True):
        _, shown = await world.call("GET", one["url"])
        assert (await get(world, content(shown)))[1] == data


async def test_the_log_says_how_far_it_is_and_what_is_missing(world: World) -> None:
    await upload(world)
    await upload(world, PDF, "application/pdf")

    async def heard() -> list[tuple[str, str]]:
        world.observed.clear()
        await Jobs(world.runtime, noted).reseal()
        return said_of(world)

    give(world, NEW, "x" * 32)
    [(level, said)] = await heard()
    assert level == "warning"
    assert Vault([VAULT_KEY]).keys[0] in said
    give(world, NEW, VAULT_KEY)
    [path, *_] = kept(world)
    raw = path.read_bytes()
    path.unlink()
    gone, done = await heard()
    assert gone == ("warning", "1 files could not be read, and so not be sealed anew")
    assert done == ("info", ONE_OF_SEVERAL)
    give(world, NEW)  # too early
    [(level, said)] = await heard()
    assert Vault([VAULT_KEY]).keys[0] in said
    give(world, NEW, VAULT_KEY)
    path.write_bytes(raw)
    [(level, said)] = await heard()
    assert said == "1 files were sealed anew; files no longer need the keys after the first"
    [(level, said)] = await heard()
    assert said == "files no longer need the keys after the first"
    give(world, NEW)
    assert await heard() == []


async def test_who_stops_in_the_middle_does_not_say_that_the_old_key_may_go(world: World) -> None:
    await upload(world)
    await upload(world, PDF, "application/pdf")
    give(world, NEW, VAULT_KEY)
    await unmarked(world)
    disk = watched(world)
    disk.may["put"].set()
    jobs = Jobs(world.runtime, noted)
    sealing = asyncio.create_task(jobs.reseal())
    await disk.about["read"].wait()
    await jobs.stop()
    disk.may["read"].set()
    await sealing
    [(_, said)] = said_of(world)
    assert said == ONE_OF_SEVERAL
    assert await reseal(world.runtime, lambda: True) == Resealed(stopped=True)
    assert await reseal(world.runtime, bool) == Resealed(done=1, free=True)


async def test_a_file_that_somebody_else_seals_keeps_the_old_key(world: World) -> None:
    await upload(world)
    await upload(world, PDF, "application/pdf")
    [path, *_] = kept(world)
    give(world, NEW, VAULT_KEY)
    await unmarked(world)
    async with world.runtime.files.draft(path.name):
        assert await reseal(world.runtime, bool) == Resealed(done=1)
    assert await reseal(world.runtime, bool) == Resealed(done=1, free=True)


async def test_what_comes_in_behind_who_looks_is_seen_at_the_end(world: World) -> None:
    """By a process that does not have the new key yet."""
    await upload(world)
    assert world.runtime.files.folder is not None
    vault = Vault([VAULT_KEY])
    files = Files.on_disk(vault, world.runtime.files.folder)
    older = replace(world.runtime, vault=vault, files=files)
    give(world, NEW, VAULT_KEY)
    disk = watched(world)
    disk.may["read"].set()
    sealing = asyncio.create_task(reseal(world.runtime, bool))
    await disk.about["put"].wait()
    async with intake.receiving(older) as incoming:
        await incoming.write(PDF)
        lies = await intake.put(older, incoming)
        async with older.db.begin() as tx:
            await intake.adopt(older, tx.sql, incoming, lies)
    disk.may["put"].set()
    assert await sealing == Resealed(done=1)
    assert await reseal(world.runtime, bool) == Resealed(done=1, free=True)


async def test_what_an_old_key_sealed_after_all_was_looked_at_is_missed(world: World) -> None:
    give(world, NEW)
    await upload(world)
    give(world, VAULT_KEY)
    await upload(world, PDF, "application/pdf")
    give(world, NEW)
    assert await reseal(world.runtime, bool) == Resealed(missing=[*Vault([VAULT_KEY]).keys])


async def test_what_is_deleted_while_it_is_sealed_anew_leaves_nothing(world: World) -> None:
    """Its file may be written once more after it was removed: that one goes an hour later, even if
    the process that wrote it dies."""
    made, parent = await upload(world), await conversation(world)
    _, message = await attach(world, parent, made["sid"])
    [file] = kept(world)
    written = file.read_bytes()
    async with world.runtime.db.begin() as tx:
        await media.risk(tx.sql, file.name, tx.now)
    await world.call("DELETE", message["url"])
    await collect(world.runtime)
    file.write_bytes(written)
    later(world)
    await collect(world.runtime)
    assert kept(world) == []
    assert await doomed(world) == 0


async def test_what_is_deleted_before_it_is_written_anew_is_not_written(world: World) -> None:
    """Its name is being removed, and would be forgotten."""
    made, parent = await upload(world), await conversation(world)
    _, message = await attach(world, parent, made["sid"])
    give(world, NEW, VAULT_KEY)
    disk = watched(world)
    sealing = asyncio.create_task(reseal(world.runtime, bool))
    await disk.about["read"].wait()
    await world.call("DELETE", message["url"])
    collecting = asyncio.create_task(collect(world.runtime))
    await disk.about["remove"].wait()
    disk.may["read"].set()
    putting = asyncio.create_task(disk.about["put"].wait())
    await asyncio.wait({sealing, putting}, return_when=asyncio.FIRST_COMPLETED)
    disk.may["remove"].set()
    await collecting
    disk.may["put"].set()
    assert (await sealing).unread == 0
    putting.cancel()
    later(world)
    await collect(world.runtime)
    assert kept(world) == []
    assert await doomed(world) == 0


async def test_what_is_deleted_before_it_is_looked_at_is_not_missed(world: World) -> None:
    made, parent = await upload(world), await conversation(world)
    _, message = await attach(world, parent, made["sid"])
    give(world, NEW, VAULT_KEY)
    disk = watched(world)
    disk.may["remove"].set()
    sealing = asyncio.create_task(reseal(world.runtime, bool))
    await disk.about["read"].wait()
    await world.call("DELETE", message["url"])
    await collect(world.runtime)
    disk.may["read"].set()
    assert (await sealing).unread == 0


async def test_who_dies_while_a_file_is_sealed_anew_loses_nothing(world: World) -> None:
    """The file is somebody's still: it is not removed, and the next one takes it up."""
    made, parent = await upload(world), await conversation(world)
    await attach(world, parent, made["sid"])
    [file] = kept(world)
    async with world.runtime.db.begin() as tx:
        await media.risk(tx.sql, file.name, tx.now)
    later(world)
    await collect(world.runtime)
    give(world, NEW, VAULT_KEY)
    assert await reseal(world.runtime, bool) == Resealed(done=1, free=True)
    assert await doomed(world) == 0
