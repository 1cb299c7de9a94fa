"""pgbench, calling the one-message function: what PostgreSQL does without us."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from app.store.embedded import pg_bin
from tests.bench.processes import finished, used_s
from tests.bench.stage import Dataset, Stage, connected

FUNCTION = Path(__file__).with_name("one_message.sql")


@dataclass(frozen=True, slots=True)
class PgbenchReport:
    """Messages per second, their mean latency, and PostgreSQL's processor time for one."""

    per_s: float
    mean_ms: float
    postgres_us: float


async def prepare(dataset: Dataset) -> None:
    """Make the function."""
    async with connected(dataset.dsn) as sql:
        await sql.execute(FUNCTION.read_text())


async def run(
    stage: Stage, dataset: Dataset, clients: int, fresh_share: float = 0.1
) -> PgbenchReport:
    """So many clients, each one message per transaction."""
    script = stage.folder / "one_message.pgbench"
    script.write_text(f"SELECT bench_one({dataset.conversations}, {fresh_share});\n")
    began_s = used_s(stage.postgres)
    said = await finished(
        pg_bin("pgbench"),
        *("--no-vacuum", "--protocol=prepared", f"--file={script}"),
        *(f"--client={clients}", f"--time={max(1, round(stage.seconds))}"),
        dataset.dsn,
    )
    took_s = used_s(stage.postgres) - began_s
    count, per_s, mean_ms = (_number(said, words) for words in PRINTED)
    return PgbenchReport(per_s, mean_ms, took_s / count * 1e6)


PRINTED = ("number of transactions actually processed: ", "tps = ", "latency average = ")


def _number(said: str, words: str) -> float:
    found = re.search(re.escape(words) + r"([\d.]+)", said)
    assert found, said
    return float(found[1])
