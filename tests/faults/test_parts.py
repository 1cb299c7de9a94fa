"""The service is killed while texts go in several pieces: none is lost, doubled or out of place."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.faults.ground import Ground
from tests.faults.load import storm
from tests.faults.town import town
from tests.faults.verdict import judge

pytestmark = pytest.mark.faults

LONG = " and so on" * 400
"""On WhatsApp one message, by SMS three."""


async def test_the_pieces_of_a_text_survive_kills_between_them(
    ground: Ground, tmp_path: Path, seed: int, kills: int
) -> None:
    relaxed = {"profile": "relaxed", "session": "carrier"}
    async with town(ground, tmp_path, seed, limits=relaxed) as one:
        one.world.behave(cut="after", cut_share=0.1, latency_s=0.02)
        async with storm(one, per_s=20, more=LONG) as load:
            for _ in range(max(2, kills // 2)):
                await one.service.ready(one.http)
                await asyncio.sleep(one.random.uniform(0.2, 1.2))
                one.service.kill()
                one.service.start()
        await judge(one, load)
        assert one.world.counts["cut_after"] > 0
