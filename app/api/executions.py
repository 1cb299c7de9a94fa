"""Executions of a flow ("REST API v2: Execution"), and what they know."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Any

import orjson

from app import ids
from app.api import parameters as kinds
from app.api.call import Call, takes
from app.api.execution_start import begin, keep
from app.api.flows import PATH as FLOWS_PATH
from app.api.flows import named, path_sid, url_of
from app.api.forms import INVALID, Parameter
from app.api.page import Listing
from app.clock import iso_seconds
from app.errors import Invalid
from app.model import Execution, Flow
from app.model.flows import ACTIVE, ENDED
from app.rules import executions as rules
from app.store import executions
from app.store.database import Tx

PATH = FLOWS_PATH + "/{FlowSid}/Executions"
ADDRESS_CHARS_MAX = 256


def _parameters(texts: Sequence[str]) -> dict[str, Any]:
    """A JSON object."""
    try:
        value = orjson.loads(texts[-1] or "{}")
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise ValueError
    return value


def _address(name: str) -> Parameter[str]:
    def check(text: str) -> str:
        if not text.strip() or len(text) > ADDRESS_CHARS_MAX:
            raise Invalid(INVALID, f"Invalid {name}")
        return text.strip()

    return kinds.text(name, check).needed()


TO, FROM = _address("To"), _address("From")
PARAMETERS: Parameter[dict[str, Any]] = Parameter("Parameters", _parameters)
STATUS = kinds.choice("Status", {ACTIVE: ACTIVE, ENDED: ENDED}, INVALID, "Invalid Status")
NEW_STATUS = kinds.choice("Status", {ENDED: ENDED}, INVALID, "Invalid Status").needed()
FROM_DATE = kinds.since("DateCreatedFrom")
TO_DATE = kinds.until("DateCreatedTo")

LISTING = Listing("executions", (datetime, str), size=50, size_max=1000)


@takes(STATUS, FROM_DATE, TO_DATE)
async def page(call: Call) -> dict[str, Any]:
    """The executions of a flow, the newest first; without what they know."""
    form = call.form
    async with call.begin() as (tx, scope):
        flow = await named(call, tx, scope.account_sid, "FlowSid")
        wanted = call.wanted(LISTING)
        rows = await executions.page(
            tx,
            flow.sid,
            wanted.slice,
            status=form.get(STATUS),
            since=form.get(FROM_DATE),
            until=form.get(TO_DATE),
        )
    return wanted.answer(rows, executions.key, partial(show, call))


@takes(TO, FROM, PARAMETERS)
async def create(call: Call) -> dict[str, Any]:
    """Start the flow for somebody: in the conversation that holds this pair, or in a new one."""
    form = call.form
    async with call.begin() as (tx, scope):
        flow, now = await named(call, tx, scope.account_sid, "FlowSid"), tx.now
    begun = await begin(call, flow, form[TO], form[FROM], form.get(PARAMETERS, {}), now)
    async with call.begin() as (tx, scope):
        await keep(call, tx, scope, begun)
        execution = call.found(await executions.find(tx, flow.sid, begun.sid))
    return show(call, execution) | {"context": known(execution)}


@takes()
async def fetch(call: Call) -> dict[str, Any]:
    """One execution."""
    async with call.begin() as (tx, scope):
        _, execution = await below(call, tx, scope.account_sid, "Sid")
    return show(call, execution) | {"context": known(execution)}


@takes(NEW_STATUS)
async def update(call: Call) -> dict[str, Any]:
    """End an execution; what it has said already stays said."""
    _ = call.form
    async with call.begin() as (tx, scope):
        flow, execution = await below(call, tx, scope.account_sid, "Sid")
        await executions.end(tx, execution.sid)
        execution = call.found(await executions.find(tx, flow.sid, execution.sid))
    return show(call, execution) | {"context": known(execution)}


@takes()
async def delete(call: Call) -> None:
    """Delete an execution with its steps; one that is active ends."""
    async with call.begin() as (tx, scope):
        _, execution = await below(call, tx, scope.account_sid, "Sid")
        if not await executions.remove(tx, execution.sid):
            raise call.missing()


@takes()
async def fetch_context(call: Call) -> dict[str, Any]:
    """What an execution knows: the variables of its flow."""
    async with call.begin() as (tx, scope):
        _, execution = await below(call, tx, scope.account_sid)
    return {
        "account_sid": execution.account_sid,
        "context": known(execution),
        "flow_sid": execution.flow_sid,
        "execution_sid": execution.sid,
        "url": f"{where(call, execution)}/Context",
    }


async def below(
    call: Call, tx: Tx, account_sid: str, segment: str = "ExecutionSid"
) -> tuple[Flow, Execution]:
    """The flow and the execution that the path leads through."""
    flow = await named(call, tx, account_sid, "FlowSid")
    sid = path_sid(call, segment, ids.EXECUTION)
    return flow, call.found(await executions.find(tx, flow.sid, sid))


def known(execution: Execution) -> dict[str, Any]:
    """The variables of an execution."""
    return dict(rules.read(execution.memory).frames[0].memory.context)


def where(call: Call, execution: Execution) -> str:
    """The URL of an execution; what hangs on it is below."""
    return f"{url_of(call, execution.flow_sid)}/Executions/{execution.sid}"


def show(call: Call, execution: Execution) -> dict[str, Any]:
    """The resource as lists show it."""
    url, contact = where(call, execution), execution.contact_channel_address
    return {
        "sid": execution.sid,
        "account_sid": execution.account_sid,
        "flow_sid": execution.flow_sid,
        "contact_channel_address": contact,
        "contact_sid": contact and ids.stable(ids.CONTACT, execution.account_sid, contact),
        "flow_version": execution.flow_version,
        "context": {},
        "status": execution.status,
        "initiated_by": execution.initiated_by,
        "date_created": iso_seconds(execution.date_created),
        "date_updated": iso_seconds(execution.date_updated),
        "url": url,
        "links": {"steps": f"{url}/Steps", "execution_context": f"{url}/Context"},
    }
