"""PostgreSQL is restarted and killed under load: the service waits, and goes on by itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.faults.ground import Ground
from tests.faults.load import storm
from tests.faults.stream import followed, streamed
from tests.faults.town import STREAMS, Town, town
from tests.faults.verdict import judge

pytestmark = pytest.mark.faults

TIMES = 2


async def take_away(one: Town, *, politely: bool) -> None:
    """Take PostgreSQL away until every service says that it is not ready, and bring it back."""
    if politely:
        await one.ground.shut()
    else:
        one.ground.crash()
    for service in one.services:
        await service.until_readiness(one.http, 503)
    await asyncio.sleep(one.random.uniform(0, 0.5))
    await one.ground.back()
    await one.ready()


@pytest.mark.parametrize("politely", [True, False], ids=["restarted", "killed"])
async def test_the_service_outlives_its_database(
    ground: Ground, tmp_path: Path, seed: int, kills: int, politely: bool
) -> None:
    async with town(ground, tmp_path, seed, streams=STREAMS) as one:
        await followed(one)
        async with storm(one) as load:
            for _ in range(max(TIMES, kills // 3)):
                await asyncio.sleep(one.random.uniform(0.5, 1.5))
                await load.burst()
                await take_away(one, politely=politely)
        await judge(one, load)
        await streamed(one)
        assert one.service.starts == 1, "it recovers by itself"


async def test_a_blink_of_the_database_is_only_a_wait(
    ground: Ground, tmp_path: Path, seed: int, kills: int
) -> None:
    """Down and up again at once, many times: connections break in the middle of everything."""
    async with town(ground, tmp_path, seed) as one:
        async with storm(one) as load:
            for number in range(2 * kills):
                await asyncio.sleep(one.random.uniform(0.1, 0.5))
                await load.burst()
                await blink(one, number % 4)
        await judge(one, load)
        assert one.service.starts == 1


async def blink(one: Town, how: int) -> None:
    """One connection ends, or all: by a wound, a restart, a crash."""
    if how == 0:
        await one.ground.cut(one.dsn, one.random)
    elif how == 1:
        await one.ground.wound(one.dsn, one.random)
    elif how == 2:
        await one.ground.shut()
        await one.ground.back()
    else:
        one.ground.crash()
        await one.ground.back()
