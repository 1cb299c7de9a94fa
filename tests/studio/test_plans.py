"""No question about flows reads what it is not about: each is backed by an index."""

from __future__ import annotations

import json
from typing import Any

import asyncpg
import pytest
from sqlalchemy.dialects import postgresql

from app.model import Execution, ExecutionStep, Flow
from app.ops import retention
from app.store import executions, flow_trace, flows, running
from app.store.database import Database, Tx
from app.store.slices import Slice
from tests.support.settings import ACCOUNT

from .conftest import BOTS
from .stage import FLOW_SID, staged

CH, FN = "CH" + "0" * 32, "FN" + "0" * 32
GROWN = """
INSERT INTO conversations (sid, account_sid, chat_service_sid, state, active_at, state_at,
  date_created, date_updated)
SELECT 'CH' || md5('c' || n), $1, s.sid, 'active', now(), now(), now(), now()
FROM services s CROSS JOIN generate_series(1, 4000) n WHERE s.account_sid = $1
"""
PEOPLE = """
INSERT INTO participants (sid, account_sid, chat_service_sid, conversation_sid, identity,
  date_created, date_updated)
SELECT 'MB' || md5('p' || sid), $1, chat_service_sid, sid, 'ann', now(), now() FROM conversations
"""
FLOWS = """
INSERT INTO flows (sid, account_sid, friendly_name, status, revision, date_created, date_updated)
SELECT 'FW' || md5('f' || n), $1, 'f', 'draft', 1, now(), now() FROM generate_series(1, 2000) n
"""
REVISIONS = """
INSERT INTO flow_revisions (flow_sid, revision, friendly_name, status, definition, date_created)
SELECT sid, 1, 'f', 'draft', '{}', now() FROM flows ON CONFLICT DO NOTHING
"""
RUNS = """
INSERT INTO executions (sid, account_sid, flow_sid, conversation_sid, flow_version, status, memory,
  taken, due, date_created, date_updated)
SELECT 'FN' || md5('e' || n), $1, $2, 'CH' || md5('c' || n % 4000 + 1), 1,
  CASE WHEN n <= 4000 THEN 'active' ELSE 'ended' END, '[]', n,
  CASE WHEN n <= 4000 THEN now() + interval '1 day' END, now(), now()
FROM generate_series(1, 20000) n
"""
STEPS = """
INSERT INTO execution_steps (sid, execution_sid, name, transitioned_from, transitioned_to, type,
  context, date_created)
SELECT 'FT' || md5('s' || n), 'FN' || md5('e' || n), 'a', 'b', 'c', 'd', '{}', now()
FROM generate_series(1, 20000) n
"""


@pytest.fixture
async def grown(db: Database, sql: asyncpg.Connection) -> Any:
    """A database in which much ran."""
    async with staged(db, sql, BOTS):
        for statement, given in (
            (GROWN, (ACCOUNT,)),
            (PEOPLE, (ACCOUNT,)),
            (FLOWS, (ACCOUNT,)),
            (REVISIONS, ()),
            (RUNS, (ACCOUNT, FLOW_SID)),
            (STEPS, ()),
        ):
            await sql.execute(statement, *given)
        await sql.execute("VACUUM ANALYZE")
        yield sql


def scans(plan: Any) -> list[str]:
    """The tables that a plan reads from one end to the other."""
    found = [plan["Relation Name"]] if plan["Node Type"] == "Seq Scan" else []
    return [*found, *(name for inner in plan.get("Plans", ()) for name in scans(inner))]


async def scanned(sql: asyncpg.Connection, statement: str, *given: Any) -> list[str]:
    [row] = await sql.fetch(f"EXPLAIN (FORMAT JSON) {statement}", *given)
    return scans(json.loads(row[0])[0]["Plan"])


async def test_what_the_worker_asks_is_backed_by_indexes(
    grown: asyncpg.Connection, clock: Any
) -> None:
    now, one = clock.now(), json.dumps([{"sid": FN, "version": 1}])
    lists: Any = ([1], [ACCOUNT], [FLOW_SID], [CH], [None], ["x"])
    for statement, given in (
        (running.PARCELS, lists),
        (running.KEEP, (one, "[]", now)),
        (running.DEFINITION, (FLOW_SID, 1)),
        (running.ENTERED, (ACCOUNT, FLOW_SID)),
        (running.OVER, (now, 10)),
        (running.SAID, ([CH], ["IM" + "0" * 32])),
        (running.LOCK, ([CH], [FLOW_SID], [CH])),
        (running.END, ([FLOW_SID], [CH], ["why"], now)),
        (running.CLOSE, ([CH], "why", now)),
        (retention.EXECUTIONS, (now, 10)),
    ):
        assert await scanned(grown, statement, *given) == [], statement


async def test_what_operators_ask_is_backed_by_indexes(grown: asyncpg.Connection) -> None:
    for statement, given in (
        (flow_trace.EXECUTION, (FN, ACCOUNT)),
        (flow_trace.STEPS, (FN, 10)),
        (flow_trace.FLOW, (FLOW_SID, ACCOUNT)),
        (flow_trace.OF_FLOW, (FLOW_SID, 10)),
        (executions.ACTIVE_IN, (FLOW_SID, CH)),
        (executions.END, (FN, None, "why")),
    ):
        assert await scanned(grown, statement, *given) == [], statement


class Explained(Tx):
    """A transaction that keeps the plans of what it is asked."""

    found: list[str]

    async def every(self, model: Any, statement: Any) -> list[Any]:
        text = statement.compile(
            dialect=postgresql.dialect(), compile_kwargs={"literal_binds": True}
        )
        self.found += await scanned(self.sql, str(text).replace("%%", "%"))
        assert model in (Execution, ExecutionStep, Flow)
        return []


async def test_what_is_listed_is_backed_by_indexes(grown: asyncpg.Connection, clock: Any) -> None:
    tx = Explained(None, grown, clock.now())  # type: ignore[arg-type]
    tx.found = []
    now, wanted = clock.now(), Slice(50)
    for status in (None, "active", "ended"):
        for since in (None, now):
            await executions.page(tx, FLOW_SID, wanted, status=status, since=since, until=since)
    await executions.page(
        tx, FLOW_SID, Slice(50, (now, FN)), status="ended", since=None, until=None
    )
    await executions.steps(tx, FN, wanted)
    await flows.page(tx, ACCOUNT, wanted)
    assert tx.found == []
