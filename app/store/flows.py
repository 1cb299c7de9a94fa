"""Questions about flows and their revisions."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Select, delete, null, select, update
from sqlmodel import SQLModel

from app.model import Flow, FlowRevision
from app.model.flows import PUBLISHED
from app.store.database import Tx
from app.store.slices import Key, Slice, cut

FLOWS = SQLModel.metadata.tables["flows"]
REVISIONS = SQLModel.metadata.tables["flow_revisions"]
F, R = FLOWS.c, REVISIONS.c

LISTED = select(*(one for one in R if one.name != "definition"), null().label("definition"))
FIXED = {"sid", "account_sid", "date_created", "declared_as"}
LATEST, LATEST_PUBLISHED = "LatestRevision", "LatestPublished"
"""Names that may stand in the place of a revision's number."""


async def find(tx: Tx, account_sid: str, sid: str, *, lock: bool = False) -> Flow | None:
    """The flow of this account with this SID; locked for a change."""
    statement = select(FLOWS).where(F.account_sid == account_sid, F.sid == sid)
    return await tx.first(Flow, statement.with_for_update(key_share=True) if lock else statement)


async def page(tx: Tx, account_sid: str, wanted: Slice) -> list[Flow]:
    """A slice of an account's flows, in the order in which they were made."""
    statement = select(FLOWS).where(F.account_sid == account_sid)
    return await tx.every(Flow, cut(statement, (F.sid,), wanted))


def key(flow: Flow) -> Key:
    """Its place in `page`."""
    return (flow.sid,)


async def add(tx: Tx, flow: Flow, definition: str) -> FlowRevision:
    """Keep a new flow and its first revision."""
    await tx.add(flow)
    return await _revise(tx, flow, definition)


async def revise(tx: Tx, flow: Flow, definition: str) -> FlowRevision:
    """Keep what changed in a locked flow, and the revision that it has now."""
    changed = flow.model_dump(exclude=FIXED)
    await tx.run(update(FLOWS).where(F.sid == flow.sid).values(changed))
    return await _revise(tx, flow, definition)


async def test_by(tx: Tx, flow: Flow) -> None:
    """Keep who tests a locked flow."""
    await tx.run(update(FLOWS).where(F.sid == flow.sid).values(test_users=flow.test_users))


async def remove(tx: Tx, sid: str) -> int:
    """Delete a flow with its revisions and executions; gives how many there were."""
    return await tx.run(delete(FLOWS).where(F.sid == sid))


async def revision(tx: Tx, flow: Flow, named: int | str) -> FlowRevision | None:
    """A revision by its number, or the latest one, or the latest that is published."""
    number = {LATEST: flow.revision, LATEST_PUBLISHED: flow.published}.get(str(named), named)
    if number is None:
        return None
    statement = _of(flow.sid).where(R.revision == number)
    return await tx.first(FlowRevision, statement)


async def revisions(tx: Tx, sid: str, wanted: Slice) -> list[FlowRevision]:
    """A slice of a flow's revisions, the newest first, without their definitions."""
    listed = cut(LISTED.where(R.flow_sid == sid), (R.revision,), wanted, descending=True)
    return await tx.every(FlowRevision, listed)


def revision_key(revision: FlowRevision) -> Key:
    """Its place in `revisions`."""
    return (revision.revision,)


async def _revise(tx: Tx, flow: Flow, definition: str) -> FlowRevision:
    revision = FlowRevision(
        flow_sid=flow.sid,
        revision=flow.revision,
        friendly_name=flow.friendly_name,
        status=flow.status,
        definition=definition,
        commit_message=flow.commit_message,
        date_created=flow.date_updated,
    )
    await tx.add(revision)
    return revision


def advanced(flow: Flow, status: str) -> None:
    """The flow has one revision more, of this status."""
    flow.revision += 1
    flow.status = status
    if status == PUBLISHED:
        flow.published = flow.revision


def _of(sid: str) -> Select[Any]:
    return select(REVISIONS).where(R.flow_sid == sid)
