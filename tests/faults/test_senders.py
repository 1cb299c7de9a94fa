"""Killed while carriers fail and others take over, while senders are told to send less, and while
messages wait for a quiet hour's end: nothing is lost, doubled or out of order."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.clock import Clock
from tests.faults.ground import Ground
from tests.faults.load import pairs, storm
from tests.faults.test_kills import strike
from tests.faults.town import SMS, WHATSAPP, Town, rows, town
from tests.faults.verdict import judge

pytestmark = pytest.mark.faults

AWAY = {"refuse": "temporary", "code": 20503}
TOO_MANY = {"refuse": "temporary", "code": 20429, "retry_after_s": 0.3}
WITHIN_S = 40.0
PAUSES = "SELECT FROM carrier_pauses"
RESUMED = "SELECT WHERE NOT EXISTS (SELECT FROM carrier_pauses)"
TOLD_TO_WAIT = "SELECT FROM attempts WHERE detail LIKE '% told the sender to wait'"
HELD = "SELECT conversation_sid FROM bindings WHERE proxy_address = $1"
CHANGED = "SELECT FROM receipts WHERE carrier = 'spare'"


def both(usual: dict[str, Any]) -> dict[str, Any]:
    """The World is reached by two carriers."""
    return {"lab": usual["carriers"]["lab"], "spare": usual["carriers"]["lab"]}


def covered(usual: dict[str, Any]) -> list[dict[str, Any]]:
    """Each sender has the second one to fall back on."""
    return [{**sender, "fallback_carrier": "spare"} for sender in usual["senders"]]


def hasty(usual: dict[str, Any]) -> dict[str, Any]:
    """A carrier is paused soon, and not for long."""
    return {**usual["delivery"], "pause_after": 3, "pauses_s": [0.3]}


async def seen(one: Town, question: str, else_: str) -> None:
    """Wait, while everybody writes on, until the database has rows of this."""
    before = time.monotonic()
    while not await rows(one.dsn, question):
        assert time.monotonic() - before < WITHIN_S, one.story(else_)
        await asyncio.sleep(0.05)


async def test_kills_while_carriers_fail_and_take_over_from_each_other(
    ground: Ground, tmp_path: Path, seed: int, kills: int
) -> None:
    made = {"carriers": both, "senders": covered, "delivery": hasty}
    async with town(ground, tmp_path, seed, services=2, **made) as one:
        async with storm(one, per_s=40) as load:
            for number in range(kills):
                share = (0.5, 0.9)[number % 2]
                one.world.behave(**AWAY, refuse_share=share)
                await strike(one, load, one.services[one.random.randrange(2)])
            await seen(one, CHANGED, "nobody took over")
            one.world.behave(refuse=None)
        await judge(one, load)


async def test_a_pause_outlives_kills(
    ground: Ground, tmp_path: Path, seed: int, kills: int
) -> None:
    """Everything is refused, for longer than the processes live."""
    async with town(ground, tmp_path, seed, services=2, delivery=hasty) as one:
        async with storm(one, per_s=40) as load:
            one.world.behave(**AWAY)
            for _ in range(max(2, kills // 2)):
                await strike(one, load, one.services[one.random.randrange(2)])
            await seen(one, PAUSES, "the carrier is not paused")
            one.world.behave(refuse=None)
            await seen(one, RESUMED, "the carrier is paused")
        await judge(one, load)


def by_channel(usual: dict[str, Any]) -> list[dict[str, Any]]:
    """Each sender has a pace of its own on its channel, which the load goes beyond at times."""
    channels = {True: "whatsapp", False: "sms"}
    return [
        {**sender, "rates": {channels[sender["address"].startswith("whatsapp:")]: "30/s"}}
        for sender in usual["senders"]
    ]


async def test_kills_while_senders_keep_their_paces(
    ground: Ground, tmp_path: Path, seed: int, kills: int
) -> None:
    async with town(ground, tmp_path, seed, services=2, senders=by_channel) as one:
        async with storm(one, per_s=40) as load:
            load.text(*pairs()[-1])
            async with asyncio.timeout(10):
                while not (held := await rows(one.dsn, HELD, WHATSAPP)):
                    await asyncio.sleep(0.02)
            assert await load.post(one.services[0], held[0][0]) == 201
            for _ in range(max(2, kills // 2)):
                await strike(one, load, one.services[one.random.randrange(2)])
        await judge(one, load)
        kept = await rows(one.dsn, "SELECT DISTINCT country FROM sender_paces ORDER BY country")
        assert [row["country"] for row in kept] == ["sms", "whatsapp"]


async def test_kills_while_senders_are_told_to_send_less(
    ground: Ground, tmp_path: Path, seed: int, kills: int
) -> None:
    """Who waits is in memory only: whoever comes next is told again."""
    async with town(ground, tmp_path, seed, services=2) as one:
        async with storm(one, per_s=40) as load:
            for _ in range(max(2, kills // 2)):
                one.world.behave(**TOO_MANY, refuse_share=0.2)
                await strike(one, load, one.services[one.random.randrange(2)])
            await seen(one, TOLD_TO_WAIT, "nobody waited for what another was told")
            one.world.behave(refuse=None)
        await judge(one, load)


def night() -> tuple[datetime, dict[str, Any]]:
    """A quiet hour that ends with a minute, in 10 to 70 seconds."""
    now = Clock().now()
    end = (now + timedelta(seconds=70)).replace(second=0, microsecond=0)
    hours = {"start": f"{now - timedelta(hours=1):%H:%M}", "end": f"{end:%H:%M}"}
    return end, {**hours, "time_zone": "UTC"}


@pytest.mark.timeout(240)
async def test_what_waits_for_the_end_of_a_quiet_hour_outlives_kills(
    ground: Ground, tmp_path: Path, seed: int
) -> None:
    end, hours = night()

    def quiet(usual: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            {**sender, "quiet_hours": [hours]} if sender["address"] == SMS[1] else sender
            for sender in usual["senders"]
        ]

    async with town(ground, tmp_path, seed, senders=quiet) as one:
        async with storm(one, per_s=8) as load:
            while Clock().now() < end:
                await strike(one, load, one.service)
        await judge(one, load)
        early = [taken for taken in sent(one, SMS[1]) if taken < end]
        assert not early, one.story(f"{len(early)} came before {end}")
        assert sent(one, SMS[1]), one.story("nothing was sent")


def sent(one: Town, sender: str) -> list[datetime]:
    """When what came from this sender was taken."""
    return [
        received.taken_at.astimezone(UTC)
        for received in one.world.records.taken()
        if received.sender == sender
    ]
