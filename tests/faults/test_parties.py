"""Slow and hostile parties: a rude customer, a World that cuts, doubles and reorders."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from app.carriers.sandbox_behaviour import Behaviour
from tests.faults.ground import Ground
from tests.faults.load import storm
from tests.faults.rude import MOODS
from tests.faults.town import town
from tests.faults.verdict import judge

pytestmark = pytest.mark.faults

MOOD_S = 1.2
"""Longer than a webhook waits for its answer."""

ROUGH: tuple[dict[str, Any], ...] = (
    {"cut": "before", "cut_share": 0.5},
    {"cut": "after", "cut_share": 0.5},
    {"refuse": "temporary", "refuse_share": 0.5},
    {"latency_s": 0.9},
)
UNORDERLY = {
    "status_double_share": 0.5,
    "status_reorder_share": 0.5,
    "inbound_double_share": 0.5,
    "status_gap_s": 0.02,
}


async def test_a_customer_that_hangs_resets_and_answers_garbage_misses_nothing(
    ground: Ground, tmp_path: Path, seed: int
) -> None:
    async with town(ground, tmp_path, seed) as one:
        async with storm(one) as load:
            for mood in one.random.sample(MOODS, len(MOODS)):
                one.customer.turn(mood)
                await asyncio.sleep(MOOD_S)
                one.customer.turn("well")
                await asyncio.sleep(0.3)
        await judge(one, load)


async def test_a_world_that_cuts_doubles_and_reorders_gets_everything_once(
    ground: Ground, tmp_path: Path, seed: int
) -> None:
    async with town(ground, tmp_path, seed) as one:
        async with storm(one) as load:
            for rough in one.random.sample(ROUGH, len(ROUGH)):
                one.world.behave(**{**Behaviour().model_dump(), **UNORDERLY, **rough})
                await asyncio.sleep(MOOD_S)
            one.world.behave(**{**Behaviour().model_dump(), **UNORDERLY})
        await judge(one, load)


async def test_a_kill_while_everybody_is_hostile(
    ground: Ground, tmp_path: Path, seed: int, kills: int
) -> None:
    async with town(ground, tmp_path, seed) as one:
        async with storm(one) as load:
            for number in range(max(2, kills // 2)):
                await one.service.ready(one.http)
                one.customer.turn(one.random.choice(MOODS))
                one.world.behave(**{**Behaviour().model_dump(), **UNORDERLY, **ROUGH[number % 4]})
                await asyncio.sleep(one.random.uniform(0.2, 1.5))
                one.service.kill()
                one.service.start()
            one.customer.turn("well")
            one.world.behave(**Behaviour().model_dump())
        await judge(one, load)
