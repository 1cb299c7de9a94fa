"""The loop that fetches the files of inbound messages from their carriers.

Each file is an item in a lane of its own, claimed by lease and tried again on the schedule. What
keeps it from coming is on its media row (`error`); after the last attempt it is failed there, and a
dead letter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial

import asyncpg

from app import ids
from app.carriers.contract import MediaKeeper, MediaSource
from app.errors import CarrierError, Invalid, Permanent, Refused, Temporary, Unavailable
from app.files import sniff
from app.files.store import Kept
from app.lanes import LaneLoop
from app.media import intake
from app.media.download import Gone, Said, download
from app.media.intake import Incoming
from app.model.outbox import MEDIA
from app.observe import DeadLettered, MediaFetched
from app.rules.schedule import next_attempt
from app.runtime import Runtime
from app.store import media, outbox, settling
from app.store.media import Fetching
from app.store.outbox import Claimed
from app.store.settling import Settled

SETTLE_S = 60.0
"""How long sealing, syncing and writing down may take on top of the fetch."""
DETAIL_CHARS_MAX = 500
NAME_CHARS_MAX = 256


@dataclass(frozen=True, slots=True)
class Fetched:
    """How one attempt went; what came is `stored` already, and everything is written down. Where it
    is not, `error` says what it came to."""

    item: Claimed
    outcome: str
    error: CarrierError | None = None
    size: int = 0
    took_s: float = 0.0


def fetch_loop(runtime: Runtime) -> LaneLoop[Fetching, Fetched]:
    """The loop; it settles what it fetched itself."""
    schedule = runtime.settings.media
    return LaneLoop(
        MEDIA,
        runtime.db,
        runtime.wakes.bell(MEDIA),
        runtime.clock,
        runtime.observe,
        load,
        partial(attempt, runtime),
        broken,
        partial(settle, runtime),
        in_flight=schedule.in_flight,
        lease_s=schedule.effective_lease_s(2 * schedule.timeout_s + SETTLE_S),
    )


async def load(sql: asyncpg.Connection, items: Sequence[Claimed]) -> Mapping[int, Fetching]:
    """What is to be fetched; a file whose message is gone, or that is there, is not."""
    found = await media.fetching(sql, [item.token for item in items])
    return {item.seq: found[item.token] for item in items if item.token in found}


def broken(item: Claimed, _: Fetching | None, error: Exception) -> Fetched:
    """An attempt that was cut, or that broke where it should not: another one may do better."""
    return Fetched(item, "temporary", Temporary(str(error) or type(error).__name__))


async def attempt(runtime: Runtime, item: Claimed, wanted: Fetching | None) -> Fetched:
    """Fetch one file and keep it; never raises a CarrierError."""
    if wanted is None:
        return Fetched(item, "gone")
    started = runtime.clock.monotonic()
    try:
        fetched = await _fetch(runtime, item, wanted)
    except Permanent as error:
        fetched = Fetched(item, "failed", error)
    except CarrierError as error:
        fetched = Fetched(item, "temporary", error)
    except Invalid as error:  # an empty file
        fetched = Fetched(item, "failed", Permanent(error.message, error.code))
    except Refused as error:  # no place, or no key to seal with: for an operator to mend
        fetched = Fetched(item, "temporary", Temporary(error.message, error.code))
    return replace(fetched, took_s=runtime.clock.monotonic() - started)


async def _fetch(runtime: Runtime, item: Claimed, wanted: Fetching) -> Fetched:
    source = await _source(runtime, item, wanted)
    timeout_s = runtime.settings.media.timeout_s
    async with AsyncExitStack() as stack:
        incoming = await stack.enter_async_context(intake.receiving(runtime))
        client = runtime.egress
        try:
            said = await download(client, source.url, source.headers, incoming, timeout_s)
        except Gone as gone:
            if source.url == wanted.source_url:
                raise
            # Its carrier named this place a moment ago: that is over, and the next try asks again.
            raise Temporary(gone.message, gone.code) from None
        kept = await intake.put(runtime, incoming)
        async with runtime.db.begin() as tx:
            key = await _keep(runtime, tx.sql, item, wanted, said, incoming, kept)
    runtime.wakes.ring(MEDIA)
    if key is None:
        return Fetched(item, "gone")
    await intake.settle(runtime, kept, key, "carrier")
    return Fetched(item, "stored", size=kept.size)


async def _source(runtime: Runtime, item: Claimed, wanted: Fetching) -> MediaSource:
    """Where the file is now: some carriers want to be asked."""
    carrier = runtime.carriers.get(item.scope or "")
    url = wanted.source_url or ""
    if carrier is None:
        raise Temporary(f"carrier {item.scope} is not in the configuration")
    if isinstance(carrier, MediaKeeper):
        return await carrier.media_source(url, runtime.context)
    return MediaSource(url, {})


async def _keep(
    runtime: Runtime,
    sql: asyncpg.Connection,
    item: Claimed,
    wanted: Fetching,
    said: Said,
    incoming: Incoming,
    kept: Kept,
) -> str | None:
    """The file and its media belong together from now on; None when those are gone."""
    row = (await media.lock(sql, [wanted.sid])).get(wanted.sid)
    if row is None or row["message_sid"] is None or row["status"] != "pending":
        return None
    key = await intake.adopt(runtime, sql, incoming, kept)
    named = sniff.plain(wanted.content_type) not in ("", sniff.UNKNOWN)
    filename = (said.filename or "").replace("\x00", "")[-NAME_CHARS_MAX:] or None
    await media.stored(
        sql,
        wanted.sid,
        key=key,
        size=kept.size,
        content_type=wanted.content_type
        if named
        else sniff.settled(sniff.plain(said.content_type), incoming.head),
        filename=filename,
        now=runtime.clock.now(),
    )
    return key


async def settle(runtime: Runtime, fetched: Fetched) -> None:
    """Write an attempt down; its lane goes, or waits for the next one. Raises Unavailable when the
    lease ran out."""
    now, item = runtime.clock.now(), fetched.item
    settled = verdict(runtime, fetched)
    async with runtime.db.begin() as tx:
        row = (await media.lock(tx.sql, [item.token])).get(item.token)
        if not await outbox.fence(tx.sql, [item]):
            raise Unavailable("the lease ran out")
        if fetched.error is not None and row is not None and row["status"] == "pending":
            final = settled.dead is not None
            said = settled.dead or settled.detail or ""
            await media.failed(tx.sql, item.token, said, now, final=final)
        await settling.settle(tx.sql, [settled], now)
    runtime.wakes.ring(MEDIA)
    runtime.observe(
        MediaFetched(
            outcome="failed" if settled.dead is not None else fetched.outcome,
            attempt=item.attempts,
            size=fetched.size,
            took_s=fetched.took_s,
            detail=settled.detail,
            media_sid=item.token,
            conversation_sid=item.conversation_sid,
        )
    )
    if settled.dead is not None:
        runtime.observe(DeadLettered(MEDIA, fetched.outcome, item.conversation_sid, settled.dead))


def verdict(runtime: Runtime, fetched: Fetched) -> Settled:
    """What an attempt's outcome means for its item: done, again, or dead."""
    item, error, schedule = fetched.item, fetched.error, runtime.settings.media
    detail = error.message[:DETAIL_CHARS_MAX] if error is not None else None
    ended = Settled(item, fetched.outcome, detail=detail, error_code=error.code if error else None)
    if error is None:
        return ended
    if isinstance(error, Permanent):
        return replace(ended, dead=detail)
    due = next_attempt(
        item.attempts,
        runtime.clock.now(),
        schedule.waits_s,
        schedule.jitter,
        ids.chance(),
        error.retry_after_s if isinstance(error, Temporary) else None,
        schedule.retry_after_max_s,
    )
    if due is None:
        return replace(ended, dead=f"given up after {item.attempts} attempts: {detail}")
    return replace(ended, due=due)
