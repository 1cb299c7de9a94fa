"""Events ("http-pull" sinks; ours, the original has none): the account's log, by a cursor.

    GET /v1/Events?Cursor=17&Wait=30        {"events": [...], "cursor": "23", "more": false}
    Accept: text/event-stream               server-sent events; `id` is the cursor

What a consumer got with a cursor it has for good: it keeps the cursor of the last answer, and asks
for what is after it when it has dealt with that. Nothing is put before a cursor that was given out
(app/store/stream_log.py). `Cursor` is a number that was answered before, `earliest` (as without it)
or `latest`. An answer may be empty and its cursor go on: others' types are passed over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import orjson
from aiohttp import web

from app import ids
from app.api import parameters as kinds
from app.api.call import Answer, Call, takes
from app.api.streaming import BAD_PAGE, BAD_SID, NO_SINK
from app.errors import Invalid, NotFound, Unavailable
from app.model import Sink
from app.model.streams import PULL
from app.store import sinks, stream_log, subscriptions
from app.store.database import Tx
from app.streams.cloudevents import envelope
from app.streams.reading import Page, Readers, Trimmed, read

PATH = "/Events"
SSE = "text/event-stream"
EARLIEST, LATEST = "earliest", "latest"
LIMIT_USUAL, LIMIT_MAX, WAIT_S_MAX = 100, 1000, 30
BEAT_S = 15.0
"""How often a quiet stream says that it is alive, and where it is."""
STREAM_S = 60.0
"""How long one connection of a stream lives. Who reads comes again by itself, from where it was; by
then its credentials are looked at again."""
WRITE_S = 30.0
"""How long a reader may take to take what it is sent."""
AGAIN_MS = 1000

READERS = web.AppKey("readers", Readers)

SINK_SID = kinds.sid("SinkSid", ids.SINK, BAD_SID, "SinkSid is not a sink's SID")
CURSOR = kinds.text("Cursor")
LIMIT = kinds.integer(
    "Limit", LIMIT_MAX, BAD_PAGE, f"Limit is not a number from 1 to {LIMIT_MAX}", least=1
)
WAIT = kinds.integer("Wait", WAIT_S_MAX, BAD_PAGE, f"Wait is not a number up to {WAIT_S_MAX}")


@dataclass(slots=True)
class Reading:
    """Who reads: a sink and the types that are subscribed to for it, from `cursor` on."""

    sink: Sink
    wanted: Mapping[str, int]
    cursor: int


@takes(SINK_SID, CURSOR, LIMIT, WAIT)
async def fetch(call: Call) -> Answer:
    """The events after a cursor: at once, or as soon as there are some, or as a stream."""
    limit = call.form.get(LIMIT, LIMIT_USUAL)
    reading = await _begin(call)
    if SSE in call.request.headers.get("Accept", ""):
        return await _stream(call, reading, limit)
    page = await _next(call, reading, limit)
    if not page.events and (wait_s := call.form.get(WAIT, 0)):
        page = await _awaited(call, reading, page, limit, wait_s)
    told = [orjson.Fragment(envelope(one, _version(reading, one.type))) for one in page.events]
    return {
        "events": told,
        "cursor": str(page.cursor),
        "more": page.more,
    }


async def _begin(call: Call) -> Reading:
    """Who reads and from where. Raises NotFound 91001, Invalid 91002."""
    async with call.begin() as (tx, scope):
        sink = await _sink(call, tx, scope.account_sid)
        wanted = await subscriptions.of_sink(tx, sink.sid)
        extent = await stream_log.extent(tx.sql, scope.account_sid)
    asked = call.request.headers.get("Last-Event-ID") or call.form.get(CURSOR) or EARLIEST
    if asked in (EARLIEST, LATEST):
        cursor = extent.before if asked == EARLIEST else extent.head
        return Reading(sink, wanted, cursor)
    cursor = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 20 else -1
    if not 0 <= cursor <= extent.head:
        said = "Cursor is not one that was given out"
        raise Invalid(BAD_PAGE, said, {"earliest": str(extent.before), "latest": str(extent.head)})
    if cursor < extent.before:
        raise _trimmed(extent.before)
    return Reading(sink, wanted, cursor)


async def _sink(call: Call, tx: Tx, account_sid: str) -> Sink:
    """The sink that is read: the one that is named, or the only one."""
    named = call.form.get(SINK_SID)
    if named is not None:
        sink = await sinks.find(tx, account_sid, named)
        if sink is None or sink.type != PULL:
            raise NotFound(NO_SINK, f"SinkSid names no sink of type {PULL}")
        return sink
    of_account = await sinks.pulled(tx, account_sid, 2)
    if not of_account:
        raise NotFound(NO_SINK, f"The account has no sink of type {PULL}")
    if len(of_account) > 1:
        raise Invalid(BAD_SID, f"The account has several sinks of type {PULL}: say SinkSid")
    return of_account[0]


async def _next(call: Call, reading: Reading, limit: int) -> Page:
    """What comes next; the cursor goes on. Raises Invalid 91002 when it is gone by now."""
    async with call.runtime.db.begin() as tx:
        try:
            page = await read(
                tx.sql, call.account_sid, reading.sink.sid, reading.wanted, reading.cursor, limit
            )
        except Trimmed as trimmed:
            raise _trimmed(trimmed.before) from None
    reading.cursor = page.cursor
    return page


async def _awaited(call: Call, reading: Reading, page: Page, limit: int, wait_s: float) -> Page:
    """The first page that is not empty; an empty one when the time is over."""
    readers, clock = call.request.app[READERS], call.runtime.clock
    ends = clock.monotonic() + wait_s
    with readers.one():
        while not page.events and (left_s := ends - clock.monotonic()) > 0:
            if not page.more and not await readers.grown(call.account_sid, reading.cursor, left_s):
                break
            page = await _next(call, reading, limit)
    return page


async def _stream(call: Call, reading: Reading, limit: int) -> web.StreamResponse:
    """The same as server-sent events, for a minute."""
    readers = call.request.app[READERS]
    with readers.one():
        headers = {"Content-Type": SSE, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        response = web.StreamResponse(headers=headers)
        await response.prepare(call.request)
        with suppress(ConnectionError, TimeoutError, Unavailable, Invalid):
            await _flow(call, response, reading, limit)
    return response


async def _flow(call: Call, response: web.StreamResponse, reading: Reading, limit: int) -> None:
    """Events as they come, until the minute is over or we stop. Whatever ends it sooner is told to
    who comes again."""
    readers, clock = call.request.app[READERS], call.runtime.clock
    ends = clock.monotonic() + STREAM_S
    await _write(response, b"retry: %d\nid: %d\n\n" % (AGAIN_MS, reading.cursor))
    while not readers.closing and (left_s := ends - clock.monotonic()) > 0:
        page = await _next(call, reading, limit)
        await _write(response, _told(reading, page))
        if not page.more:
            await readers.grown(call.account_sid, reading.cursor, min(BEAT_S, left_s))
    await response.write_eof()


async def _write(response: web.StreamResponse, text: bytes) -> None:
    async with asyncio.timeout(WRITE_S):
        await response.write(text)


def _told(reading: Reading, page: Page) -> bytes:
    """Each event with its own cursor; at the end a cursor alone, which says nothing and is kept."""
    parts = [
        b"id: %d\ndata: %s\n\n" % (one.position, envelope(one, _version(reading, one.type)))
        for one in page.events
    ]
    return b"".join(parts) + b"id: %d\n\n" % page.cursor


def _version(reading: Reading, kind: str) -> int:
    return reading.wanted.get(kind, 1)


def _trimmed(before: int) -> Invalid:
    said = f"Events up to {before} are kept no longer: go on with Cursor={before}"
    return Invalid(BAD_PAGE, said, {"earliest": str(before)})
