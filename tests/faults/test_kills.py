"""The service is killed, again and again, while people write: nothing is lost, nothing doubled."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.faults.child import Child
from tests.faults.ground import Ground
from tests.faults.load import Load, storm
from tests.faults.town import LEASE_S, Town, town
from tests.faults.verdict import judge

pytestmark = pytest.mark.faults


async def strike(one: Town, load: Load, service: Child) -> None:
    """Kill a service at a moment that chance picks, sometimes before it is up, and restart it."""
    if one.random.random() < 0.8:
        await service.ready(one.http)
    await asyncio.sleep(one.random.uniform(0.05, 1.0))
    await load.burst()
    service.kill()
    service.start()


async def test_what_was_acknowledged_survives_kills_and_nothing_is_doubled(
    ground: Ground, tmp_path: Path, seed: int, kills: int
) -> None:
    async with town(ground, tmp_path, seed) as one:
        one.world.behave(inbound_double_share=0.3)
        async with storm(one) as load:
            for _ in range(kills):
                await strike(one, load, one.service)
        await judge(one, load)


async def test_two_services_on_one_database_and_one_of_them_is_killed(
    ground: Ground, tmp_path: Path, seed: int, kills: int
) -> None:
    async with town(ground, tmp_path, seed, services=2) as one:
        one.world.behave(inbound_double_share=0.3)
        async with storm(one) as load:
            for _ in range(kills):
                await strike(one, load, one.services[1])
        await judge(one, load)


async def test_a_service_that_freezes_for_longer_than_its_leases_does_no_harm(
    ground: Ground, tmp_path: Path, seed: int, kills: int
) -> None:
    """What it had in hand is another's when it wakes up; its own word counts no more."""
    async with town(ground, tmp_path, seed, services=2) as one:
        async with storm(one, per_s=30) as load:
            for _ in range(max(2, kills // 3)):
                await asyncio.sleep(one.random.uniform(0.3, 1.0))
                await load.burst()
                one.services[1].freeze()
                await asyncio.sleep(LEASE_S + one.random.uniform(0.2, 1.0))
                one.services[1].thaw()
        await judge(one, load)
