"""The steps of an execution ("REST API v2: Execution Step"), in their order."""

from __future__ import annotations

from functools import partial
from typing import Any

import orjson

from app import ids
from app.api.call import Call, takes
from app.api.executions import PATH as EXECUTIONS_PATH
from app.api.executions import below, where
from app.api.flows import path_sid
from app.api.page import Listing
from app.clock import iso_seconds
from app.model import Execution, ExecutionStep
from app.store import executions
from app.store.database import Tx

PATH = EXECUTIONS_PATH + "/{ExecutionSid}/Steps"
LISTING = Listing("steps", (str,), size=50, size_max=1000)


@takes()
async def page(call: Call) -> dict[str, Any]:
    """The steps of an execution."""
    async with call.begin() as (tx, scope):
        _, execution = await below(call, tx, scope.account_sid)
        wanted = call.wanted(LISTING)
        rows = await executions.steps(tx, execution.sid, wanted.slice)
    return wanted.answer(rows, executions.step_key, partial(show, call, execution))


@takes()
async def fetch(call: Call) -> dict[str, Any]:
    """One step."""
    async with call.begin() as (tx, scope):
        execution, step = await _named(call, tx, scope.account_sid, "Sid")
    return show(call, execution, step)


@takes()
async def fetch_context(call: Call) -> dict[str, Any]:
    """What the widget of a step set."""
    async with call.begin() as (tx, scope):
        execution, step = await _named(call, tx, scope.account_sid, "StepSid")
    return {
        "account_sid": execution.account_sid,
        "context": orjson.loads(step.context),
        "flow_sid": execution.flow_sid,
        "execution_sid": execution.sid,
        "step_sid": step.sid,
        "url": f"{_url(call, execution, step)}/Context",
    }


def show(call: Call, execution: Execution, step: ExecutionStep) -> dict[str, Any]:
    """The resource."""
    url, made = _url(call, execution, step), iso_seconds(step.date_created)
    return {
        "sid": step.sid,
        "account_sid": execution.account_sid,
        "flow_sid": execution.flow_sid,
        "execution_sid": execution.sid,
        "parent_step_sid": step.parent_step_sid,
        "name": step.name,
        "context": orjson.loads(step.context),
        "transitioned_from": step.transitioned_from,
        "transitioned_to": step.transitioned_to,
        "type": step.type,
        "date_created": made,
        "date_updated": made,
        "url": url,
        "links": {"step_context": f"{url}/Context"},
    }


async def _named(
    call: Call, tx: Tx, account_sid: str, segment: str
) -> tuple[Execution, ExecutionStep]:
    _, execution = await below(call, tx, account_sid)
    sid = path_sid(call, segment, ids.EXECUTION_STEP)
    return execution, call.found(await executions.step(tx, execution.sid, sid))


def _url(call: Call, execution: Execution, step: ExecutionStep) -> str:
    return f"{where(call, execution)}/Steps/{step.sid}"
