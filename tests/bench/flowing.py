"""Flows: executions per second, each begun by a message, that say one and wait for the reply."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from time import monotonic

from tests.bench.outward import DRAIN_S
from tests.bench.stage import Dataset, Served, Stage, connected
from tests.bench.table import Figure, interleaved, middle
from tests.bench.telling import drained

BACKLOG = Path(__file__).with_name("flows_backlog.sql").read_text()
BOTS = Path(__file__).parents[2] / "config" / "flows" / "bots.json"
FLOW = "FW" + "b" * 32
MADE = """
SELECT count(*) AS count, extract(epoch FROM max(date_updated) - min(date_created))::float AS took_s
FROM executions
"""


async def flows(stage: Stage) -> Sequence[Figure]:
    """A backlog of first messages to the documented flow, against webhooks of as many."""
    dataset = await stage.dataset(stage.small, "flows")
    count = round(500 * stage.seconds)
    async with stage.program("sink") as sink:
        found = await interleaved(
            stage.rounds,
            {
                "flows": partial(_begun, stage, dataset, sink, count),
                "hooks": partial(drained, stage, dataset, sink, count),
            },
        )
    ours, hooks = middle(found["flows"]), middle(found["hooks"])
    words = f"{ours:,.0f}/s : {hooks:,.0f}/s ({count:,} each)"
    return [Figure("flows begun : webhooks told", ours / hooks, beside=words)]


async def _begun(stage: Stage, dataset: Dataset, sink: Served, count: int) -> float:
    """Executions per second from the first to the last."""
    declared = {FLOW: {"file": str(BOTS)}}
    async with connected(dataset.dsn) as sql:
        await sql.execute("TRUNCATE outbox, lanes, executions CASCADE")
        await sql.execute(BACKLOG, count, FLOW)
        await sql.execute("ANALYZE outbox, lanes, conversations")
        async with stage.service(dataset, "worker", sink=sink.url, hooks=False, flows=declared):
            deadline = monotonic() + DRAIN_S
            while await sql.fetchval("SELECT count(*) FROM outbox WHERE kind = 'flow'"):
                assert monotonic() < deadline, "the backlog is not drained"
                await asyncio.sleep(0.1)
        made, took_s = await sql.fetchrow(MADE)
        said = await sql.fetchval("SELECT count(*) FROM messages WHERE author = $1", FLOW)
        await sql.execute("DELETE FROM messages WHERE author = $1", FLOW)
    assert (made, said) == (count, count), (made, said)
    return float(count / took_s)
