"""Sinks ("Sink Resource", Event Streams): where events go, and trying whether they arrive."""

from __future__ import annotations

from functools import partial
from typing import Any

from app import ids
from app.api import parameters as kinds
from app.api.call import Call, takes
from app.api.forms import Parameter
from app.api.page import Listing
from app.api.scope import Links
from app.api.sink_configuration import configured, parsed, shown
from app.api.streaming import (
    BAD_REQUEST,
    BAD_TEST,
    NO_SINK,
    SINK_NOT_MADE,
    SINK_USED,
    SINKS_FULL,
    description,
    found,
    sid,
    wanted,
)
from app.clock import iso_seconds
from app.errors import Conflict, Invalid
from app.model import Sink
from app.model.streams import (
    ACTIVE,
    FOLLOW,
    INITIALIZED,
    KINESIS,
    PULL,
    SINK_STATUSES,
    SINK_TYPES,
    STREAM,
    VALIDATING,
)
from app.store import sinks, stream_log, subscriptions
from app.store.database import Tx
from app.store.stream_log import Happened
from app.streams.cloudevents import test_event

PATH = "/Sinks"
SUBMITTED, VALID = {"result": "submitted"}, {"result": "valid"}

DESCRIPTION = kinds.text("Description", description).needed()
TYPE = kinds.choice(
    "SinkType", {one: one for one in SINK_TYPES}, SINK_NOT_MADE, "SinkType is not one that is here"
).needed()
CONFIGURATION: Parameter[dict[str, Any]] = Parameter(
    "SinkConfiguration", lambda texts: parsed(texts[-1]), required=True
)
TEST_ID = kinds.text("TestId").needed()
IN_USE = kinds.flag("InUse")
STATUS = kinds.choice(
    "Status", {one: one for one in SINK_STATUSES}, BAD_REQUEST, "Status is not one of a sink"
)

LISTING = Listing("sinks", (str,), size=50, size_max=1000)


@takes(IN_USE, STATUS)
async def page(call: Call) -> dict[str, Any]:
    """The account's sinks, in the order in which they were made."""
    asked = wanted(call, LISTING)
    async with call.begin() as (tx, scope):
        rows = await sinks.page(
            tx,
            scope.account_sid,
            asked.slice,
            status=call.form.get(STATUS),
            in_use=call.form.get(IN_USE),
        )
    return asked.answer(rows, sinks.key, partial(show, links=call.links))


@takes(DESCRIPTION, CONFIGURATION, TYPE)
async def create(call: Call) -> dict[str, Any]:
    """A new sink. One of Kinesis is to be validated; the others are active at once."""
    given = call.form[CONFIGURATION]
    configuration = configured(call.form[TYPE], given)
    async with call.begin() as (tx, scope):
        await subscriptions.lock(tx, scope.account_sid)
        if await sinks.count(tx, scope.account_sid) >= call.runtime.settings.streams.sinks_max:
            raise Invalid(SINKS_FULL, "The account has as many sinks as it may have")
        sink = Sink(
            sid=ids.new(ids.SINK),
            account_sid=scope.account_sid,
            description=call.form[DESCRIPTION],
            type=call.form[TYPE],
            configuration=configuration,
            status=INITIALIZED if call.form[TYPE] == KINESIS else ACTIVE,
            date_created=tx.now,
            date_updated=tx.now,
        )
        await tx.add(sink)
    return show(sink, call.links)


@takes()
async def fetch(call: Call) -> dict[str, Any]:
    """One sink."""
    async with call.begin() as (tx, scope):
        sink = await _named(call, tx, scope.account_sid)
    return show(sink, call.links)


@takes(DESCRIPTION)
async def update(call: Call) -> dict[str, Any]:
    """Describe a sink in other words; where it leads stays."""
    async with call.begin() as (tx, scope):
        sink = await _named(call, tx, scope.account_sid, lock=True)
        sink.description, sink.date_updated = call.form[DESCRIPTION], tx.now
        await sinks.write(tx, sink)
    return show(sink, call.links)


@takes()
async def delete(call: Call) -> None:
    """Delete a sink that no subscription sends to."""
    async with call.begin() as (tx, scope):
        await subscriptions.lock(tx, scope.account_sid)
        sink = await _named(call, tx, scope.account_sid, lock=True)
        if await sinks.used(tx, sink.sid):
            raise Conflict(SINK_USED, "The sink is in use: delete its subscriptions first")
        await sinks.remove(tx, sink.sid)


@takes()
async def test(call: Call) -> dict[str, Any]:
    """Send the sink a test event: the `test_id` in it validates the sink."""
    async with call.begin() as (tx, scope):
        sink = await _named(call, tx, scope.account_sid, lock=True)
        sink.test_id, sink.date_updated = ids.new(ids.SINK_TEST), tx.now
        if sink.status != ACTIVE:
            sink.status = VALIDATING
        await sinks.write(tx, sink)
        if sink.type == PULL:
            await _log_test(tx, sink)
        else:
            await sinks.test(tx, sink)
            tx.rings.add(FOLLOW)
    return dict(SUBMITTED)


@takes(TEST_ID)
async def validate(call: Call) -> dict[str, Any]:
    """Make a sink active whose test event was read."""
    async with call.begin() as (tx, scope):
        sink = await _named(call, tx, scope.account_sid, lock=True)
        if sink.test_id is None or call.form[TEST_ID].lower() != sink.test_id.lower():
            raise Invalid(BAD_TEST, "TestId is not that of the sink's last test event")
        sink.status, sink.date_updated = ACTIVE, tx.now
        await sinks.write(tx, sink)
    return dict(VALID)


def show(sink: Sink, links: Links) -> dict[str, Any]:
    """The resource."""
    url = links.account(f"{PATH}/{sink.sid}")
    return {
        "sid": sink.sid,
        "description": sink.description,
        "sink_configuration": shown(sink.type, sink.configuration),
        "sink_type": sink.type,
        "status": sink.status,
        "date_created": iso_seconds(sink.date_created),
        "date_updated": iso_seconds(sink.date_updated),
        "url": url,
        "links": {"sink_test": f"{url}/Test", "sink_validate": f"{url}/Validate"},
    }


async def _named(call: Call, tx: Tx, account_sid: str, *, lock: bool = False) -> Sink:
    row = await sinks.find(tx, account_sid, sid(call, "Sid", ids.SINK), lock=lock)
    return found(call, row, NO_SINK)


async def _log_test(tx: Tx, sink: Sink) -> None:
    """The test event of a sink that is read: into the log."""
    assert sink.test_id is not None
    event = test_event(sink.test_id, ids.new(ids.STREAM_EVENT), sink.sid, tx.now)
    assert event.data is not None
    happened = Happened(sink.account_sid, event.id, event.type, event.about, event.data)
    await stream_log.add(tx.sql, [happened], tx.now)
    tx.rings.add(STREAM)
