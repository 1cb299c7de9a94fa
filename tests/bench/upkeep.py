"""What must stay small while the service runs for long: the timers' sweep, and memory."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from time import perf_counter
from typing import Any

from app.clock import Clock
from app.observe import Observe
from app.ops.jobs import Jobs
from app.runtime import Runtime
from app.settings.models import Settings
from app.store.database import Database
from tests.bench import town
from tests.bench.inbound import ROLES, loaded
from tests.bench.processes import resident_mib
from tests.bench.stage import Dataset, Stage, connected
from tests.bench.table import Figure, percentile

SWEEPS = 500
SPELL_S = 60.0
ELAPSE = """
UPDATE conversations SET inactive_timer_s = 60, active_at = now() - interval '1 hour',
  state_at = now() - interval '1 hour', next_timer_at = now() - interval '1 minute'
WHERE sid IN (SELECT sid FROM conversations WHERE state = 'active' ORDER BY sid LIMIT $1)
"""


async def timers(stage: Stage) -> Sequence[Figure]:
    """The sweep when nothing is due, and when everything is."""
    dataset = await stage.dataset(stage.large)
    count = 5_000 if stage.quick else 20_000
    async with _jobs(dataset) as jobs:
        idle_ms = []
        for _ in range(SWEEPS):
            began = perf_counter()
            await jobs.sweep()
            idle_ms.append((perf_counter() - began) * 1000)
        async with connected(dataset.dsn) as sql:
            await sql.execute(ELAPSE, count)
        began = perf_counter()
        await jobs.sweep()
        fired = count / (perf_counter() - began)
    async with stage.service(dataset, ROLES) as service:
        run = await loaded(stage, service, dataset.conversations)
    return [
        Figure(
            f"idle sweep at {dataset.conversations:,} timers, p99 ms",
            percentile(idle_ms, 0.99),
            2,
            most=True,
            beside=f"p50 {percentile(idle_ms, 0.5):.2f} ms",
        ),
        Figure(
            "timers fired : inbound",
            fired / run.per_s,
            5,
            beside=f"{fired:,.0f}/s : {run.per_s:,.0f}/s",
        ),
    ]


@asynccontextmanager
async def _jobs(dataset: Dataset) -> AsyncIterator[Jobs]:
    """The jobs of a service, without the service."""
    settings = Settings.model_validate(json.loads(town.settings(0)))
    db = Database(dataset.dsn, Clock(), pool_max=2)
    nothing: Any = None
    runtime = Runtime(settings, db, nothing, nothing, db.clock, Observe(), {}, town.NOWHERE)
    try:
        yield Jobs(runtime, nothing)
    finally:
        await db.close()


async def memory(stage: Stage) -> Sequence[Figure]:
    """What a service has after six runs' time of load, against what it had after the first of its
    spells; they last no longer than a minute, as the load is made ahead. An hour: `--seconds 600`.
    """
    dataset = await stage.dataset(stage.small)
    spells = max(6, math.ceil(6 * stage.seconds / SPELL_S))
    spell = replace(stage, seconds=6 * stage.seconds / spells)
    async with (
        stage.program("sink") as sink,
        stage.service(dataset, "api,inbound,worker", sink=sink.url) as service,
    ):
        fresh = resident_mib(service.process)
        after: list[float] = []
        for _ in range(spells):
            run = await loaded(spell, service, dataset.conversations)
            after.append(resident_mib(service.process))
            stage.say(f"{after[-1]:.0f} MiB after {len(after)} of {spells}; {run.per_s:,.0f}/s")
    told = (fresh, *after[: -1 : max(1, spells // 12)], after[-1])
    return [
        Figure(
            f"memory after {spells * spell.seconds:,.0f} s of load : after {spell.seconds:g} s",
            after[-1] / after[0],
            1.1,
            most=True,
            beside=f"{', '.join(f'{mib:.0f}' for mib in told)} MiB",
        )
    ]
