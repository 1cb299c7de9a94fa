"""What webhooks lost: each carrier's own list of messages is compared with the inbox.

A look has a window: from a while before the end of the last complete look (a list may be late) to a
while ago (a webhook may be under way). It is read page by page, newest first as lists are, and the
place is remembered; what is missing is kept aside until the whole window is read. Then it walks the
road like any inbound, the earliest first, under the same key: of a webhook that comes later, or at
the same moment, nothing comes twice. A recovered message stands behind what is in its conversation
by then; only among each other are such messages in the order in which they were sent.

One replica at a time has a carrier's look, by a lease that every step names. Of our own messages
the list tells statuses that no callback told; and where a send waits whose outcome is not known,
one that we do not know of is the reason to ask about it now (app/delivery/attempt.py decides).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import cast

from app import ids
from app.carriers.contract import Listed, Listing, Sent, Unlisted
from app.channels.address import masked
from app.clock import iso_seconds
from app.errors import Unavailable
from app.model.outbox import DELIVERY, delivery_lane
from app.model.traffic import DeliveryStatus, Inbound, Status
from app.observe import Failed, GapsSought, Recovered, Said
from app.road.items import Arrival, Road, Taken
from app.rules.receipts import advance
from app.runtime import Runtime
from app.store import gaps
from app.store.gaps import Look, Lost

RING_S = 1.0
"""How often it is seen whether a look is due."""
LEASE_S = 75.0
"""Longer than the longest call of a carrier (60 s and 5 s to connect)."""
PAGES_MAX = 20
WALKED_MAX = 500
"""Pages, and messages taken in, of one turn; the next turn goes on at once."""
LOOK_PAGES_MAX = 5000
"""A million messages: a list that is longer has no end."""
BATCH = 20
WAIT_MAX_S = 3600.0
PATIENCE = 3
"""After so many failures in a row what was found so far is taken in, although more may be missing
that was sent before it."""
DETAIL_CHARS_MAX = 300

SEEN_AS: Mapping[str, str] = {"dropped": "unroutable", "duplicate": "duplicate"}
"""The metric's word for what the road made of it; everything else is accepted."""

Report = Callable[[Status], Awaitable[bool]]


@dataclass(slots=True)
class Tally:
    """What one turn did; see `GapsSought`."""

    pages: int = 0
    listed: int = 0
    junk: int = 0
    missing: int = 0
    recovered: int = 0
    statuses: int = 0
    asked: int = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """One carrier's turn."""

    look: Look
    lister: Listing
    from_: datetime
    until: datetime
    tally: Tally = field(default_factory=Tally)


class Gaps:
    """The looks of all carriers that have a list. `report` settles a status."""

    def __init__(self, runtime: Runtime, road: Road, report: Report) -> None:
        self._runtime, self._road, self._report = runtime, road, report
        carriers = runtime.carriers.items()
        self._listers = {
            name: one for name, one in carriers if isinstance(one, Listing) and one.lists
        }
        self._closing = False

    def close(self) -> None:
        """Begin nothing more."""
        self._closing = True

    async def meet(self) -> None:
        """Begin with carriers that we never met: what comes from now on is ours to take. Call it
        before our doors open."""
        if self._listers:
            first = timedelta(seconds=self._runtime.settings.reconcile.every_s)
            async with self._runtime.db.begin() as tx:
                await gaps.meet(tx.sql, self._listers, tx.now, first)

    async def turn(self) -> None:
        """A turn of each carrier whose look is due."""
        async with asyncio.TaskGroup() as group:
            for name, lister in self._listers.items():
                group.create_task(self._carrier(name, lister))

    async def _carrier(self, name: str, lister: Listing) -> None:
        try:
            async with self._runtime.db.begin() as tx:
                until = tx.now + timedelta(seconds=LEASE_S)
                look = await gaps.claim(tx.sql, name, ids.token(), tx.now, until)
            if look is not None:
                await self._look(look, lister)
        except (Lost, Unavailable):
            pass  # somebody else has it, or the database is away: the next turn goes on

    async def _look(self, look: Look, lister: Listing) -> None:
        """One turn, and when the next one is due."""
        clock = self._runtime.clock
        started, tally = clock.monotonic(), Tally()
        outcome, detail, wait_s = "partial", None, 0.0
        try:
            turn = replace(await self._window(look, lister), tally=tally)
            outcome = await self._work(turn)
        except Unlisted as unlisted:
            outcome, detail = unlisted.outcome, unlisted.message[:DETAIL_CHARS_MAX]
            wait_s = min(unlisted.retry_after_s or 0.0, WAIT_MAX_S)
        except Unavailable:
            pass  # we are stopping, or have too much to do
        except Lost:
            raise
        except Exception as error:
            outcome = "failed"
            self._runtime.observe(Failed("gaps", error))
        if outcome not in ("complete", "partial"):
            detail = detail or outcome
        if outcome != "partial":
            wait_s = max(wait_s, self._runtime.settings.reconcile.every_s)
        async with self._runtime.db.begin() as tx:
            if outcome in ("expired", "garbage"):
                await gaps.begin_anew(tx.sql, look)
            due = tx.now + timedelta(seconds=wait_s)
            await gaps.release(tx.sql, look, due, detail)
        self._runtime.observe(
            _sought(look.carrier, outcome, tally, started, clock.monotonic(), detail)
        )

    async def _window(self, look: Look, lister: Listing) -> Turn:
        """What is looked at: the window that is under way, or the next one."""
        if look.window_from is not None and look.window_until is not None:
            return Turn(look, lister, look.window_from, look.window_until)
        settings = self._runtime.settings.reconcile
        now = self._runtime.clock.now()
        until = now - timedelta(seconds=settings.grace_s)
        oldest = now - timedelta(seconds=settings.look_back_s)
        from_ = max(look.complete_until - timedelta(seconds=settings.overlap_s), look.since, oldest)
        from_ = from_.replace(microsecond=0)  # carriers count whole seconds
        if look.complete_until < oldest:
            between = f"between {iso_seconds(look.complete_until)} and {iso_seconds(oldest)}"
            said = f"what carrier {look.carrier} had {between} is not looked at (look_back_s)"
            self._runtime.observe(Said("warning", "gaps", said))
        async with self._runtime.db.begin() as tx:
            await gaps.open_window(tx.sql, look, from_, until)
        return Turn(replace(look, position=None, read=False, pages=0), lister, from_, until)

    async def _work(self, turn: Turn) -> str:
        """Read on, then take in; complete, or partial when that was enough for one turn."""
        look, tally = turn.look, turn.tally
        position, read = look.position, look.read
        while not read:
            if tally.pages == PAGES_MAX or self._closing:
                return "partial"
            if look.pages + tally.pages >= LOOK_PAGES_MAX:
                raise Unlisted("garbage", "the list has no end")
            try:
                page = await turn.lister.listed(turn.from_, position, self._runtime.context)
            except Unlisted:
                if look.failures >= PATIENCE:
                    await self._walk(turn)  # better out of order than never
                raise
            await self._compare(turn, page)
            position, read = page.following, page.following is None
        outcome = await self._walk(turn)
        if outcome == "complete":
            async with self._runtime.db.begin() as tx:
                await gaps.close_window(tx.sql, look)
        return outcome

    async def _walk(self, turn: Turn) -> str:
        """Take in what was missing, the earliest first; complete when nothing is left."""
        look = turn.look
        while not self._closing and turn.tally.recovered < WALKED_MAX:
            async with self._runtime.db.begin() as tx:
                await gaps.keep(tx.sql, look, tx.now + timedelta(seconds=LEASE_S))
                found = await gaps.finds(tx.sql, look.carrier, BATCH)
            if not found:
                return "complete"
            if not await self._take_in(turn, found):
                return "failed"
        return "partial"

    async def _compare(self, turn: Turn, page: Listed) -> None:
        """Keep what is missing, settle what is news, and turn the page."""
        look, tally = turn.look, turn.tally
        ours = [one for one in page.inbounds if self._is_ours(turn, one)]
        sent = [one for one in page.sent if one.at <= turn.until]
        async with self._runtime.db.read() as tx:
            names = [one.external_id for one in ours]
            absent = await gaps.missing(tx.sql, look.carrier, names) if names else set()
            names = [one.status.external_id for one in sent]
            known = await gaps.statuses(tx.sql, look.carrier, names) if names else {}
        news = [one.status for one in sent if _is_news(one.status, known)]
        await asyncio.gather(*(self._report(status) for status in news))
        lanes = {self._lane(one) for one in sent if one.status.external_id not in known}
        async with self._runtime.db.begin() as tx:
            if absent:
                missing = [one for one in ours if one.external_id in absent]
                await gaps.find(tx.sql, look.carrier, missing, look.pages + tally.pages)
            asked = await gaps.ask_now(tx.sql, lanes, tx.now) if lanes else 0
            leased_until = tx.now + timedelta(seconds=LEASE_S)
            await gaps.turn_page(tx.sql, look, page.following, leased_until)
        if asked:
            self._runtime.wakes.ring(DELIVERY)
        tally.pages += 1
        tally.listed += len(page.inbounds) + len(page.sent)
        tally.junk += page.junk
        tally.missing += len(absent)
        tally.statuses += len(news)
        tally.asked += asked

    def _is_ours(self, turn: Turn, inbound: Inbound) -> bool:
        """Whether it is in the window, and its webhook would have come to us: an account may have
        numbers that are none of our senders."""
        sender = self._runtime.settings.sender(inbound.proxy_address)
        at = inbound.sent_at
        inside = at is not None and turn.from_ <= at <= turn.until
        return inside and sender is not None and sender.carrier == turn.look.carrier

    def _lane(self, sent: Sent) -> str:
        account_sid = self._runtime.settings.owner(sent.proxy_address)
        return delivery_lane(account_sid, sent.proxy_address, sent.address)

    async def _take_in(self, turn: Turn, found: Sequence[Inbound]) -> bool:
        """Walk the road with these, in their order; whether none of them broke it. Raises Unlisted
        when the files of one could not be asked for: those before it are taken in."""
        whole, stopped = await self._whole(turn, found)
        settings = self._runtime.settings
        arrivals = [Arrival(settings.owner(one.proxy_address), one) for one in whole]
        results = await self._road.in_turn(arrivals)
        done: list[str] = []
        broken: list[str] = []
        if stopped is not None and stopped.outcome == "garbage":
            broken.append(found[len(whole)].external_id)  # it must not stop the others for ever
        away: Unavailable | None = None
        for inbound, result in zip(whole, results, strict=True):
            if isinstance(result, Unavailable):
                away = result
                continue
            (done if isinstance(result, Taken) else broken).append(inbound.external_id)
            self._taken(turn, inbound, result)
        fresh = [one for one in results if isinstance(one, Taken) and one.outcome != "duplicate"]
        turn.tally.recovered += len(fresh)
        carrier = turn.look.carrier
        async with self._runtime.db.begin() as tx:
            await gaps.forget(tx.sql, carrier, done)
            await gaps.tried(tx.sql, carrier, broken)
            leased_until = tx.now + timedelta(seconds=LEASE_S)
            await gaps.keep(tx.sql, turn.look, leased_until, len(fresh))
        if away is not None or stopped is not None:
            raise cast(Exception, away or stopped)
        return not broken

    async def _whole(
        self, turn: Turn, found: Sequence[Inbound]
    ) -> tuple[list[Inbound], Unlisted | None]:
        """These with their files, and why it ends before the last one. The lease is held meanwhile:
        each may take a call."""
        clock, whole = self._runtime.clock, list[Inbound]()
        kept = clock.monotonic()
        for one in found:
            if self._closing:
                break
            try:
                whole.append(await turn.lister.whole(one, self._runtime.context))
            except Unlisted as unlisted:
                return whole, unlisted
            if clock.monotonic() - kept > RING_S:
                kept = clock.monotonic()
                async with self._runtime.db.begin() as tx:
                    await gaps.keep(tx.sql, turn.look, tx.now + timedelta(seconds=LEASE_S))
        return whole, None

    def _taken(self, turn: Turn, inbound: Inbound, result: object) -> None:
        taken = result if isinstance(result, Taken) else None
        outcome = SEEN_AS.get(taken.outcome, "accepted") if taken else "failed"
        sent_at = inbound.sent_at or self._runtime.clock.now()
        self._runtime.observe(
            Recovered(
                carrier=turn.look.carrier,
                outcome=outcome,
                rule=taken.rule if taken else None,
                decision=taken.outcome if taken else None,
                autocreate=taken.autocreate if taken else None,
                late_s=max(0.0, (self._runtime.clock.now() - sent_at).total_seconds()),
                external_id=inbound.external_id,
                message_sid=taken.message_sid if taken else None,
                conversation_sid=taken.conversation_sid if taken else None,
                address=masked(inbound.address),
                proxy_address=masked(inbound.proxy_address),
            )
        )
        if taken is None:
            self._runtime.observe(Failed("the road", cast(BaseException, result)))


def _is_news(status: Status, known: Mapping[str, Sequence[str]]) -> bool:
    """Whether it moves a receipt of ours. Of a send to several it is not known whom it is about."""
    held = known.get(status.external_id, ())
    if status.status is None or len(held) != 1:
        return False
    return advance(cast(DeliveryStatus, held[0]), status.status)


def _sought(
    carrier: str, outcome: str, tally: Tally, started: float, ended: float, detail: str | None
) -> GapsSought:
    return GapsSought(
        carrier=carrier,
        outcome=outcome,
        pages=tally.pages,
        listed=tally.listed,
        junk=tally.junk,
        missing=tally.missing,
        recovered=tally.recovered,
        statuses=tally.statuses,
        asked=tally.asked,
        took_s=ended - started,
        detail=detail,
    )
