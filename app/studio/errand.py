"""One item and the run that it concerns: it goes in, and what the flow then asks for is done, one
thing after the other, until the run rests (somebody is waited for, or it has ended).

Nothing is done twice: a message commits together with where the run stands after it, and so does a
participant who is added; an HTTP request is made under a key that is the same the next time. The
last of these transactions settles the item, too. Until then the item stays in its lane: whoever
comes next goes on where this one stood.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from app import ids
from app.beside import Crowded
from app.definitions import Definitions, Finder
from app.errors import Refused
from app.flows import machine, stack
from app.flows.asks import Add, Added, Call, Event, Said, Say
from app.flows.memory import Trigger
from app.flows.stack import Stack, Taken
from app.road.flowing import Overtaken
from app.road.items import Road
from app.rules import executions as rules
from app.runtime import Runtime
from app.store.outbox import Claimed
from app.store.running import Keeping, Parcel, flow_of
from app.store.settling import Settled
from app.studio import adding, deeds
from app.studio.keeper import Kept

CALLS_MAX = 16
"""Requests of this process that are under way to one host: one that hangs holds up no other's."""
ASKS_MAX = 100
"""What a flow may ask for before somebody writes again: messages, requests, people."""
MESSAGE_EVENTS = ("incomingConversationMessage", "incomingMessage")
LOOP = f"more than {ASKS_MAX} messages and requests without a reply: a loop?"


@dataclass(frozen=True, slots=True)
class Shop:
    """What every errand works with; `call_s` is what one HTTP request may take at most, `calling`
    how many are under way to each host."""

    runtime: Runtime
    road: Road
    kept: Kept
    definitions: Definitions
    call_s: float = deeds.TIMEOUT_S_MAX
    calling: Counter[str] = field(default_factory=Counter)


class Errand:
    """An item being worked on. `run` is where the execution stands; `saved` whether the database
    says so, too; `taken_in` whether the item is part of that; `settled` whether it is done with."""

    def __init__(self, shop: Shop, item: Claimed, parcel: Parcel) -> None:
        self._shop, self._item, self._parcel = shop, item, parcel
        self._now: Callable[[], datetime] = shop.runtime.clock.now
        self._runtime = shop.runtime.of(item.account_sid)
        self.sid, self._version = parcel.execution_sid or "", parcel.version
        self.run = rules.read(parcel.memory) if parcel.memory is not None else None
        self._finder = Finder(shop.definitions, item.account_sid, flow_of(item))
        self._made: list[Taken] = []
        self._taken = parcel.taken
        self.taken_in = parcel.memory is not None and parcel.taken == item.seq
        self._about: dict[str, Any] = {}
        self._saved, self.settled = True, False
        self.steps = 0

    @property
    def active(self) -> Stack | None:
        """The run that somebody may answer."""
        return self.run if self.run is not None and self.run.ended is None else None

    def awaits(self, event: Event) -> bool:
        """Whether this would answer what the run asks."""
        return self.active is not None and machine.answers(self.active.memory, event)

    async def begin(self, revision: int) -> bool:
        """Start the flow with this message; False when it cannot be walked."""
        item, parcel = self._item, self._parcel
        flow_sid, fields = flow_of(item), item.params or {}
        contact = parcel.address or fields.get("Author", "")
        self.sid, self._version = ids.new(ids.EXECUTION), 0
        self._about = {
            "flow_version": revision,
            "contact_channel_address": contact,
            "initiated_by": item.message_sid,
        }
        found = await self._finder.read(flow_sid, str(revision))
        if found is None:
            return False
        heard = (event for event in MESSAGE_EVENTS if machine.hears(found[1], event))
        trigger = Trigger(
            event=next(heard, MESSAGE_EVENTS[0]),
            at=self._now(),
            fields=fields,
            contact=contact,
            address=parcel.proxy_address or parcel.ours or "",
            flow_sid=flow_sid,
            execution_sid=self.sid,
        )
        self._taken = item.seq
        self._change(await self._finder.walk(lambda find: stack.begin(found, trigger, find)))
        return True

    async def feed(self, event: Event) -> None:
        """Answer the wait of the run."""
        await self._advance(event)
        self._taken = self._item.seq

    async def drive(self, *, last: bool) -> None:
        """Do what is asked for until the run rests; the item is settled then, if that was the
        `last` thing to do with it. Raises Overtaken when somebody else changed the execution."""
        for _ in range(ASKS_MAX):
            if rules.rests(self._run):
                break
            await self._turn(last)
        else:
            if not rules.rests(self._run):
                self._change(rules.failed(self._run, LOOP))
        if not self.settled:
            await self._keep(settle=last)

    @property
    def _run(self) -> Stack:
        assert self.run is not None
        return self.run

    async def _turn(self, last: bool) -> None:
        match self._run.ask:
            case Say() as said:
                await self._say(said, last)
            case Call() as asked:
                await self._keep(settle=False)
                await self._call(asked)
            case Add() as added:
                await self._add(added, last)

    async def _call(self, asked: Call) -> None:
        """Make one request. Raises Crowded."""
        calling, host = self._shop.calling, deeds.host(asked)
        if calling[host] >= CALLS_MAX:
            raise Crowded("too many requests are under way to that host")
        calling[host] += 1
        try:
            key = ids.stable_token(self.sid, self._run.ask_id)
            answer = await deeds.call(self._runtime, asked, key, self._shop.call_s)
        finally:
            calling[host] -= 1
            if not calling[host]:
                del calling[host]
        await self._advance(answer)

    async def _say(self, said: Say, last: bool) -> None:
        sid = ids.new(ids.MESSAGE)
        try:
            draft = await deeds.draft(self._runtime, self._item, self._parcel, said)
            await self._at_home(draft.conversation_sid)
            after = await self._after(Said(sid=sid))
            keeping = self._keeping(after, settle=last and rules.rests(after), message_sid=sid)
            await self._shop.road.submit(replace(draft, flow=keeping))
        except Overtaken:
            raise
        except Refused as refused:
            await self._advance(deeds.refused(refused))
            return
        self._was_kept(after, keeping)

    async def _add(self, added: Add, last: bool) -> None:
        async def keep(sid: str) -> tuple[Stack, Keeping]:
            after = await self._after(Added(sid=sid))
            return after, self._keeping(after, settle=last and rules.rests(after))

        await self._at_home(added.conversation or self._item.conversation_sid)
        try:
            after, keeping = await adding.add(self._runtime, self._item, self._parcel, added, keep)
        except Overtaken:
            raise
        except Refused as refused:
            await self._advance(deeds.refused(refused))
            return
        self._was_kept(after, keeping)

    async def _at_home(self, conversation_sid: str | None) -> None:
        """Have a new execution begin before it does something in another conversation: it begins
        under the lock of its own, and the two would be locked out of order."""
        if not self._version and conversation_sid != self._item.conversation_sid:
            await self._keep(settle=False)

    async def _after(self, event: Event) -> Stack:
        run, now = self._run, self._now()
        return await self._finder.walk(lambda find: stack.advance(run, event, now, find))

    async def _advance(self, event: Event) -> None:
        after = await self._after(event)
        if after is self._run:
            after = rules.failed(after, f"{type(event).__name__} is no answer to what it asked")
        self._change(after)

    def _change(self, run: Stack) -> None:
        self.run, self._saved = run, False
        self._made += run.taken

    async def _keep(self, *, settle: bool) -> None:
        """Write down where the run stands, if it is not, and that the item is done with."""
        if not self._saved:
            keeping = self._keeping(self._run, settle=settle)
            await self._shop.kept.submit(keeping)
            self._was_kept(self._run, keeping)
        elif settle:
            await self._shop.kept.submit(self._settled(self._run))
            self.settled = True

    def _keeping(self, run: Stack, *, settle: bool, message_sid: str | None = None) -> Keeping:
        """Where this run stands; `run` is the present one, or what follows on it."""
        made = self._made if run is self.run else [*self._made, *run.taken]
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
        sids = [ids.new(ids.EXECUTION_STEP) for _ in made]
        settled = self._settled(run) if settle else None
        return Keeping(self._item, row, rules.steps(self.sid, made, sids), settled, message_sid)

    def _settled(self, run: Stack) -> Settled:
        return Settled(self._item, rules.outcome(run), detail=rules.reason(run))

    def _was_kept(self, run: Stack, keeping: Keeping) -> None:
        self.steps += len(keeping.steps)
        self.run, self._made = run, []
        self._version += 1
        self.taken_in = self._taken == self._item.seq
        self._saved, self.settled = True, keeping.settled is not None
