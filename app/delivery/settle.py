"""What became of sends: attempts and carriers' statuses walk together, in convoys like the road.

A receipt only moves forward. Everything about one batch commits in one transaction: receipts, the
log of attempts, lanes going on, carriers that fail, post-events. A worker whose lease ran out
settles nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

import asyncpg

from app import ids
from app.channels.facts import channel_message_sid
from app.convoy import Convoy
from app.delivery import parts
from app.delivery.attempt import UNKNOWN_CODE
from app.delivery.pauses import Pauses, Turn
from app.delivery.tried import DETAIL_CHARS_MAX, Tried, detail, observation, told_of
from app.errors import Permanent, Temporary
from app.model import Receipt
from app.model.flows import FLOW
from app.model.outbox import DELIVERY, HOOK
from app.model.parts import reference
from app.model.traffic import Accepted, Status
from app.observe import DeadLettered
from app.rules import registration
from app.rules.receipts import advance
from app.rules.schedule import next_attempt
from app.runtime import Runtime
from app.settings.models import Settings
from app.store import deliveries, outbox, running, settling, webhooks
from app.store.settling import Settled
from app.webhooks import events, tell

LOST = ("failed", "undelivered")

Settling = Convoy[Tried | Status, bool]
"""True: the receipt was found (for an attempt: the lease still held)."""


@dataclass(slots=True)
class Batch:
    """One batch on its way: the receipts it moves and what is said of that. `grouped` are messages
    to group texts: all receipts of one are those of one send. `first` are lanes of flows, locked
    before all others."""

    now: datetime
    settings: Settings
    receipts: dict[str, Receipt] = field(default_factory=dict)
    moved: dict[str, Receipt] = field(default_factory=dict)
    steps: list[tuple[Receipt, str, int | None]] = field(default_factory=list)
    settled: list[Settled] = field(default_factory=list)
    accepted: list[deliveries.External] = field(default_factory=list)
    grouped: set[str] = field(default_factory=set)
    turns: list[Turn] = field(default_factory=list)
    flowing: list[outbox.NewItem] = field(default_factory=list)
    first: set[str] = field(default_factory=set)

    def together(self, receipt: Receipt | None) -> list[Receipt]:
        """All receipts of the send that this is one of."""
        if receipt is None or receipt.message_sid not in self.grouped:
            return [] if receipt is None else [receipt]
        every = self.receipts.values()
        return [one for one in every if one.message_sid == receipt.message_sid]


class Behind(Exception):
    """These lanes of flows come before those that are locked by now: the batch begins again."""

    def __init__(self, lanes: set[str]) -> None:
        super().__init__(*lanes)
        self.lanes = lanes


class Settler:
    """Settles batches on a connection of its own. `more` says whether another one soon follows."""

    def __init__(self, runtime: Runtime, pauses: Pauses) -> None:
        self._runtime, self._pauses = runtime, pauses
        self._held = runtime.db.hold(pinned=True)
        self.more: Callable[[], bool] = bool

    async def __call__(self, items: Sequence[Tried | Status]) -> Sequence[bool]:
        """Settle a batch; gives for each whether it found its receipt."""
        batch, found = await self._together(items)
        self._runtime.wakes.ring(DELIVERY)
        if batch.steps:
            self._runtime.wakes.ring(HOOK)
        if batch.flowing:
            self._runtime.wakes.ring(FLOW)
        if batch.moved:
            moved = {receipt.conversation_sid for receipt in batch.moved.values()}
            self._runtime.db.moved(moved)
        self._observe(batch, items)
        return found

    async def rest(self) -> None:
        """Another one does not follow so soon."""
        await self._held.rest()

    async def close(self) -> None:
        """Give the connection back."""
        await self._held.close()

    async def _together(self, items: Sequence[Tried | Status]) -> tuple[Batch, list[bool]]:
        first: set[str] = set()
        while True:
            batch = Batch(self._runtime.clock.now(), self._runtime.settings, first=first)
            try:
                async with self._held.begin(self.more) as sql:
                    return batch, await self._settle(sql, batch, items)
            except Behind as behind:
                first |= behind.lanes

    async def _settle(
        self, sql: asyncpg.Connection, batch: Batch, items: Sequence[Tried | Status]
    ) -> list[bool]:
        tried = [item for item in items if isinstance(item, Tried)]
        receipts = await self._lock(sql, batch, items)
        if batch.first:
            await outbox.lock_lanes(sql, FLOW, list(batch.first), batch.now)
        ours = await outbox.fence(sql, [one.item for one in tried]) if tried else set()
        found: list[bool] = []
        unmatched: list[Status] = []
        for item, receipt in zip(items, receipts, strict=True):
            if isinstance(item, Tried):
                found.append(item.item.seq in ours)
                if found[-1]:
                    self._attempted(batch, item, receipt)
                elif item.accepted is not None:
                    for one in batch.together(receipt):
                        _accept(batch, one, item, item.accepted)  # a fact, whoever has the lane now
                continue
            if receipt is not None and receipt.carrier != item.carrier:
                receipt = None  # no carrier speaks for what another one sent
            found.append(receipt is not None)
            if receipt is not None:
                _hear(batch, receipt, item)
            elif item.receipt_sid is None and item.address is None:
                unmatched.append(item)
        await self._early(sql, batch, unmatched)
        await self._write(sql, batch, fenced=bool(tried))
        mine = [one for one in tried if one.item.seq in ours]
        batch.turns = await self._pauses.turn(sql, mine, batch.now)
        return found

    async def _lock(
        self, sql: asyncpg.Connection, batch: Batch, items: Sequence[Tried | Status]
    ) -> list[Receipt | None]:
        """The receipt of each item, read under the locks of their conversations."""
        named = [_receipt_sid(item) for item in items]
        nameless = [
            (item.carrier, item.external_id)
            for item in items
            if isinstance(item, Status) and item.receipt_sid is None
        ]
        places, by_external = await deliveries.places(sql, filter(None, named), nameless)
        await deliveries.lock(sql, places.values())
        batch.receipts = await deliveries.rows(sql, places)
        sids = [
            sid or by_external.get((item.carrier, item.external_id))
            if isinstance(item, Status)
            else sid
            for item, sid in zip(items, named, strict=True)
        ]
        grouped = {sid for item, sid in zip(items, sids, strict=True) if sid and _of_group(item)}
        if grouped:
            together = await deliveries.together(sql, grouped)
            batch.receipts |= together
            batch.grouped = {receipt.message_sid for receipt in together.values()}
        return [batch.receipts.get(sid) if sid else None for sid in sids]

    def _attempted(self, batch: Batch, tried: Tried, receipt: Receipt | None) -> None:
        """Apply an attempt to its receipt and say what happens to its item."""
        known = None if receipt is None else parts.name_of(receipt, tried.item.part)
        if tried.accepted is None and known is not None:
            tried = told_of(tried, batch.now)  # a callback has told us meanwhile
        settled = self._verdict(batch, tried)
        for one in batch.together(receipt):
            if tried.outcome != "settled":
                _come_to(batch, one, tried, settled.dead)
            elif known is not None and tried.instead is not None:
                _replace(batch, one, tried.instead)
        batch.settled.append(parts.onward(settled, receipt, batch.now))

    def _verdict(self, batch: Batch, tried: Tried) -> Settled:
        error = tried.error
        ended = Settled(
            tried.item,
            tried.outcome,
            error_code=error.code if error else None,
            detail=detail(tried),
            external_id=tried.accepted.external_id if tried.accepted else None,
            segments=tried.segments.count if tried.segments else None,
            encoding=tried.segments.encoding if tried.segments else None,
        )
        if tried.outcome == "postponed":
            doubtful = tried.item.unknown_since is not None
            return replace(ended, due=tried.not_before, unknown=doubtful, held=tried.held)
        if tried.outcome not in ("temporary", "unknown"):
            return ended
        due = self._next(batch, tried)
        if due is None:
            return replace(ended, dead=f"given up: {ended.detail}"[:DETAIL_CHARS_MAX])
        if tried.not_before is not None:
            due = max(due, tried.not_before)
        return replace(ended, due=due, unknown=tried.outcome == "unknown")

    def _next(self, batch: Batch, tried: Tried) -> datetime | None:
        schedule = self._runtime.settings.delivery
        error = tried.error
        return next_attempt(
            tried.item.attempts,
            batch.now,
            schedule.waits_s,
            schedule.jitter,
            ids.chance(),
            error.retry_after_s if isinstance(error, Temporary) else None,
            schedule.retry_after_max_s,
        )

    async def _early(
        self, sql: asyncpg.Connection, batch: Batch, unmatched: Sequence[Status]
    ) -> None:
        """Keep what came too early; apply what is known of the sends that we just learned of."""
        await deliveries.keep_early(sql, unmatched, batch.now)
        by_external = {
            (receipt.carrier, name): receipt
            for receipt in batch.receipts.values()
            for name in parts.names(receipt)
        }
        for status in await deliveries.take_early(sql, batch.accepted):
            receipt = by_external.get((status.carrier, status.external_id))
            if receipt is not None:  # else it is about a second copy, and the first one counts
                _say(batch, receipt, status)

    async def _write(self, sql: asyncpg.Connection, batch: Batch, *, fenced: bool) -> None:
        await deliveries.move(sql, list(batch.moved.values()), batch.now)
        told = []
        if batch.steps:
            concerned = {receipt.conversation_sid for receipt, _, _ in batch.steps}
            targets = await webhooks.targets(sql, concerned)
            happened = [
                events.delivery_updated(receipt, status, code, batch.now)
                for receipt, status, code in batch.steps
            ]
            told = tell.items(happened, targets, self._runtime.settings, batch.now)
        lost = [receipt for receipt, status, _ in batch.steps if status in LOST]
        if lost:
            batch.flowing = await running.undelivered(sql, lost)
            lanes = {item["lane"] for item in batch.flowing}
            # A flow that speaks elsewhere holds its lane, and waits for one of those fenced here.
            if fenced and not lanes <= batch.first:
                raise Behind(lanes)
        await settling.settle(sql, batch.settled, batch.now)
        await outbox.add(sql, [*told, *batch.flowing], batch.now)

    def _observe(self, batch: Batch, items: Sequence[Tried | Status]) -> None:
        for settled in batch.settled:
            if settled.dead is not None:
                gone = settled.item.conversation_sid
                self._runtime.observe(DeadLettered(DELIVERY, settled.outcome, gone, settled.dead))
        for turn in batch.turns:
            self._runtime.observe(turn)
        for item in items:
            if isinstance(item, Tried):
                self._runtime.observe(observation(item))


def _of_group(item: Tried | Status) -> bool:
    """Whether this is about a send to several."""
    if isinstance(item, Status):
        return item.address is not None
    return item.item.params is not None and "to" in item.item.params


def _come_to(batch: Batch, receipt: Receipt, tried: Tried, dead: str | None) -> None:
    """Apply an attempt to a receipt."""
    if tried.accepted is not None:
        _accept(batch, receipt, tried, tried.accepted)
    elif isinstance(tried.error, Permanent):
        _advance(batch, receipt, tried.error.status, tried.error.code, tried.error.message)
    elif dead is not None:
        code = (tried.error.code if tried.error else None) or UNKNOWN_CODE
        _advance(batch, receipt, "failed", code, dead)


def _accept(batch: Batch, receipt: Receipt, tried: Tried, accepted: Accepted) -> None:
    """The carrier has it."""
    batch.accepted.append((receipt.carrier, accepted.external_id))
    if tried.instead is not None:
        _replace(batch, receipt, tried.instead)
    name = reference(receipt.sid, tried.item.part)
    said = Status(receipt.carrier, accepted.external_id, accepted.status, receipt_sid=name)
    _say(batch, receipt, said)


def _replace(batch: Batch, receipt: Receipt, instead: str) -> None:
    """One template went, for all that it would have been: what was heard of the first part was said
    of it."""
    heard = receipt.parts[0]["status"] if receipt.parts else receipt.status
    receipt.parts, receipt.dropped = None, instead
    batch.moved[receipt.sid] = receipt
    _advance(batch, receipt, heard, None, None)


def _hear(batch: Batch, receipt: Receipt, status: Status) -> None:
    """Apply a status to the receipt that it names; of a group text, to that of whom it is about.
    Whoever that is, the carrier has the send."""
    for one in batch.together(receipt):
        about = status.address in (None, one.address)
        _say(batch, one, status if about else replace(status, status=None))


def _say(batch: Batch, receipt: Receipt, status: Status) -> None:
    """Apply what a carrier says: its name for the send, and its status if that is news."""
    if receipt.parts is not None:
        status, news = parts.heard(receipt, status)
        if news:
            batch.moved[receipt.sid] = receipt
    if receipt.external_id is None:
        receipt.external_id = status.external_id
        known = None if receipt.message_sid in batch.grouped else status.external_id
        receipt.channel_message_sid = channel_message_sid(receipt.channel, known, receipt.sid)
        batch.moved[receipt.sid] = receipt
    if status.status is not None:
        _advance(batch, receipt, status.status, status.error_code, status.error_message)


def _advance(
    batch: Batch, receipt: Receipt, status: str, code: int | None, message: str | None
) -> None:
    if not advance(receipt.status, status):  # type: ignore[arg-type]
        return
    receipt.status = status
    if status in LOST:
        if code == registration.NOT_REGISTERED:
            whose = receipt.account_sid, receipt.proxy_address
            message = registration.reason(batch.settings, *whose, message)[:DETAIL_CHARS_MAX]
        receipt.error_code, receipt.error_message = code, message
    batch.moved[receipt.sid] = receipt
    batch.steps.append((receipt, status, receipt.error_code))


def _receipt_sid(item: Tried | Status) -> str | None:
    return item.item.receipt_sid if isinstance(item, Tried) else parts.sid_of(item.receipt_sid)
