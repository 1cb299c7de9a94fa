"""Probes: alive while the loop turns, ready while work can be done."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from app.clock import Clock
from app.observe import Measured, Observation, Observe, Said
from app.ops.health import Health, ServerRefused, check_server
from app.ops.metrics import Metrics
from app.ops.routes import probe_routes
from app.runtime import Runtime
from app.store import schema
from app.store.database import Database
from tests.ops.conftest import House
from tests.support.clock import START, TurnedClock
from tests.support.settings import settings


@pytest.fixture
def health(house: House) -> Health:
    return Health(house.runtime, schema.head())


def over(db: Database) -> Runtime:
    nobody: Any = None
    return Runtime(settings(), db, nobody, nobody, db.clock, Observe(), {}, "http://parley.test")


async def test_everything_is_ready(health: Health) -> None:
    found = await health.readiness()
    assert found.ready
    assert found.checks == {"database": None, "schema": None, "draining": None}


async def test_draining_is_seen_at_once(health: Health) -> None:
    assert (await health.readiness()).ready
    health.drain()
    found = await health.readiness()
    assert (found.ready, found.checks["draining"]) == (False, "draining")


async def test_a_database_without_a_schema_is_not_ready(bare_dsn: str) -> None:
    db = Database(bare_dsn, TurnedClock())
    found = await Health(over(db), schema.head()).readiness()
    await db.close()
    assert not found.ready
    assert "parley migrate" in (found.checks["schema"] or "")


async def test_an_older_schema_is_not_ready(house: House) -> None:
    found = await Health(house.runtime, "9999").readiness()
    assert "older than 9999" in (found.checks["schema"] or "")


async def test_a_newer_schema_is_ready(bare_dsn: str, clock: TurnedClock) -> None:
    db = Database(bare_dsn, clock)
    async with db.begin() as tx:
        await tx.sql.execute("CREATE TABLE alembic_version (version_num text)")
        await tx.sql.execute("INSERT INTO alembic_version VALUES ('of tomorrow')")
    found = await Health(over(db), schema.head()).readiness()
    await db.close()
    assert found.ready


async def test_a_database_that_is_away_is_not_ready(tmp_path: Any) -> None:
    db = Database(f"postgresql://parley@/parley?host={tmp_path}", TurnedClock())
    found = await Health(over(db), schema.head()).readiness()
    await db.close()
    assert not found.ready
    assert found.checks["database"]


async def test_the_answer_of_the_database_is_kept_for_a_second(
    house: House, health: Health, clock: TurnedClock
) -> None:
    await health.readiness()
    asked = house.runtime.db.taken
    kept = health._asked
    clock.turn(0.9)
    await health.readiness()
    assert health._asked is kept
    clock.turn(0.2)
    await health.readiness()
    assert health._asked is not kept
    assert house.runtime.db.taken == asked == 0


async def test_a_loop_that_stands_still_is_not_alive(
    house: House, health: Health, clock: TurnedClock
) -> None:
    async with asyncio.TaskGroup() as group:
        ticking = group.create_task(health.run())
        await clock.until_asleep()
        clock.turn(1.2)
        assert health.alive()
        clock.turn(0.2)  # the loop has not turned since: the task has not run
        assert not health.alive()
        await clock.until_asleep()
        assert health.alive()
        ticking.cancel()
    lags = [one.value for one in house.seen(Measured) if one.name == "event_loop_lag_seconds"]
    assert lags == [pytest.approx(1.15)]


async def test_probes_answer_over_http(house: House, health: Health) -> None:
    application = web.Application()
    application.add_routes(probe_routes(health, Metrics()))
    async with TestClient(TestServer(application)) as client:
        live = await client.get("/livez")
        assert (live.status, await live.json()) == (200, {"alive": True})
        ready = await client.get("/readyz")
        assert ready.status == 200
        assert (await ready.json())["checks"]["database"] == {"ok": True}
        health.drain()
        ready = await client.get("/readyz")
        assert ready.status == 503
        checks = (await ready.json())["checks"]
        assert checks["draining"] == {"ok": False, "reason": "draining"}
        metrics = await client.get("/metrics")
        assert metrics.headers["Content-Type"].startswith("text/plain")
        assert "parley_build_info" in await metrics.text()


class Server:
    """A server as its settings say."""

    def __init__(self, *row: Any) -> None:
        self._row = row

    async def fetchrow(self, _: str) -> Any:
        return self._row


async def test_our_own_server_passes(house: House) -> None:
    seen: list[Observation] = []
    observe = Observe()
    observe.to(seen.append)
    await check_server(house.sql, observe, Clock().now())
    assert seen == []


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ((180004, "off", "on", "on", START), "Set fsync = on"),
        ((130012, "on", "on", "on", START), "PostgreSQL 13"),
    ],
)
async def test_a_server_that_cannot_hold_our_promises_is_refused(
    row: tuple[Any, ...], said: str
) -> None:
    server: Any = Server(*row)
    with pytest.raises(ServerRefused, match=said):
        await check_server(server, Observe(), START)


async def test_settings_that_weaken_our_promises_are_said() -> None:
    seen: list[Observation] = []
    observe = Observe()
    observe.to(seen.append)
    server: Any = Server(140000, "on", "off", "off", START + timedelta(seconds=3))
    await check_server(server, observe, START)
    assert [(one.level, one.event) for one in seen if isinstance(one, Said)] == [
        ("warning", "synchronous_commit=off"),
        ("warning", "full_page_writes=off"),
        ("warning", "clocks"),
    ]
