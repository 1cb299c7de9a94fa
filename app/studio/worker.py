"""The loop of flows: takes the items of their lanes in order, one at a time for each flow and
conversation, many at once.

| item                       | what it does                                                       |
|----------------------------|--------------------------------------------------------------------|
| a message                  | answers the wait of the active execution, or starts a new one      |
| a request (by REST)        | starts the execution that the API has made                         |
| a wait that is over        | answers that wait, if nobody wrote before                          |
| a message of its own that  | answers the wait that follows on it, if it still waits             |
| did not arrive             |                                                                    |

What was begun under an item goes on with it: after a crash, or when an attempt was cut in time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.beside import Crowded
from app.definitions import Definitions
from app.errors import Unavailable
from app.flows.asks import Replied, TimedOut, Undelivered
from app.lanes import LaneLoop
from app.model.flows import EXECUTION, FLOW, REQUEST, TIMEOUT, UNDELIVERED, VERSION
from app.observe import DeadLettered, FlowWalked
from app.road.flowing import Overtaken
from app.road.items import Road
from app.rules import executions as rules
from app.runtime import Runtime
from app.store import running
from app.store.outbox import Claimed
from app.store.running import Ending, Parcel, flow_of
from app.store.settling import Settled
from app.studio.errand import Errand, Shop
from app.studio.keeper import POSTPONED, Kept, Lost

IN_FLIGHT = 128
LEASE_S = 45.0
"""An attempt may take two thirds of it; a flow that asks for more in one go does it in several.
`hooks.lease_s` overrides it."""
ATTEMPTS_MAX = 20
"""Attempts at one item; then it is given up, and what the flow runs there ends."""
AGAIN_S, AGAIN_S_MAX = 0.5, 60.0
GONE, IGNORED, REPLIED, OVERTAKEN, BROKEN = "gone", "ignored", "replied", "overtaken", "broken"
OURS = (REQUEST, TIMEOUT, UNDELIVERED)
UNPUBLISHED = "the flow has no revision that can be run"


@dataclass(frozen=True, slots=True)
class Walked:
    """What became of an item. `settled` None: it is settled already; `ends` is why what its flow
    runs in its conversation ends with it."""

    item: Claimed
    outcome: str
    settled: Settled | None
    execution_sid: str | None = None
    steps: int = 0
    took_s: float = 0.0
    ends: str | None = None


def flow_loop(runtime: Runtime, road: Road, kept: Kept) -> LaneLoop[Parcel, Walked]:
    """The loop; what flows say goes by `road`, where they stand otherwise through `kept`."""
    lease_s = runtime.settings.hooks.effective_lease_s(LEASE_S)
    shop = Shop(runtime, road, kept, Definitions(runtime.db, lease_s / 9), lease_s / 3)
    worker = Worker(shop)
    return LaneLoop(
        FLOW,
        runtime.db,
        runtime.wakes.bell(FLOW),
        runtime.clock,
        runtime.observe,
        running.parcels,
        worker.attempt,
        worker.broken,
        worker.settle,
        in_flight=IN_FLIGHT,
        lease_s=lease_s,
    )


class Worker:
    """Works on items of flows."""

    def __init__(self, shop: Shop) -> None:
        self._shop = shop
        self._runtime = shop.runtime

    async def attempt(self, item: Claimed, parcel: Parcel | None) -> Walked:
        """Let the run that this item concerns go on until it rests."""
        if parcel is None or parcel.state is None:
            return _done(item, GONE, "the conversation is gone")
        if not parcel.known or item.account_sid not in self._runtime.settings.houses:
            return _dead(item, f"there is no flow {flow_of(item)}")
        if parcel.state == "closed":
            settled = Settled(item, IGNORED, detail="the conversation is closed")
            return Walked(item, IGNORED, settled, parcel.execution_sid, ends=running.CLOSED)
        began = self._runtime.clock.monotonic()
        errand = Errand(self._shop, item, parcel)
        try:
            passed_over = await self._work(errand, item, parcel)
        except Overtaken as overtaken:
            # Ended by somebody else: what began under this item is over; what did not begins anew.
            due = None if errand.taken_in else self._later(item)
            settled = Settled(item, OVERTAKEN, due=due, detail=str(overtaken))
            return Walked(item, OVERTAKEN, settled, errand.sid)
        except Crowded:
            return Walked(item, POSTPONED, Settled(item, POSTPONED, due=self._less_crowded(item)))
        if passed_over is not None:
            return passed_over
        assert errand.run is not None
        took_s = self._runtime.clock.monotonic() - began
        return Walked(item, rules.outcome(errand.run), None, errand.sid, errand.steps, took_s)

    async def _work(self, errand: Errand, item: Claimed, parcel: Parcel) -> Walked | None:
        """Take the item in, if it is not yet, and go on; gives what became of an item that concerns
        nothing any more."""
        params = item.params or {}
        mine = parcel.execution_sid == params.get(EXECUTION)
        going_on = errand.active is not None and parcel.taken == item.seq
        if item.event == REQUEST and not mine:
            return _done(item, GONE, "the execution has ended")
        if item.event == UNDELIVERED and not going_on:
            failed = _undelivered(item)
            if not (mine and params["Address"] == parcel.contact and errand.awaits(failed)):
                return _done(item, IGNORED, "nobody waits behind that message")
            await errand.feed(failed)
        elif item.event in (REQUEST, TIMEOUT) or going_on:
            late = not mine or params.get(VERSION) != str(parcel.version)
            if item.event == TIMEOUT and not going_on:
                if late:
                    return _done(item, REPLIED, "somebody wrote in time")
                await errand.feed(TimedOut())
        elif parcel.taken_in or EXECUTION in params:
            return _done(item, GONE, "the execution has ended")
        elif not await self._heard(errand, item, parcel):
            return _done(item, IGNORED, UNPUBLISHED)
        await errand.drive(last=True)
        return None

    async def _heard(self, errand: Errand, item: Claimed, parcel: Parcel) -> bool:
        """A message goes in; False when there is nothing that it could start."""
        if errand.active is not None:
            await errand.drive(last=False)
        if errand.active is not None:
            await errand.feed(Replied(fields=item.params or {}))
        elif parcel.revision is None:
            return False
        else:
            return await errand.begin(parcel.revision)
        return True

    def broken(self, item: Claimed, parcel: Parcel | None, error: Exception) -> Walked:
        """An attempt that was cut, or that broke on our side."""
        said = str(error) or type(error).__name__
        if item.attempts >= ATTEMPTS_MAX and not isinstance(error, Unavailable):
            return _dead(item, f"given up after {item.attempts} attempts: {said}")
        settled = Settled(item, BROKEN, due=self._later(item), detail=said[:500])
        return Walked(item, BROKEN, settled, parcel.execution_sid if parcel else None)

    async def settle(self, walked: Walked) -> None:
        """Write down what became of an item, if that is not done, and let its lane go on."""
        if walked.settled is not None:
            try:
                ends = walked.ends
                ending = Ending(walked.settled, ends) if ends is not None else walked.settled
                await self._shop.kept.submit(ending)
            except Lost:
                return  # another worker has it by now
        self._observe(walked)

    def _later(self, item: Claimed) -> datetime:
        wait_s = min(AGAIN_S_MAX, AGAIN_S * 2 ** min(item.attempts - 1, 10))
        return self._runtime.clock.now() + timedelta(seconds=wait_s)

    def _less_crowded(self, item: Claimed) -> datetime:
        """When to see again whether there is room: the longer it waits, the more seldom, so that
        many who wait do not keep everybody busy by that."""
        now = self._runtime.clock.now()
        waits_s = (now - item.created_at).total_seconds()
        return now + timedelta(seconds=min(AGAIN_S_MAX, max(AGAIN_S, waits_s)))

    def _observe(self, walked: Walked) -> None:
        item = walked.item
        self._runtime.observe(
            FlowWalked(
                event=item.event if item.event in OURS else "message",
                outcome=walked.outcome,
                steps=walked.steps,
                took_s=walked.took_s,
                flow_sid=flow_of(item),
                execution_sid=walked.execution_sid,
                conversation_sid=item.conversation_sid,
            )
        )
        if walked.settled is not None and walked.settled.dead is not None:
            gone, why = item.conversation_sid, walked.settled.dead
            self._runtime.observe(DeadLettered(FLOW, walked.outcome, gone, why, flow_of(item)))


def _undelivered(item: Claimed) -> Undelivered:
    """What the item says of a message of the flow's own."""
    said = item.params or {}
    code = said["ErrorCode"]
    return Undelivered(
        sid=item.message_sid or "",
        status=said["Status"],
        code=int(code) if code else None,
        reason=said["ErrorMessage"],
    )


def _done(item: Claimed, outcome: str, detail: str) -> Walked:
    return Walked(item, outcome, Settled(item, outcome, detail=detail))


def _dead(item: Claimed, reason: str) -> Walked:
    settled = Settled(item, "dead", dead=reason, detail=reason)
    return Walked(item, "dead", settled, ends=f"failed: {reason}")
