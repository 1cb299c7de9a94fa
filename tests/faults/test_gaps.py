"""Webhooks that are lost, and kills while what they lost is taken in: it is there, once."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from tests.faults.ground import Ground
from tests.faults.load import Load, storm
from tests.faults.test_kills import strike
from tests.faults.town import SMS, Town, town
from tests.faults.verdict import judge
from tests.support.database import connected

pytestmark = pytest.mark.faults

HURRY = {"every_s": 1, "grace_s": 0.3, "overlap_s": 600}
WITHIN_S = 60.0
# A killed replica keeps its look for longer than a test may wait: time passes.
OVER = "UPDATE gap_looks SET leased_until = now() - interval '1 hour' WHERE lease IS NOT NULL"


async def recovered(one: Town, load: Load) -> None:
    """Wait until everything that phones wrote is in the ledger."""
    wanted, before = {text.external_id for text in load.texts}, time.monotonic()
    async with connected(one.dsn) as sql:
        await sql.execute(OVER)
        while True:
            rows = await sql.fetch("SELECT external_id FROM inbox WHERE message_sid IS NOT NULL")
            left = wanted - {row["external_id"] for row in rows}
            if not left:
                break
            late = time.monotonic() - before > WITHIN_S
            assert not late, one.story(f"{len(left)} messages were not recovered: {sorted(left)}")
            await asyncio.sleep(0.1)
    await one.quiet()


async def test_what_webhooks_lost_is_recovered_once_whoever_is_killed_meanwhile(
    ground: Ground, tmp_path: Path, seed: int, kills: int
) -> None:
    async with town(ground, tmp_path, seed, services=2, reconcile=HURRY) as one:
        one.world.behave(inbound_lost_share=0.3, inbound_double_share=0.3)
        async with storm(one, per_s=40) as load:
            for _ in range(kills):
                async with connected(one.dsn) as sql:
                    await sql.execute(OVER)
                await strike(one, load, one.services[one.random.randrange(2)])
        assert one.world.counts["lost"]
        await recovered(one, load)
        await judge(one, load)
        async with connected(one.dsn) as sql:
            marked = await sql.fetchval("SELECT count(*) FROM decisions WHERE recovered")
            left = await sql.fetchval("SELECT count(*) FROM gap_finds")
        assert marked >= one.world.counts["lost"], one.story(f"{marked} are marked")
        assert left == 0


LISTED = "SELECT count(*) FROM gap_finds"
WAITS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


async def test_a_kill_in_the_middle_of_a_recovery_loses_and_doubles_nothing(
    ground: Ground, tmp_path: Path, seed: int
) -> None:
    async with town(ground, tmp_path, seed, reconcile=HURRY) as one:
        load = Load(one)
        await load.set_up()
        load.text("+15552000001", SMS[1])
        await one.quiet()
        one.world.behave(inbound_lost_share=1.0)
        for _ in range(30):
            load.text("+15552000001", SMS[1])
        async with connected(one.dsn) as sql:
            async with sql.transaction():
                await sql.execute("SELECT FROM conversations FOR UPDATE")
                async with connected(one.dsn) as other, asyncio.timeout(WITHIN_S):
                    while not (await other.fetchval(LISTED) and await other.fetchval(WAITS)):
                        await asyncio.sleep(0.02)
                one.service.kill()
            assert await sql.fetchval(LISTED) == 30
        one.service.start()
        await one.ready()
        await recovered(one, load)
        await judge(one, load)
        async with connected(one.dsn) as sql:
            rows = await sql.fetch(
                "SELECT m.body FROM messages m JOIN decisions d ON d.message_sid = m.sid"
                " WHERE d.recovered ORDER BY m.index"
            )
        assert [row["body"] for row in rows] == [text.body for text in load.texts[1:]]
