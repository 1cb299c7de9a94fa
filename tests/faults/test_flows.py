"""Killed while flows talk with people: each is answered, in order, and nothing is said twice."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.faults.child import ROOT
from tests.faults.ground import Ground
from tests.faults.town import LEASE_S, SMS, Town, rows, town

pytestmark = pytest.mark.faults

FLOW = "FW" + "b" * 32
LINE = SMS[1]
HI = "Hi, do you like bots?"
ANSWERS = (("yes", "🤖"), ("no", "👽"), ("perhaps", "👻"))
PEOPLE = 24
POLL_S, ANSWERED_S = 0.05, 60.0

SAID = """
SELECT m.conversation_sid, array_agg(m.body ORDER BY m.index) AS bodies
FROM messages m GROUP BY m.conversation_sid
"""
RAN = "SELECT conversation_sid, status, reason FROM executions"


async def talk(one: Town, number: int) -> tuple[str, str, str]:
    """Somebody talks with the flow to its end; gives what was said, and what they got."""
    phone = one.world.phone(f"+1555600{number:04d}")
    reply, answer = ANSWERS[number % len(ANSWERS)]
    await asyncio.sleep(one.random.uniform(0, 2.0))
    assert (await phone.text(LINE, "hello")).acknowledged
    await heard(one, number, 1)
    assert (await phone.text(LINE, reply)).acknowledged
    await heard(one, number, 2)
    return phone.address, reply, answer


async def heard(one: Town, number: int, count: int) -> None:
    """Wait until this phone has got so many texts."""
    phone = one.world.phone(f"+1555600{number:04d}")
    async with asyncio.timeout(ANSWERED_S):
        while len(phone.received) < count:
            await asyncio.sleep(POLL_S)


@asynccontextmanager
async def talking(ground: Ground, folder: Path, seed: int) -> AsyncIterator[Town]:
    """Two services whose number hands everybody to the flow; people talk while the block runs, and
    everything is judged when they have ended."""
    shutil.copy(ROOT / "config" / "flows" / "bots.json", folder / "bots.json")
    rule = {"type": "studio", "studio_flow_sid": FLOW}
    sections = {
        "flows": {FLOW: {"file": "bots.json"}},
        "addresses": [{"address": LINE, "auto_creation": rule}],
    }
    async with town(ground, folder, seed, services=2, **sections) as one:
        async with asyncio.TaskGroup() as group:
            talks = [group.create_task(talk(one, number)) for number in range(PEOPLE)]
            yield one
        await one.quiet()
        await judge(one, [task.result() for task in talks])


async def test_kills_while_flows_talk(
    ground: Ground, tmp_path: Path, seed: int, kills: int
) -> None:
    async with talking(ground, tmp_path, seed) as one:
        for _ in range(kills):
            service = one.services[one.random.randrange(2)]
            await service.ready(one.http)
            await asyncio.sleep(one.random.uniform(0.1, 0.8))
            service.kill()
            service.start()


async def test_a_service_that_freezes_says_nothing_that_another_has_said(
    ground: Ground, tmp_path: Path, seed: int, kills: int
) -> None:
    async with talking(ground, tmp_path, seed) as one:
        for _ in range(max(2, kills // 3)):
            await asyncio.sleep(one.random.uniform(0.2, 0.8))
            one.services[1].freeze()
            await asyncio.sleep(LEASE_S + one.random.uniform(0.2, 1.0))
            one.services[1].thaw()


async def judge(one: Town, talked: list[tuple[str, str, str]]) -> None:
    """Everybody got the question and their answer, once, in this order; conversations say the same,
    and each has one execution, which has ended."""
    for number, _, answer in talked:
        received = [text.body for text in one.world.phone(number).received]
        assert received == [HI, answer], one.story(f"{number} got {received}")
    said = {tuple(row["bodies"]) for row in await rows(one.dsn, SAID)}
    assert said == {("hello", HI, reply, answer) for _, reply, answer in talked}, said
    ran = await rows(one.dsn, RAN)
    assert len({row["conversation_sid"] for row in ran}) == len(ran) == len(talked)
    assert {(row["status"], row["reason"]) for row in ran} == {("ended", "completed")}
