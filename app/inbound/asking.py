"""The loop that puts the questions about inbounds that were set aside (app/road/asking.py).

One question at a time for each pair, many pairs at once: a hook that hangs holds up the pairs that
it is asked about, nobody else. An answer goes back to the road, which settles it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

import asyncpg

from app import ids
from app.channels.address import masked
from app.errors import Unavailable
from app.inbound.questions import Parcel, inbound_of, parcels
from app.lanes import LaneLoop, OneQueue
from app.model.outbox import ASK
from app.model.traffic import Inbound
from app.observe import Failed, InboundDecided
from app.road.items import Answered, Arrival, Road, Taken
from app.runtime import Runtime
from app.store import outbox
from app.store.outbox import Claimed
from app.store.pre_targets import PreTarget
from app.webhooks import before
from app.webhooks.before import Verdict
from app.webhooks.places import Places

LEASE_S = 30.0
"""A question takes 5 s at most, then the road takes the answer; `hooks.lease_s` overrides it."""
IN_FLIGHT = 128
"""Half of it goes to one target at most: fewer than the questions that may be open to it."""
SOON_S, FULL_S = 0.2, 3.0
"""When a target that has no place left is looked at again: one that is quick, and any other."""
AGAIN_S = 1.0
ABSENT_S = 60.0


class AskQueue:
    """The lanes of those who wait for an answer, as many of each target as it has places: one that
    hangs takes no other's. What has no place now waits a little, and counts as not tried."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._lanes = OneQueue(ASK)
        self._places = Places(IN_FLIGHT, pause_after=0)
        self._placed: set[tuple[str, str]] = set()
        self._parcels: dict[int, Parcel] = {}

    async def take(
        self, sql: asyncpg.Connection, room: int, *, now: datetime, lease_s: float
    ) -> tuple[list[Claimed], datetime | None]:
        """As `Queue` says."""
        claimed, due = await self._lanes.take(sql, room, now=now, lease_s=lease_s)
        self._parcels = dict(await parcels(self._runtime, sql, claimed)) if claimed else {}
        taken = [item for item in claimed if self._place(item)]
        back = [item for item in claimed if item not in taken]
        slow = [item for item in back if not self._quick(item)]
        try:
            await outbox.unbegin(sql, slow, now + timedelta(seconds=FULL_S))
            quick = [item for item in back if item not in slow]
            await outbox.unbegin(sql, quick, now + timedelta(seconds=SOON_S))
        except BaseException:
            for item in taken:
                self.ended(item)
            raise
        return taken, now if back else due  # behind those that were put back there may be others

    async def load(self, sql: asyncpg.Connection, items: Sequence[Claimed]) -> Mapping[int, Parcel]:
        """The parcels of what was just taken."""
        return self._parcels

    def ended(self, item: Claimed) -> None:
        """Its place is free."""
        call = item.lane, item.lease
        if call in self._placed:
            self._placed.remove(call)
            self._places.end(call)

    def learn(self, item: Claimed, target: PreTarget, verdict: Verdict, took_s: float) -> None:
        """How a target answered: one that is quick gets more places."""
        self._places.learn(target.sid, item.lane, well=verdict.status is not None, took_s=took_s)

    def _quick(self, item: Claimed) -> bool:
        target = self._parcels[item.seq].target
        return target is not None and self._places.quick(target.sid)

    def _place(self, item: Claimed) -> bool:
        """A place for it; what asks nobody needs none."""
        parcel = self._parcels.get(item.seq)
        if parcel is None or parcel.target is None:
            return True
        if not self._places.open_to(parcel.target.sid):
            return False
        call = item.lane, item.lease
        self._places.begin(call, parcel.target.sid)
        self._placed.add(call)
        return True


def ask_loop(runtime: Runtime, road: Road) -> LaneLoop[Parcel, Arrival]:
    """The loop; answers go back to `road`."""
    queue = AskQueue(runtime)
    return LaneLoop(
        ASK,
        runtime.db,
        runtime.wakes.bell(ASK),
        runtime.clock,
        runtime.observe,
        queue.load,
        partial(attempt, runtime, queue),
        broken,
        partial(settle, runtime, road),
        in_flight=IN_FLIGHT,
        lease_s=runtime.settings.hooks.effective_lease_s(LEASE_S),
        queue=queue,
    )


async def attempt(
    runtime: Runtime, queue: AskQueue, item: Claimed, parcel: Parcel | None
) -> Arrival:
    """Put the question, if there is one; the arrival with what came of it."""
    if parcel is None:
        return Arrival(item.account_sid, inbound_of(item), Answered(item, again_s=ABSENT_S))
    if parcel.asked is None or parcel.target is None or parcel.event is None:
        return _answered(parcel, Answered(item))
    inbound = parcel.arrival.inbound
    token = ids.stable_token(inbound.carrier, inbound.external_id, parcel.event.name)
    began = runtime.clock.monotonic()
    verdict = await before.ask(runtime, parcel.target, parcel.event, token)
    queue.learn(item, parcel.target, verdict, runtime.clock.monotonic() - began)
    return _answered(parcel, Answered(item, parcel.asked, verdict))


def broken(item: Claimed, parcel: Parcel | None, error: Exception) -> Arrival:
    """A question that was cut, or that broke on our side: it is put again."""
    return Arrival(item.account_sid, inbound_of(item), Answered(item, again_s=AGAIN_S))


async def settle(runtime: Runtime, road: Road, arrival: Arrival) -> None:
    """Let it walk the road. Whatever breaks there leaves it in its place, to be asked about again
    when the lease ends."""
    try:
        taken = await road.submit(arrival)
    except Unavailable:
        raise
    except Exception as error:
        runtime.observe(Failed("an inbound that was asked about", error))
        return
    runtime.wakes.ring(ASK)
    answered = arrival.answered
    if isinstance(taken, Taken) and taken.outcome != "asked" and answered is not None:
        _observe(runtime, arrival.inbound, answered, taken)


def _observe(runtime: Runtime, inbound: Inbound, answered: Answered, taken: Taken) -> None:
    waited = runtime.clock.now() - answered.place.created_at
    runtime.observe(
        InboundDecided(
            carrier=inbound.carrier,
            rule=taken.rule,
            decision=taken.outcome,
            autocreate=taken.autocreate,
            waited_s=max(0.0, waited.total_seconds()),
            external_id=inbound.external_id,
            message_sid=taken.message_sid,
            conversation_sid=taken.conversation_sid,
            address=masked(inbound.address),
            proxy_address=masked(inbound.proxy_address),
        )
    )


def _answered(parcel: Parcel, answered: Answered) -> Arrival:
    return Arrival(parcel.arrival.account_sid, parcel.arrival.inbound, answered)
