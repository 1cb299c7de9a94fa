"""Flows ("REST API v2: Flow"): definitions in revisions, drafts and published ones."""

from __future__ import annotations

from functools import partial
from typing import Any

import orjson

from app import ids
from app.api import parameters as kinds
from app.api.call import Call, takes
from app.api.declared import owned
from app.api.flow_definition import DEFINITION, check, problems
from app.api.forms import INVALID, Parameter
from app.api.page import Listing
from app.clock import iso_seconds
from app.errors import Invalid
from app.model import Flow, FlowRevision
from app.model.flows import DRAFT, PUBLISHED
from app.store import flows
from app.store.database import Tx

PATH = "/Flows"
NAME_CHARS_MAX, MESSAGE_CHARS_MAX = 255, 512
TEST_USERS_MAX = 100


def _named(text: str) -> str:
    if not text or len(text) > NAME_CHARS_MAX:
        raise Invalid(INVALID, "Invalid FriendlyName")
    return text


FRIENDLY_NAME = kinds.text("FriendlyName", _named)
NEW_NAME, NEW_DEFINITION = FRIENDLY_NAME.needed(), DEFINITION.needed()
STATUS = kinds.choice(
    "Status", {DRAFT: DRAFT, PUBLISHED: PUBLISHED}, INVALID, "Invalid Status"
).needed()
COMMIT_MESSAGE = kinds.short("CommitMessage", MESSAGE_CHARS_MAX, INVALID, "Invalid CommitMessage")
TEST_USERS: Parameter[list[str]] = Parameter(
    "TestUsers",
    lambda texts: _users([text for text in texts if text]),
    {"type": "array", "items": {"type": "string"}},
    required=True,
)

UNJUDGED = {"definition": None, "valid": None, "errors": None}
"""What lists say of definitions."""

LISTING = Listing("flows", (str,), size=50, size_max=1000)


@takes()
async def page(call: Call) -> dict[str, Any]:
    """The account's flows, in the order in which they were made; without their definitions."""
    async with call.begin() as (tx, scope):
        wanted = call.wanted(LISTING)
        rows = await flows.page(tx, scope.account_sid, wanted.slice)
    return wanted.answer(rows, flows.key, partial(show, call))


@takes(NEW_NAME, STATUS, NEW_DEFINITION, COMMIT_MESSAGE)
async def create(call: Call) -> dict[str, Any]:
    """A new flow: a draft, or one that is published at once."""
    form = call.form
    await check(form[NEW_DEFINITION], form[STATUS])
    async with call.begin() as (tx, scope):
        flow = Flow(
            sid=ids.new(ids.FLOW),
            account_sid=scope.account_sid,
            friendly_name=form[NEW_NAME],
            status=form[STATUS],
            revision=0,
            commit_message=form.get(COMMIT_MESSAGE),
            date_created=tx.now,
            date_updated=tx.now,
        )
        flows.advanced(flow, form[STATUS])
        revision = await flows.add(tx, flow, form[NEW_DEFINITION])
    return await shown(call, flow, revision)


@takes()
async def fetch(call: Call) -> dict[str, Any]:
    """One flow, with its latest definition."""
    async with call.begin() as (tx, scope):
        flow = await named(call, tx, scope.account_sid)
        revision = call.found(await flows.revision(tx, flow, flow.revision))
    return await shown(call, flow, revision)


@takes(FRIENDLY_NAME, STATUS, DEFINITION, COMMIT_MESSAGE)
async def update(call: Call) -> dict[str, Any]:
    """One revision more: what is not sent is as in the latest one. Messages run the latest that is
    published; what runs already goes on as it began."""
    form = call.form
    checked = await _publishable(call) if form[STATUS] == PUBLISHED else None
    async with call.begin() as (tx, scope):
        flow = await named(call, tx, scope.account_sid, change=True)
        latest = call.found(await flows.revision(tx, flow, flow.revision))
        definition = form.get(DEFINITION, latest.definition)
        if definition != checked:  # a draft, or the latest is another one by now
            await check(definition, form[STATUS])
        flow.friendly_name = form.get(FRIENDLY_NAME, flow.friendly_name)
        flow.commit_message = form.get(COMMIT_MESSAGE)
        flow.date_updated = tx.now
        flows.advanced(flow, form[STATUS])
        revision = await flows.revise(tx, flow, definition)
    return await shown(call, flow, revision)


@takes()
async def delete(call: Call) -> None:
    """Delete a flow with its revisions and executions."""
    async with call.begin() as (tx, scope):
        flow = await named(call, tx, scope.account_sid, change=True)
        await flows.remove(tx, flow.sid)


@takes(NEW_NAME, STATUS, NEW_DEFINITION, COMMIT_MESSAGE)
async def validate(call: Call) -> dict[str, Any]:
    """Whether a definition can be published; if not, the refusal's details say why."""
    await check(call.form[NEW_DEFINITION], PUBLISHED)
    return {"valid": True}


@takes()
async def fetch_test_users(call: Call) -> dict[str, Any]:
    """Who runs the latest revision although it is a draft."""
    async with call.begin() as (tx, scope):
        flow = await named(call, tx, scope.account_sid)
    return _tested(call, flow)


@takes(TEST_USERS)
async def update_test_users(call: Call) -> dict[str, Any]:
    """Name those whose messages run the latest revision: identities or addresses."""
    async with call.begin() as (tx, scope):
        flow = await named(call, tx, scope.account_sid, lock=True)
        flow.test_users = call.form[TEST_USERS]
        await flows.test_by(tx, flow)
    return _tested(call, flow)


async def _publishable(call: Call) -> str:
    """The definition that an update publishes, checked while nothing is locked and no connection
    is held: one of 1 MB takes seconds. Raises Invalid 20422."""
    async with call.begin() as (tx, scope):
        flow = await named(call, tx, scope.account_sid)
        definition = call.form.get(DEFINITION)
        if definition is None:
            definition = call.found(await flows.revision(tx, flow, flow.revision)).definition
    await check(definition, PUBLISHED)
    return definition


async def named(
    call: Call,
    tx: Tx,
    account_sid: str,
    segment: str = "Sid",
    *,
    lock: bool = False,
    change: bool = False,
) -> Flow:
    """The flow that a segment of the path names; to change it, it must not be the file's. Raises
    Conflict 20409."""
    sid = path_sid(call, segment, ids.FLOW)
    flow = call.found(await flows.find(tx, account_sid, sid, lock=lock or change))
    if change and flow.declared_as is not None:
        raise owned("The flow", flow.declared_as)
    return flow


def path_sid(call: Call, segment: str, prefix: str) -> str:
    """The SID that a segment of the path is; raises NotFound for anything else."""
    text = call.key(segment)
    if not ids.is_sid(text, prefix):
        raise call.missing()
    return ids.lowered(text)


def url_of(call: Call, flow_sid: str) -> str:
    """Where a flow is; what hangs on it is below."""
    return f"{call.links.host}/v2{PATH}/{flow_sid}"


async def shown(call: Call, flow: Flow, revision: FlowRevision) -> dict[str, Any]:
    """The resource, with its definition and what is wrong with it."""
    return show(call, flow) | await judged(revision) | {"warnings": []}


def show(call: Call, flow: Flow) -> dict[str, Any]:
    """The resource as lists show it."""
    url = url_of(call, flow.sid)
    return {
        "sid": flow.sid,
        "account_sid": flow.account_sid,
        "author_sid": None,
        "friendly_name": flow.friendly_name,
        "status": flow.status,
        "revision": flow.revision,
        "commit_message": flow.commit_message,
        **UNJUDGED,
        "warnings": None,
        "webhook_url": None,
        "date_created": iso_seconds(flow.date_created),
        "date_updated": iso_seconds(flow.date_updated),
        "url": url,
        "links": {
            "test_users": f"{url}/TestUsers",
            "revisions": f"{url}/Revisions",
            "executions": f"{url}/Executions",
        },
    }


async def judged(revision: FlowRevision) -> dict[str, Any]:
    """A definition and what is wrong with it."""
    wrong = [] if revision.status == PUBLISHED else await problems(revision.definition)
    return {"definition": orjson.loads(revision.definition), "valid": not wrong, "errors": wrong}


def _tested(call: Call, flow: Flow) -> dict[str, Any]:
    url = f"{url_of(call, flow.sid)}/TestUsers"
    return {"sid": flow.sid, "test_users": flow.test_users, "url": url}


def _users(texts: list[str]) -> list[str]:
    if len(texts) > TEST_USERS_MAX or any(len(text) > NAME_CHARS_MAX for text in texts):
        raise Invalid(INVALID, "Invalid TestUsers")
    return texts
