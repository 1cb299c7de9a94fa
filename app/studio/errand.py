"""One item and the run that it concerns: it goes in, and what the flow then asks for is done, one
thing after the other, until the run rests (somebody is waited for, or it has ended).

Nothing is done twice: a message commits together with where the run stands after it, and so does a
participant who is added; an HTTP request is made under a key that is the same the next time. The
last of these transactions settles the item, too. Until then the item stays in its lane: whoever
comes next goes on where this one stood.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from app import ids
from app.errors import Refused
from app.flows import asks, machine
from app.flows.asks import Add, Added, Call, Enter, Event, Said, Say
from app.flows.memory import Trigger
from app.road.flowing import Overtaken
from app.road.items import Road
from app.rules import executions as rules
from app.rules.executions import DEPTH_MAX, FAILED, Run
from app.runtime import Runtime
from app.store import running
from app.store.outbox import Claimed, Settled
from app.store.running import Keeping, Parcel, flow_of
from app.studio import adding, deeds
from app.studio.definitions import Definitions, Unwalkable
from app.studio.keeper import Kept

ASKS_MAX = 100
"""What a flow may ask for before somebody writes again: messages, requests, flows that it enters."""
MESSAGE_EVENTS = ("incomingConversationMessage", "incomingMessage")
LOOP = f"more than {ASKS_MAX} messages and requests without a reply: a loop?"


@dataclass(frozen=True, slots=True)
class Shop:
    """What every errand works with."""

    runtime: Runtime
    road: Road
    kept: Kept
    definitions: Definitions


class Errand:
    """An item being worked on. `run` is where the execution stands; `saved` whether the database
    says so, too; `settled` whether the item is done with."""

    def __init__(self, shop: Shop, item: Claimed, parcel: Parcel) -> None:
        self._shop, self._item, self._parcel = shop, item, parcel
        self._now: Callable[[], datetime] = shop.runtime.clock.now
        self._runtime = shop.runtime.of(item.account_sid)
        self.sid, self._version = parcel.execution_sid or "", parcel.version
        self.run = Run.from_json(parcel.memory) if parcel.memory is not None else None
        self._taken = parcel.taken
        self._about: dict[str, Any] = {}
        self._saved, self.settled = True, False
        self.steps = 0

    @property
    def active(self) -> Run | None:
        """The run that somebody may answer."""
        return self.run if self.run is not None and self.run.ended is None else None

    async def begin(self, revision: int) -> None:
        """Start the flow with this message."""
        item, parcel = self._item, self._parcel
        flow_sid, fields = flow_of(item), item.params or {}
        contact = parcel.address or fields.get("Author", "")
        self.sid, self._version = ids.new(ids.EXECUTION), 0
        self._about = {
            "flow_version": revision,
            "contact_channel_address": contact,
            "initiated_by": item.message_sid,
        }
        flow = await self._shop.definitions.of(flow_sid, revision)
        heard = (event for event in MESSAGE_EVENTS if machine.hears(flow, event))
        trigger = Trigger(
            event=next(heard, MESSAGE_EVENTS[0]),
            at=self._now(),
            fields=fields,
            contact=contact,
            address=parcel.proxy_address or parcel.ours or "",
            flow_sid=flow_sid,
            execution_sid=self.sid,
        )
        self._take_in(rules.starts(flow_sid, revision, flow, trigger))

    async def feed(self, event: Event) -> None:
        """Answer the wait of the run."""
        await self._advance(event)
        self._taken = self._item.seq

    async def drive(self, *, last: bool) -> None:
        """Do what is asked for until the run rests; the item is settled then, if that was the
        `last` thing to do with it. Raises Overtaken when somebody else changed the execution."""
        for _ in range(ASKS_MAX):
            if self._run.rests:
                break
            try:
                await self._turn(last)
            except Unwalkable as error:
                self._change(self._run.breaks(FAILED, str(error)))
        else:
            self._change(self._run.breaks(FAILED, LOOP))
        if not self.settled:
            await self._keep(settle=last)

    @property
    def _run(self) -> Run:
        assert self.run is not None
        return self.run

    async def _turn(self, last: bool) -> None:
        run = self._run
        match run.ask:
            case None:
                below = run.frames[-2]
                flow = await self._shop.definitions.of(below.flow_sid, below.revision)
                self._change(run.returns(flow, self._now()))
            case Say() as said:
                await self._say(said, last)
            case Call() as asked:
                await self._keep(settle=False)
                key = ids.stable_token(self.sid, run.asked)
                await self._advance(await deeds.call(self._runtime, asked, key))
            case Enter() as entered:
                await self._enter(entered)
            case Add() as added:
                await self._add(added, last)

    async def _say(self, said: Say, last: bool) -> None:
        sid = ids.new(ids.MESSAGE)
        try:
            draft = await deeds.draft(self._runtime, self._item, self._parcel, said)
            after = await self._after(Said(sid=sid))
            keeping = self._keeping(after, settle=last and after.rests, message_sid=sid)
            await self._shop.road.submit(replace(draft, flow=keeping))
        except Overtaken:
            raise
        except Refused as refused:
            await self._advance(deeds.refused(refused))
            return
        self._was_kept(after, settled=keeping.settled is not None)

    async def _add(self, added: Add, last: bool) -> None:
        async def keep(sid: str) -> tuple[Run, Keeping]:
            after = await self._after(Added(sid=sid))
            return after, self._keeping(after, settle=last and after.rests)

        try:
            after, keeping = await adding.add(self._runtime, self._item, self._parcel, added, keep)
        except Overtaken:
            raise
        except Refused as refused:
            await self._advance(deeds.refused(refused))
            return
        self._was_kept(after, settled=keeping.settled is not None)

    async def _enter(self, entered: Enter) -> None:
        """Go into another flow of the account, in its latest published revision unless it says
        another one."""
        sid = entered.flow_sid[:2] + entered.flow_sid[2:].lower()
        revision = await self._revision(sid, entered.revision)
        if revision is None or len(self._run.frames) >= DEPTH_MAX:
            why = "there is no such flow" if revision is None else "flows are entered too deep"
            await self._advance(asks.Refused(why))
            return
        try:
            flow = await self._shop.definitions.of(sid, revision)
        except Unwalkable as error:
            await self._advance(asks.Refused(str(error)))
            return
        above = self._run.top
        channel = above.memory.context
        trigger = Trigger(
            event="incomingParent",
            at=self._now(),
            contact=channel["contact"]["channel"]["address"],
            address=channel["flow"]["channel"]["address"],
            flow_sid=sid,
            execution_sid=self.sid,
            parent={
                "flow_sid": above.flow_sid,
                "execution_sid": self.sid,
                "parameters": entered.parameters,
            },
        )
        self._change(self._run.enters(sid, revision, flow, trigger))

    async def _revision(self, sid: str, named: str) -> int | None:
        async with self._runtime.db.read() as tx:
            draft = named == "LatestDraft"
            latest = await running.entered(tx.sql, self._item.account_sid, sid, draft)
        return int(named) if latest is not None and named.isdecimal() else latest

    async def _after(self, event: Event) -> Run:
        top = self._run.top
        flow = await self._shop.definitions.of(top.flow_sid, top.revision)
        return self._run.advances(flow, event, self._now())

    async def _advance(self, event: Event) -> None:
        after = await self._after(event)
        if after is self._run:
            after = after.breaks(FAILED, f"{type(event).__name__} is no answer to what it asked")
        self._change(after)

    def _take_in(self, run: Run) -> None:
        self._taken = self._item.seq
        self._change(run)

    def _change(self, run: Run) -> None:
        self.run, self._saved = run, False

    async def _keep(self, *, settle: bool) -> None:
        """Write down where the run stands, if it is not, and that the item is done with."""
        if not self._saved:
            await self._shop.kept.submit(self._keeping(self._run, settle=settle))
            self._was_kept(self._run, settled=settle)
        elif settle:
            await self._shop.kept.submit(self._settled(self._run))
            self.settled = True

    def _keeping(self, run: Run, *, settle: bool, message_sid: str | None = None) -> Keeping:
        row = {
            "sid": self.sid,
            "account_sid": self._item.account_sid,
            "flow_sid": run.frames[0].flow_sid,
            "conversation_sid": self._item.conversation_sid,
            "version": self._version,
            "taken": self._taken,
            **self._about,
            **rules.standing(run),
        }
        sids = [ids.new(ids.EXECUTION_STEP) for _ in run.steps]
        settled = self._settled(run) if settle else None
        return Keeping(
            self._item, row, rules.steps(self.sid, run.steps, sids), settled, message_sid
        )

    def _settled(self, run: Run) -> Settled:
        return Settled(self._item, outcome(run), detail=rules.standing(run)["reason"])

    def _was_kept(self, run: Run, *, settled: bool) -> None:
        self.steps += len(run.steps)
        self.run = replace(run, steps=())
        self._version += 1
        self._saved, self.settled = True, settled


def outcome(run: Run) -> str:
    """How a run stands, in a word: waits, completed, stopped, failed, cancelled."""
    return "waits" if run.ended is None else run.ended.reason

