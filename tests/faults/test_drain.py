"""SIGTERM: what is in flight is finished or given back, and the process ends in time with 0."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.faults.ground import Ground
from tests.faults.load import Load, storm
from tests.faults.town import DRAIN_S, Town, town
from tests.faults.verdict import judge
from tests.support.database import connected

pytestmark = pytest.mark.faults

SLACK_S = 3.0
"""What a busy machine may add to a deadline."""
POSTS = 12


async def drained(one: Town, within_s: float = DRAIN_S + SLACK_S) -> None:
    """SIGTERM, and a clean end in time: exit status 0, no lane left leased."""
    one.service.terminate()
    status = await one.service.ended(within_s)
    assert status == 0, one.story(f"exit status {status}")
    left = await one.left()
    assert left["leased"] == 0, one.story(f"leases are left: {left}")


async def test_a_drain_under_load_loses_nothing_and_leaves_no_lease(
    ground: Ground, tmp_path: Path, seed: int
) -> None:
    async with town(ground, tmp_path, seed) as one:
        async with storm(one) as load:
            for _ in range(3):
                await one.ready()
                await asyncio.sleep(one.random.uniform(0.3, 1.0))
                await drained(one)
                one.service.start()
        await judge(one, load)


async def test_requests_in_flight_are_answered_by_a_service_that_drains(
    ground: Ground, tmp_path: Path, seed: int
) -> None:
    async with town(ground, tmp_path, seed) as one:
        load = Load(one)
        await load.set_up()
        async with (
            asyncio.TaskGroup() as group,
            connected(one.dsn) as sql,
            sql.transaction(),
        ):
            await sql.execute("SELECT FROM conversations FOR UPDATE")
            posts = _many(one, load, group)
            await _all_wait(one)
            one.service.terminate()
            await _closed(one)
            assert not any(post.done() for post in posts)
        assert [post.result() for post in posts] == [201] * POSTS
        assert await one.service.ended(DRAIN_S + SLACK_S) == 0
        assert (await one.left())["leased"] == 0
        one.service.start()
        await one.ready()
        await one.quiet()
        await judge(one, load)


async def test_what_a_slow_customer_holds_is_given_back_at_the_deadline(
    ground: Ground, tmp_path: Path, seed: int
) -> None:
    slow = {"waits_s": [0.1] * 100, "timeout_s": 30}
    async with town(ground, tmp_path, seed, hooks=slow, drain_s=0.5) as one:
        one.customer.turn("hangs")
        load = Load(one)
        for number in range(POSTS):
            load.text(f"+1555200{number:04d}", "+15005550007")
        async with asyncio.timeout(10):
            while one.customer.hanging < POSTS:
                await asyncio.sleep(0.02)
        one.service.terminate()
        await one.service.until_readiness(one.http, 503)
        assert await one.service.ended(0.5 + SLACK_S) == 0
        assert (await one.left())["leased"] == 0
        one.customer.turn("well")
        one.service.start()
        await one.ready()
        await one.quiet()
        await judge(one, load)


async def test_a_second_sigterm_ends_it_at_once(ground: Ground, tmp_path: Path, seed: int) -> None:
    slow = {"waits_s": [0.1] * 100, "timeout_s": 30, "lease_s": 1}
    async with town(ground, tmp_path, seed, hooks=slow) as one:
        one.customer.turn("hangs")
        load = Load(one)
        load.text("+15552000001", "+15005550007")
        async with asyncio.timeout(10):
            while not one.customer.hanging:
                await asyncio.sleep(0.02)
        one.service.terminate()
        await one.service.until_readiness(one.http, 503)
        before = time.monotonic()
        one.service.terminate()
        assert await one.service.ended(SLACK_S) == 1
        assert time.monotonic() - before < DRAIN_S / 2


async def test_the_deadline_is_one_for_everything_that_is_in_flight(
    ground: Ground, tmp_path: Path, seed: int
) -> None:
    """A customer that hangs and a road that stands still do not add up."""
    slow = {"waits_s": [0.1] * 100, "timeout_s": 30}
    async with town(ground, tmp_path, seed, hooks=slow, drain_s=2.0) as one:
        load = Load(one)
        await load.set_up()
        one.customer.turn("hangs")
        load.text("+15552009999", "+15005550007")
        async with asyncio.timeout(10):
            while not one.customer.hanging:
                await asyncio.sleep(0.02)
        async with asyncio.TaskGroup() as group:
            async with connected(one.dsn) as sql, sql.transaction():
                await sql.execute("SELECT FROM conversations FOR UPDATE")
                _many(one, load, group)
                await _all_wait(one)
                one.service.terminate()
                status = await one.service.ended(2.0 + SLACK_S)
            one.customer.turn("well")
            one.service.start()
        assert status == 0
        await one.ready()
        await one.quiet()
        await judge(one, load)


def _many(one: Town, load: Load, group: asyncio.TaskGroup) -> list[asyncio.Task[int]]:
    """Agents post and phones write, all at once."""
    for number in range(POSTS):
        load.text(f"+1555200{number:04d}", "+15005550007")
    places = [load.groups[n % len(load.groups)] for n in range(POSTS)]
    return [group.create_task(load.post(one.service, sid)) for sid in places]


async def _all_wait(one: Town) -> None:
    """Wait until the road stands still at our lock, with everybody behind it."""
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
    async with connected(one.dsn) as sql, asyncio.timeout(10):
        while not await sql.fetchval(waits):
            await asyncio.sleep(0.02)
    await one.ready()  # by the time it answers this it has read what was sent before


async def _closed(one: Town) -> None:
    """Wait until the service takes no new connections."""
    async with asyncio.timeout(10):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", one.service.port)
            except (ConnectionRefusedError, ConnectionResetError):
                return
            writer.close()
            await asyncio.sleep(0.02)
