"""The road in: how many messages per second are taken, committed and answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.bench import load, pgbench
from tests.bench.load import Report, Spec
from tests.bench.pgbench import PgbenchReport
from tests.bench.stage import Dataset, Served, Stage, connected
from tests.bench.table import Figure, interleaved, middle

ROLES = "api,inbound"
"""No worker: what is to be delivered stays in the outbox."""
CONNECTIONS = 32
FLUSH_S = 0.002


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the load and the processor time that a message cost."""

    report: Report
    app_us: float
    postgres_us: float

    @property
    def per_s(self) -> float:
        """Messages per second."""
        return self.report.per_s


async def loaded(
    stage: Stage, served: Served, conversations: int, connections: int = CONNECTIONS
) -> Run:
    """One run against a service (or the door alone)."""
    fresh_share = 0.0 if conversations == 1 else 0.1
    spec = Spec(served.port, connections, stage.seconds, conversations, fresh_share)
    report, app_s, postgres_s = await stage.cost(served, partial(load.run, spec))
    return Run(report, app_s / report.acks * 1e6, postgres_s / report.acks * 1e6)


async def road(stage: Stage) -> Sequence[Figure]:
    """The whole road against PostgreSQL alone, and against the door alone."""
    dataset = await stage.dataset(stage.small)
    await pgbench.prepare(dataset)
    async with stage.service(dataset, ROLES) as service, stage.program("door") as door:
        runs: dict[Any, Callable[[], Awaitable[Any]]] = {
            str(many): partial(loaded, stage, service, dataset.conversations, many)
            for many in (1, 8, CONNECTIONS)
        }
        runs["door"] = partial(loaded, stage, door, dataset.conversations)
        alone = {clients: partial(pgbench.run, stage, dataset, clients) for clients in (1, 8, 16)}
        found = await interleaved(stage.rounds, {**runs, **alone})
    return _road_figures(
        {name: found[name] for name in runs}, {clients: found[clients] for clients in alone}
    )


def _road_figures(
    found: dict[str, list[Run]], alone: dict[int, list[PgbenchReport]]
) -> list[Figure]:
    full = found[str(CONNECTIONS)]
    rates = {clients: middle([one.per_s for one in runs]) for clients, runs in alone.items()}
    cost_us = middle([one.postgres_us for one in alone[max(rates, key=rates.__getitem__)]])
    words = ", ".join(f"{clients}: {per_s:,.0f}/s" for clients, per_s in rates.items())
    return [
        *(
            Figure(f"road, {many} connections: inbound/s", _rate(runs), beside=_words(runs))
            for many, runs in found.items()
            if many != "door"
        ),
        Figure(
            "road : best pgbench",
            _rate(full) / max(rates.values()),
            0.8,
            beside=f"pgbench clients {words} (CPU {cost_us:.0f} us)",
        ),
        Figure(
            "road : best pgbench, CPU of PostgreSQL for a message",
            middle([one.postgres_us for one in full]) / cost_us,
            beside="hardly depends on what else the machine does",
        ),
        ratio("road : door without database", full, found["door"], 0.35),
        Figure(
            "ack p99 : p50, 32 connections",
            middle([one.report.p99_ms / one.report.p50_ms for one in full]),
            3,
            most=True,
        ),
    ]


async def hot(stage: Stage) -> Sequence[Figure]:
    """All traffic on one conversation against traffic on all of them."""
    dataset = await stage.dataset(stage.small)
    async with stage.service(dataset, ROLES) as service:
        found = await interleaved(
            stage.rounds,
            {
                "one": partial(loaded, stage, service, 1),
                "all": partial(loaded, stage, service, dataset.conversations),
            },
        )
    return [ratio("one conversation : spread", found["one"], found["all"], 0.8)]


async def grown(stage: Stage) -> Sequence[Figure]:
    """A large database against a small one."""
    large = await stage.dataset(stage.large)
    small = await stage.dataset(stage.small)
    async with stage.service(large, ROLES) as grown, stage.service(small, ROLES) as young:
        found = await interleaved(
            stage.rounds,
            {
                "grown": partial(loaded, stage, grown, large.conversations),
                "young": partial(loaded, stage, young, small.conversations),
            },
        )
    name = f"{large.conversations:,} conversations : {small.conversations:,}"
    return [ratio(name, found["grown"], found["young"], 0.8)]


async def flush(stage: Stage) -> Sequence[Figure]:
    """A disk that takes 2 ms longer for each flush against this one."""
    dataset = await stage.dataset(stage.small)

    async def slow() -> Run:
        await _delay(dataset, FLUSH_S)
        try:
            return await loaded(stage, service, dataset.conversations, 64)
        finally:
            await _delay(dataset, 0)

    async with stage.service(dataset, ROLES) as service:
        usual = partial(loaded, stage, service, dataset.conversations, 64)
        found = await interleaved(stage.rounds, {"slow": slow, "usual": usual})
    name = "flush 2 ms slower : as it is, 64 connections"
    return [ratio(name, found["slow"], found["usual"], 0.5)]


async def _delay(dataset: Dataset, seconds: float) -> None:
    async with connected(dataset.dsn) as sql:
        await sql.execute(f"ALTER SYSTEM SET commit_delay = {round(seconds * 1e6)}")
        await sql.execute("ALTER SYSTEM SET commit_siblings = 0")
        await sql.execute("SELECT pg_reload_conf()")


def ratio(name: str, runs: Sequence[Run], beside: Sequence[Run], floor: float | None) -> Figure:
    """How much faster (or slower) the first runs were."""
    value = _rate(runs) / _rate(beside)
    return Figure(name, value, floor, beside=f"{_words(runs)} : {_words(beside)}")


def _rate(runs: Sequence[Run]) -> float:
    return middle([one.per_s for one in runs])


def _words(runs: Sequence[Run]) -> str:
    """The absolutes of some runs, by their medians."""
    p50 = middle([one.report.p50_ms for one in runs])
    p99 = middle([one.report.p99_ms for one in runs])
    app, postgres = (
        middle([one.app_us for one in runs]),
        middle([one.postgres_us for one in runs]),
    )
    return (
        f"{_rate(runs):,.0f}/s (p50 {p50:.1f} p99 {p99:.1f} ms, CPU {app:.0f} + {postgres:.0f} us)"
    )
