"""The database stalls for longer than a carrier waits: it is told to come again, in time, and what
it brings again is there once; also where the service is killed meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from app.carriers.sandbox_calls import LOST
from tests.faults.ground import Ground
from tests.faults.load import Load, storm
from tests.faults.town import Town, town
from tests.faults.verdict import judge
from tests.support.database import connected

pytestmark = pytest.mark.faults

PATIENCE_S = 1.0
WITHIN_S = 20.0
LOCKS = (
    "LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE NOWAIT",  # nobody gets in
    "SELECT FROM conversations FOR UPDATE NOWAIT",  # who is in cannot go on
    "LOCK TABLE messages IN ACCESS EXCLUSIVE MODE NOWAIT",  # nobody can write
)


def impatient(usual: dict[str, Any]) -> dict[str, Any]:
    """A carrier that does not wait for long."""
    return {"lab": {**usual["carriers"]["lab"], "patience_s": PATIENCE_S}}


@asynccontextmanager
async def stalled(one: Town, statement: str) -> AsyncIterator[None]:
    """The database with this lock held, from a moment on at which nobody else has it."""
    async with connected(one.dsn) as sql, asyncio.timeout(WITHIN_S):
        while True:
            held = sql.transaction()
            await held.start()
            try:
                await sql.execute(statement)
                break
            except asyncpg.LockNotAvailableError:
                await held.rollback()
                await asyncio.sleep(0.01)
        yield
        await held.rollback()


async def stall(one: Town, load: Load, statement: str, *, kill: bool) -> None:
    """Hold a lock until carriers are told to come again; kill who waits for it, or let it go on."""
    async with stalled(one, statement):
        await load.burst()
        mine = load.texts[-10:]
        while not any("503" in text.tries for text in mine):
            await asyncio.sleep(0.02)
        if kill:
            one.service.kill()
    if kill:
        one.service.start()
        await one.ready()


@pytest.mark.parametrize("kill", [False, True], ids=["goes on", "killed"])
async def test_a_stalled_database_keeps_no_carrier_waiting_and_loses_nothing(
    ground: Ground, tmp_path: Path, seed: int, kills: int, kill: bool
) -> None:
    async with town(ground, tmp_path, seed, carriers=impatient) as one:
        async with storm(one, per_s=30) as load:
            for number in range(max(len(LOCKS), kills)):
                await asyncio.sleep(one.random.uniform(0.1, 0.5))
                await stall(one, load, LOCKS[number % len(LOCKS)], kill=kill)
        await judge(one, load)
        if not kill:
            silent = [text.body for text in load.texts if LOST in text.tries]
            assert not silent, one.story(f"no answer in time to {silent}")
