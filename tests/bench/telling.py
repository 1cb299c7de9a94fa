"""Telling the customer: webhooks per second, and what customers who fail or hang cost everybody."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any

from aiohttp import web

from app.carriers import sandbox_http
from app.carriers.sandbox_world import World
from app.model.outbox import endpoint
from tests.bench import town
from tests.bench.inbound import Run, loaded
from tests.bench.outward import DRAIN_S, EVERYTHING, PER_S, counted, post_calmly
from tests.bench.processes import finished
from tests.bench.stage import Dataset, Served, Stage, connected
from tests.bench.table import Figure, interleaved, middle, percentile

BACKLOG = Path(__file__).with_name("hooks_backlog.sql").read_text()
LANES = 1000
FAILING = 1000
HANGS_S = 5.0
ATTACH = """
INSERT INTO scoped_webhooks (sid, account_sid, chat_service_sid, conversation_sid, target, url,
  method, filters, triggers, date_created, date_updated)
SELECT 'WH' || replace(gen_random_uuid()::text, '-', ''), account_sid, chat_service_sid, sid,
  'webhook', format('http://127.0.0.1:9/%s', sid), 'POST', ARRAY['onMessageAdded'], '{}', now(),
  now()
FROM conversations ORDER BY sid LIMIT $1
"""


async def hooks(stage: Stage) -> Sequence[Figure]:
    """A backlog of webhooks to one customer, drained in lanes, against plain posts."""
    dataset = await stage.dataset(stage.small)
    count = round(1500 * stage.seconds)
    async with stage.program("sink") as sink:

        async def plainly() -> float:
            command = (sys.executable, "-m", "tests.bench.plain", sink.url, str(count))
            return float(await finished(*command))

        found = await interleaved(
            stage.rounds,
            {"hooks": partial(drained, stage, dataset, sink, count), "plain": plainly},
        )
    ours, plain = middle(found["hooks"]), middle(found["plain"])
    words = f"{ours:,.0f}/s : {plain:,.0f}/s ({count:,} over {LANES:,} lanes)"
    return [Figure("webhooks in lanes : plain posts", ours / plain, beside=words)]


async def drained(stage: Stage, dataset: Dataset, sink: Served, count: int) -> float:
    """Webhooks per second from the first to the last."""
    url = f"{sink.url}/events"
    async with connected(dataset.dsn) as sql:
        await sql.execute(BACKLOG, count, LANES, url, endpoint(town.ACCOUNT, url))
        await sql.execute("ANALYZE outbox, lanes")
        await counted(sink)
        async with stage.service(dataset, "worker", sink=sink.url):
            deadline = monotonic() + DRAIN_S
            while await sql.fetchval("SELECT count(*) FROM outbox"):
                assert monotonic() < deadline, "the backlog is not drained"
                await asyncio.sleep(0.1)
    taken, first, last = await counted(sink)
    assert taken == count, (taken, count)
    return count / (last - first)


async def failing(stage: Stage) -> Sequence[Figure]:
    """The road in while webhooks of a thousand conversations lead nowhere, against none of them."""
    dataset = await stage.dataset(stage.small, "failing")

    async def run(broken: int) -> Run:
        async with connected(dataset.dsn) as sql:
            await sql.execute("TRUNCATE outbox, lanes, scoped_webhooks, hook_endpoints")
            await sql.execute(ATTACH, broken)
        async with stage.service(dataset, EVERYTHING, hooks=False) as service:
            return await loaded(stage, service, FAILING)

    found = await interleaved(
        stage.rounds, {broken: partial(run, broken) for broken in (0, FAILING)}
    )
    p99 = {broken: middle([one.report.p99_ms for one in runs]) for broken, runs in found.items()}
    rate = {broken: middle([one.per_s for one in runs]) for broken, runs in found.items()}
    name = f"{FAILING:,} failing targets : none"
    return [
        Figure(f"{name}, inbound/s", rate[FAILING] / rate[0], beside=_words(rate, "/s")),
        Figure(f"{name}, ack p99", p99[FAILING] / p99[0], beside=_words(p99, " ms")),
    ]


async def hanging(stage: Stage) -> Sequence[Figure]:
    """From the post at our door to the other member's carrier, every message asked about before:
    while the customer hangs for one pair, against a customer who always answers."""
    dataset = await stage.dataset(stage.small, "hanging")
    found = {hangs: await _asked(stage, dataset, hangs) for hangs in (False, True)}
    name = "a hook that hangs for one pair : none, the others'"
    return [
        Figure(
            f"{name} p{share * 100:.0f} to the carrier",
            percentile(found[True], share) / percentile(found[False], share),
            beside=" : ".join(f"{percentile(found[one], share):.1f} ms" for one in (True, False)),
        )
        for share in (0.5, 0.99)
    ]


async def _asked(stage: Stage, dataset: Dataset, hangs: bool) -> list[float]:
    """Milliseconds to the carrier, of all pairs but the one for which the customer hangs."""
    count = round(PER_S * stage.seconds * 2)
    slow = town.address(town.CUSTOMER, 0) if hangs else None
    async with (
        _customer(slow) as url,
        World() as world,
        sandbox_http.serving(world) as sink,
        stage.service(dataset, EVERYTHING, sink=sink, hooks=False, webhooks=_deciding(url)) as ours,
    ):
        await post_calmly(ours, 10)
        sent: dict[str, datetime] = await post_calmly(ours, count)
        others = {body: at for body, at in sent.items() if not body.endswith(" 0")}
        await world.until(lambda: world.counts["taken"] >= count - 1 + 9, within_s=30)
        taken = {one.body: one.taken_at for one in world.records.taken()}
    return [
        (taken[body] - at).total_seconds() * 1000 for body, at in others.items() if body in taken
    ]


def _deciding(url: str) -> dict[str, Any]:
    return {"pre_url": url, "filters": ["onMessageAdd"], "pre_timeout_ms": int(HANGS_S * 1000)}


@asynccontextmanager
async def _customer(slow: str | None) -> AsyncIterator[str]:
    """Who says yes to everything, but for one author never."""

    async def take(request: web.Request) -> web.Response:
        if (await request.post()).get("Author") == slow:
            await asyncio.sleep(HANGS_S)
        return web.Response()

    application = web.Application()
    application.router.add_post("/", take)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    finally:
        await runner.cleanup()


def _words(found: dict[int, float], unit: str) -> str:
    return " : ".join(f"{found[broken]:,.0f}{unit}" for broken in (FAILING, 0))
