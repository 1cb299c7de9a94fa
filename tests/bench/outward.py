"""The road out: deliveries, alone and beside the road in."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from pathlib import Path
from time import monotonic
from urllib.request import urlopen

import aiohttp

from app.carriers import sandbox_http, signature
from app.carriers.sandbox_world import World
from app.clock import Clock
from tests.bench import town
from tests.bench.inbound import ROLES, Run, loaded, ratio
from tests.bench.processes import finished
from tests.bench.stage import Dataset, Served, Stage, connected
from tests.bench.table import Figure, interleaved, middle, percentile

BACKLOG = Path(__file__).with_name("backlog.sql").read_text()
EVERYTHING = "api,inbound,worker"
LANES = 1000
PER_S = 50
DRAIN_S = 60.0


async def latency(stage: Stage) -> Sequence[Figure]:
    """From the post at our door to the arrival at the other member's carrier, in calm traffic."""
    dataset = await stage.dataset(stage.small)
    count = round(PER_S * stage.seconds * 2)
    async with (
        World() as world,
        sandbox_http.serving(world) as sink,
        stage.service(dataset, EVERYTHING, sink=sink, hooks=False) as service,
    ):
        await post_calmly(service, 10)  # connections and plans are made
        sent = await post_calmly(service, count)
        await world.until(lambda: world.counts["taken"] >= count + 10, within_s=20)
        taken = {one.body: one.taken_at for one in world.records.taken()}
    took_ms = [(taken[body] - at).total_seconds() * 1000 for body, at in sent.items()]
    name = f"inbound -> carrier at {PER_S}/s"
    return [
        Figure(f"{name}, p50 ms", percentile(took_ms, 0.5), 10, most=True),
        Figure(f"{name}, p99 ms", percentile(took_ms, 0.99), 30, most=True),
    ]


async def post_calmly(service: Served, count: int) -> dict[str, datetime]:
    """Post so many messages, evenly; gives when each was posted, by its body."""
    clock = Clock()
    sent: dict[str, datetime] = {}
    url = service.url + town.INBOUND
    began = monotonic()
    async with aiohttp.ClientSession() as http, asyncio.TaskGroup() as group:

        async def post(form: dict[str, str]) -> None:
            made = signature.compute(url, form.items(), town.CARRIER_TOKEN)
            sent[form["Body"]] = clock.now()
            async with http.post(url, data=form, headers={signature.HEADER: made}) as answer:
                assert answer.status == 200, answer.status

        for number in range(count):
            await asyncio.sleep(max(0.0, began + number / PER_S - monotonic()))
            group.create_task(post(town.form(f"calm {began} {number}", number)))
    return sent


async def lanes(stage: Stage) -> Sequence[Figure]:
    """What the order of the lanes costs: a backlog in many lanes against one in which nothing waits
    for anything, each in a lane of its own. Beside it what the client can do at most: the same
    posts with nothing to claim and nothing to settle."""
    dataset = await stage.dataset(stage.small)
    count = min(round(1500 * stage.seconds), dataset.conversations)
    async with stage.program("sink") as sink:

        async def plainly() -> float:
            command = (sys.executable, "-m", "tests.bench.plain", sink.url, str(count))
            return float(await finished(*command))

        drained = partial(_drained, stage, dataset, sink, count)
        found = await interleaved(
            stage.rounds,
            {"lanes": partial(drained, LANES), "apart": partial(drained, count), "plain": plainly},
        )
    ours, apart, plain = (middle(found[name]) for name in ("lanes", "apart", "plain"))
    return [
        Figure(
            "deliveries in lanes : without order",
            ours / apart,
            0.6,
            beside=f"{ours:,.0f}/s : {apart:,.0f}/s ({count:,} over {LANES:,} lanes : {count:,})",
        ),
        Figure("deliveries in lanes : plain posts", ours / plain, beside=f"{plain:,.0f}/s"),
    ]


async def _drained(stage: Stage, dataset: Dataset, sink: Served, count: int, lanes: int) -> float:
    """Deliveries per second from the first to the last."""
    async with connected(dataset.dsn) as sql:
        await sql.execute(BACKLOG, count, lanes)
        await sql.execute("ANALYZE outbox, lanes, receipts")
        await counted(sink)
        async with stage.service(dataset, "worker", sink=sink.url, hooks=False):
            deadline = monotonic() + DRAIN_S
            while await sql.fetchval("SELECT count(*) FROM outbox"):
                assert monotonic() < deadline, "the backlog is not drained"
                await asyncio.sleep(0.1)
    taken, first, last = await counted(sink)
    assert taken == count, (taken, count)
    return count / (last - first)


async def beside(stage: Stage) -> Sequence[Figure]:
    """The road in while its own deliveries (and webhooks) go out, against the road in alone."""
    dataset = await stage.dataset(stage.small)
    async with stage.program("sink") as sink:

        async def run(roles: str, hooks: bool) -> tuple[Run, float]:
            async with connected(dataset.dsn) as sql:
                await sql.execute("TRUNCATE outbox, lanes")
            async with stage.service(dataset, roles, sink=sink.url, hooks=hooks) as service:
                await counted(sink)
                made = await loaded(stage, service, dataset.conversations)
                taken, first, last = await counted(sink)
            return made, taken / (last - first) if taken > 1 else 0.0

        found = await interleaved(
            stage.rounds,
            {
                "alone": partial(run, ROLES, False),
                "deliveries": partial(run, EVERYTHING, False),
                "hooks": partial(run, EVERYTHING, True),
            },
        )
    runs = {name: [one for one, _ in several] for name, several in found.items()}
    out = {name: middle([out for _, out in several]) for name, several in found.items()}
    name = "with deliveries : inbound alone"
    more = "with deliveries and webhooks : inbound alone"
    both = (
        ratio(name, runs["deliveries"], runs["alone"], 0.25),
        ratio(more, runs["hooks"], runs["alone"], None),
    )
    return [
        figure.and_beside(f", {out[run]:,.0f} calls/s")
        for figure, run in zip(both, ("deliveries", "hooks"), strict=True)
    ]


async def counted(sink: Served) -> tuple[int, float, float]:
    """How many the sink took since it was asked last, and when the first and the last."""

    def ask() -> tuple[int, float, float]:
        with urlopen(sink.url) as answer:
            taken, first, last = json.load(answer)
        return taken, first, last

    return await asyncio.to_thread(ask)
