"""Questions about executions and their steps, as the API asks them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Select, null, select
from sqlmodel import SQLModel

from app.model import Execution, ExecutionStep
from app.model.flows import EXECUTION
from app.store import running
from app.store.database import Tx
from app.store.slices import Key, Slice, cut

EXECUTIONS = SQLModel.metadata.tables["executions"]
STEPS = SQLModel.metadata.tables["execution_steps"]
E, S = EXECUTIONS.c, STEPS.c

LISTED = select(*(column for column in E if column.name != "memory"), null().label("memory"))
ACTIVE_IN = """
SELECT sid FROM executions
WHERE flow_sid = $1 AND conversation_sid = $2 AND status = 'active'
"""
END = """
UPDATE executions SET status = 'ended', reason = $3, due = NULL, version = version + 1,
  date_updated = $2
WHERE sid = $1 AND status = 'active'
"""
# The item that it took in last may be worked on still: it names it from now on.
REMOVE = """
WITH gone AS (DELETE FROM executions WHERE sid = $1 RETURNING taken), held AS (
  SELECT l.lane FROM lanes l
  WHERE l.lane = (SELECT o.lane FROM outbox o WHERE o.seq = (SELECT taken FROM gone)) FOR UPDATE
), named AS (
  UPDATE outbox o SET params = coalesce(o.params, '{}') || jsonb_build_object($2::text, $1::text)
  WHERE o.lane = (SELECT lane FROM held) AND o.seq = (SELECT taken FROM gone)
)
SELECT count(*) FROM gone
"""
ENDED_BY_API = "cancelled: it was ended by the API"


async def find(tx: Tx, flow_sid: str, sid: str) -> Execution | None:
    """The execution of this flow with this SID."""
    return await tx.first(Execution, _of(flow_sid).where(E.sid == sid))


async def page(
    tx: Tx,
    flow_sid: str,
    wanted: Slice,
    *,
    status: str | None,
    since: datetime | None,
    until: datetime | None,
) -> list[Execution]:
    """A slice of a flow's executions, the newest first: of one status, made in this time. What they
    remember is left out."""
    statement = LISTED.where(E.flow_sid == flow_sid)
    if status is not None:
        statement = statement.where(E.status == status)
    if since is not None:
        statement = statement.where(E.date_created >= since)
    if until is not None:
        statement = statement.where(E.date_created < until)
    return await tx.every(
        Execution, cut(statement, (E.date_created, E.sid), wanted, descending=True)
    )


def key(execution: Execution) -> Key:
    """Its place in `page`."""
    return execution.date_created, execution.sid


async def active(tx: Tx, flow_sid: str, conversation_sid: str) -> str | None:
    """The execution of this flow that is active in this conversation."""
    found: str | None = await tx.sql.fetchval(ACTIVE_IN, flow_sid, conversation_sid)
    return found


async def add(tx: Tx, row: Mapping[str, Any], steps: Sequence[Mapping[str, Any]]) -> bool:
    """Keep a new execution with its first steps; False when another one is active there."""
    given = orjson.dumps([row]).decode(), orjson.dumps(list(steps)).decode()
    return bool(await tx.sql.fetch(running.KEEP, *given, tx.now))


async def end(tx: Tx, sid: str) -> None:
    """End an execution, if it is active: a worker that is busy with it finds that out."""
    await tx.sql.execute(END, sid, tx.now, ENDED_BY_API)


async def remove(tx: Tx, sid: str) -> int:
    """Delete an execution with its steps; gives how many there were. The message that it is about
    now begins no other: not even when the worker that is busy with it dies."""
    count: int = await tx.sql.fetchval(REMOVE, sid, EXECUTION)
    return count


async def steps(tx: Tx, execution_sid: str, wanted: Slice) -> list[ExecutionStep]:
    """A slice of an execution's steps, in the order in which they were made."""
    return await tx.every(ExecutionStep, cut(_steps(execution_sid), (S.sid,), wanted))


def step_key(step: ExecutionStep) -> Key:
    """Its place in `steps`."""
    return (step.sid,)


async def step(tx: Tx, execution_sid: str, sid: str) -> ExecutionStep | None:
    """One step of an execution."""
    return await tx.first(ExecutionStep, _steps(execution_sid).where(S.sid == sid))


def _of(flow_sid: str) -> Select[Any]:
    return select(EXECUTIONS).where(E.flow_sid == flow_sid)


def _steps(execution_sid: str) -> Select[Any]:
    return select(STEPS).where(S.execution_sid == execution_sid)
