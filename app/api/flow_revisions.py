"""The revisions of a flow ("REST API v2: Flow Revision"), the newest first."""

from __future__ import annotations

from functools import partial
from typing import Any

from app.api.call import Call, takes
from app.api.flows import PATH as FLOWS_PATH
from app.api.flows import UNJUDGED, judged, named, url_of
from app.api.page import Listing
from app.api.parameters import whole
from app.clock import iso_seconds
from app.model import Flow, FlowRevision
from app.store import flows

PATH = FLOWS_PATH + "/{Sid}/Revisions"
NAMES = {name.lower(): name for name in (flows.LATEST, flows.LATEST_PUBLISHED)}

LISTING = Listing("revisions", (int,), size=50, size_max=1000)


@takes()
async def page(call: Call) -> dict[str, Any]:
    """The revisions of a flow; without their definitions."""
    async with call.begin() as (tx, scope):
        flow = await named(call, tx, scope.account_sid)
        wanted = call.wanted(LISTING)
        rows = await flows.revisions(tx, flow.sid, wanted.slice)
    return wanted.answer(rows, flows.revision_key, partial(show, call, flow))


@takes()
async def fetch(call: Call) -> dict[str, Any]:
    """One revision, by its number; LatestRevision and LatestPublished are names of two."""
    text = call.key("Revision")
    number = NAMES.get(text.lower()) or whole(text)
    async with call.begin() as (tx, scope):
        flow = await named(call, tx, scope.account_sid)
        revision = call.found((number and await flows.revision(tx, flow, number)) or None)
    return show(call, flow, revision) | await judged(revision)


def show(call: Call, flow: Flow, revision: FlowRevision) -> dict[str, Any]:
    """The resource as lists show it."""
    made = iso_seconds(revision.date_created)
    return {
        "sid": flow.sid,
        "account_sid": flow.account_sid,
        "author_sid": None,
        "friendly_name": revision.friendly_name,
        "status": revision.status,
        "revision": revision.revision,
        "commit_message": revision.commit_message,
        **UNJUDGED,
        "date_created": made,
        "date_updated": made,
        "url": f"{url_of(call, flow.sid)}/Revisions/{revision.revision}",
    }
