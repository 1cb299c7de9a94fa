"""What operators see of messages that were recovered, and how long what broke is kept."""

from __future__ import annotations

from datetime import timedelta

import asyncpg
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from app.model.gaps import TRIES_MAX
from app.model.traffic import Inbound
from app.observe import GapsSought, Measured, Recovered
from app.ops import retention
from app.ops.health import Health
from app.ops.jobs import Jobs
from app.ops.metrics import Metrics
from app.ops.routes import probe_routes
from app.store import gaps, schema
from tests.ops.conftest import House
from tests.ops.test_jobs import Reports
from tests.support.clock import TurnedClock

LATE = Recovered(
    "lab",
    "accepted",
    "binding",
    "joined",
    None,
    300.0,
    "SM1",
    "IM1",
    "CH1",
    "***0001",
    "***0006",
)


async def test_readiness_tells_of_them_and_takes_nobody_out(
    house: House, clock: TurnedClock
) -> None:
    async with house.runtime.db.begin() as tx:
        await gaps.meet(tx.sql, ["lab"], tx.now, timedelta(seconds=0))
        look = await gaps.claim(tx.sql, "lab", "l", tx.now, tx.now)
        assert look is not None
        await gaps.keep(tx.sql, look, tx.now, 7)
        await gaps.release(tx.sql, look, tx.now, "HTTP 401")
    application = web.Application()
    health = Health(house.runtime, schema.head())
    application.add_routes(probe_routes(health, Metrics(["lab"])))
    async with TestClient(TestServer(application)) as client:
        ready = await client.get("/readyz")
        assert ready.status == 200
        told = {"messages": 7, "complete_until": "2030-01-02T03:04:05Z", "error": "HTTP 401"}
        assert (await ready.json())["recovered"] == {"lab": told}


async def test_how_far_a_list_was_compared_is_measured(house: House, clock: TurnedClock) -> None:
    async with house.runtime.db.begin() as tx:
        await gaps.meet(tx.sql, ["lab", "gone"], tx.now, timedelta(seconds=0))
    clock.turn(400)
    await Jobs(house.runtime, Reports()).measure()
    seen = [one for one in house.seen(Measured) if one.name == "gap_behind_seconds"]
    assert [(one.value, one.label) for one in seen] == [(400.0, "gone"), (400.0, "lab")]
    metrics = Metrics(["lab"])
    for one in seen:
        metrics.consume(one)  # one of a carrier that is not configured any more is nobody's
    assert 'parley_gap_behind_seconds{carrier="lab"} 400.0' in metrics.page().decode()


def test_they_are_counted() -> None:
    metrics = Metrics(["lab"])
    zero = 'parley_recovered_total{carrier="lab",outcome="accepted"} 0.0'
    assert zero in metrics.page().decode()
    metrics.consume(LATE)
    metrics.consume(GapsSought("lab", "throttled", 0, 0, 0, 0, 0, 0, 0, 0.1, "HTTP 429"))
    page = metrics.page().decode()
    assert zero.replace(" 0.0", " 1.0") in page
    assert 'parley_gap_looks_total{carrier="lab",outcome="throttled"} 1.0' in page
    assert 'parley_resolution_total{outcome="joined",rule="binding"} 1.0' in page


async def test_what_broke_is_forgotten_by_age_and_what_waits_is_not(
    house: House, sql: asyncpg.Connection
) -> None:
    def found(name: str, days: int) -> Inbound:
        sent_at = house.now - timedelta(days=days)
        return Inbound("lab", name, "sms", "+15551230001", "+15005550006", sent_at=sent_at)

    async with house.runtime.db.begin() as tx:
        names = [found("broke", 100), found("young", 80), found("waits", 100)]
        await gaps.find(tx.sql, "lab", names, 0)
        for _ in range(TRIES_MAX):
            await gaps.tried(tx.sql, "lab", ["broke", "young"])
    await Jobs(house.runtime, Reports()).retain()
    left = await sql.fetch("SELECT external_id FROM gap_finds ORDER BY external_id")
    assert [row["external_id"] for row in left] == ["waits", "young"]
    async with sql.transaction():
        await sql.execute("SET LOCAL enable_seqscan = off")
        plan = await sql.fetch(f"EXPLAIN {retention.GAP_FINDS}", house.now, 10)
    lines = "\n".join(row[0] for row in plan)
    assert "Seq Scan" not in lines and "gap_finds_age" in lines, lines
