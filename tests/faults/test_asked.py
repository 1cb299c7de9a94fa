"""Killed while a customer decides on every inbound, and a consumer reads the event stream: nothing
is lost, doubled or out of order, and no event is missed."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.faults.ground import Ground
from tests.faults.load import storm
from tests.faults.rude import BEFORE, MOODS
from tests.faults.stream import followed, streamed
from tests.faults.test_kills import strike
from tests.faults.town import STREAMS, town
from tests.faults.verdict import judge
from tests.support.settings import POST_EVENTS

pytestmark = pytest.mark.faults

ASKED = ("onConversationAdd", "onMessageAdd")


def moods() -> Iterator[str]:
    """A customer who is well every other time."""
    for number in count():
        yield "well" if number % 2 else MOODS[number // 2 % len(MOODS)]


async def test_kills_while_a_customer_decides_and_somebody_follows(
    ground: Ground, tmp_path: Path, seed: int, kills: int
) -> None:
    sections = {
        "webhooks": {"pre_timeout_ms": 300, "filters": [*POST_EVENTS, *ASKED]},
        "streams": STREAMS,
    }
    async with town(ground, tmp_path, seed, services=2, **sections) as one:
        await followed(one)
        one.world.behave(inbound_double_share=0.3)
        async with storm(one, per_s=40) as load:
            for _, mood in zip(range(kills), moods(), strict=False):
                one.customer.turn(mood)
                await strike(one, load, one.services[one.random.randrange(2)])
            one.customer.turn("well")
        await judge(one, load)
        await streamed(one)
        assert {hook.form["EventType"] for hook in one.customer.asked} == set(ASKED)
        assert all(hook.signed and hook.path == BEFORE for hook in one.customer.asked)
