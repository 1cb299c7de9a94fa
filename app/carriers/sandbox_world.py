"""The World behind a sandbox carrier: simulated phones that get what we send and write to us.

Used by the demo, tests, fault tests and benchmarks; directly in Python, or over HTTP (sandbox_http)
by `python -m app.carriers.sandbox_world --port N`, where it outlives a killed service. A send that
is repeated is taken again, so that doubles can be seen.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from functools import partial
from hashlib import sha256
from types import TracebackType
from typing import Any, Self

import aiohttp

from app import ids
from app.carriers import sandbox_behaviour as faults
from app.carriers.sandbox_behaviour import Behaviour, Behaviours, Cut, Luck, Refusal
from app.carriers.sandbox_calls import RETRY_WAITS_S, TIMEOUT_S, Doors
from app.carriers.sandbox_phone import Phone
from app.carriers.sandbox_records import Received, Records, Texted
from app.carriers.sandbox_wire import (
    Call,
    Dialect,
    Media,
    Message,
    Report,
    SandboxDialect,
    Send,
)
from app.channels.address import channel_of, normalise
from app.clock import Clock

RECORDS_MAX = 100_000


class World:
    """All phones, what they did, and how they behave. Works while entered (`async with`).

    `inbound_url` is the door that phones' messages go to; it may change while the World lives.
    `via` is the origin that is called in place of every URL's own, which stays what is signed.
    With a `seed` everything that is left to chance, ids too, is the same in every run.
    """

    def __init__(
        self,
        *,
        inbound_url: str | None = None,
        via: str | None = None,
        dialect: Dialect | None = None,
        seed: int | None = None,
        clock: Clock | None = None,
        behaviour: Behaviour | None = None,
        records_max: int = RECORDS_MAX,
        retry_waits_s: Sequence[float] = RETRY_WAITS_S,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        self.inbound_url = inbound_url
        self.via = via
        self.records = Records(records_max)
        self.counts: Counter[str] = Counter()
        self._dialect = dialect or SandboxDialect()
        self._seed = ids.token() if seed is None else str(seed)
        self._clock = clock or Clock()
        self._behaviours = Behaviours(behaviour or Behaviour())
        self._waiting: defaultdict[str, list[Received]] = defaultdict(list)
        self._sends: Counter[str] = Counter()
        self._made = 0
        self._retry_waits_s = tuple(retry_waits_s)
        self._timeout_s = timeout_s
        self._changed = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            timeout = aiohttp.ClientTimeout(total=self._timeout_s)
            http = await stack.enter_async_context(aiohttp.ClientSession(timeout=timeout))
            self._doors = Doors(http, self._clock, self._retry_waits_s, self._change)
            self._group = await stack.enter_async_context(asyncio.TaskGroup())
            stack.callback(self._cancel)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(kind, error, trace)

    def phone(self, address: str) -> Phone:
        """The phone with this address; raises ValueError when it is none."""
        return Phone(self, normalise(address, allow_short_code=True))

    def behave(self, address: str | None = None, **changes: Any) -> None:
        """Change how one phone, or (without an address) every other phone, behaves from now on.

        Raises pydantic's ValidationError for what is no Behaviour.
        """
        key = "" if address is None else normalise(address, allow_short_code=True)
        self._behaviours.change(key, changes)
        for phone in [phone for phone in self._waiting if not self.behaviour_of(phone).offline]:
            for received in self._waiting.pop(phone):
                self._arrive(received)
        self._change()

    def behaviour_of(self, address: str) -> Behaviour:
        """How this phone behaves now."""
        return self._behaviours.of(address)

    async def take(self, send: Send) -> Received:
        """The send API: one more message for a phone, or for several: then the first one's
        behaviour says whether the send fails. Raises Refusal and Cut."""
        behaviour, chance = self.behaviour_of(send.to), self._luck(send.to)
        if behaviour.latency_s:
            await self._clock.sleep(behaviour.latency_s)
        fault = self._behaviours.fault(send.to, chance)
        if fault is not None:
            self._count(fault)
        if fault == "refuse":
            permanent = behaviour.refuse == "permanent"
            raise Refusal(behaviour.code, permanent, behaviour.retry_after_s)
        if fault == "cut_before":
            raise Cut("before the message was taken")
        received = self._record(send, send.to, self.new_id("MM" if send.media else "SM"))
        every = [(received, behaviour, chance)]
        for other in send.others:
            also = self._record(send, other, received.external_id)
            every.append((also, self.behaviour_of(other), self._luck(other)))
        if send.status_url is not None:
            for one in every:
                self._start(self._report(send.status_url, *one))
        if fault == "cut_after":
            raise Cut("after the message was taken")
        return received

    def message(
        self,
        sender: str,
        to: str,
        body: str | None = None,
        *,
        media: Sequence[str | Media] = (),
        external_id: str | None = None,
        **parts: Any,
    ) -> Message:
        """A phone's message to us, with an id of its own; nothing is sent yet."""
        files = tuple(Media(url=part) if isinstance(part, str) else part for part in media)
        if external_id is None:
            external_id = self.new_id("MM" if files or parts.get("others") else "SM")
        message = Message(
            id=external_id,
            sender=sender,
            to=to,
            body=body,
            media=files,
            sent_at=self._clock.now(),
            **parts,
        )
        if message.channel is not None:
            return message
        channel = channel_of(message.sender)
        if channel == "sms" and (files or message.others):
            channel = "mms"
        return message.model_copy(update={"channel": channel})

    async def deliver(self, message: Message) -> Texted:
        """Bring a phone's message to the inbound door, again and again (same id) until a 2xx or
        4xx, or until the waits are used up."""
        texted = self._texted(message)
        await self._deliver(message, texted)
        return texted

    def post(self, message: Message) -> Texted:
        """The same without waiting."""
        texted = self._texted(message)
        self._start(self._deliver(message, texted))
        return texted

    @property
    def idle(self) -> bool:
        """Whether nothing is under way: no status to report, no message to bring."""
        return not self._tasks

    async def until(self, condition: Callable[[], bool], within_s: float = 10.0) -> None:
        """Wait until the condition holds; it is looked at whenever the World changes. Raises
        TimeoutError after `within_s` seconds."""
        try:
            async with asyncio.timeout(within_s):
                while not condition():
                    await self._changed.wait()
        except TimeoutError:
            raise TimeoutError(f"not within {within_s} s; {self.summary()}") from None

    def summary(self) -> dict[str, Any]:
        """The World in numbers; counts are since its start, the rest is what is remembered."""
        return {
            "phones": self.records.phones(),
            "records": len(self.records),
            "doubles": self.records.doubles(),
            "counts": dict(self.counts),
            "inbound_url": self.inbound_url,
            "behaviour": self._behaviours.view(),
        }

    def new_id(self, prefix: str) -> str:
        """A message id like Twilio's: two letters and 32 hexadecimal digits."""
        self._made += 1
        digest = sha256(f"{self._seed}/id/{self._made}".encode()).hexdigest()
        return prefix + digest[:32]

    def _luck(self, phone: str) -> Luck:
        """What is left to chance of the next send to this phone."""
        self._sends[phone] += 1
        return faults.luck(self._seed, phone, self._sends[phone])

    def _record(self, send: Send, to: str, external_id: str) -> Received:
        behaviour = self.behaviour_of(to)
        everybody = (send.to, *send.others)
        received = Received(
            external_id=external_id,
            reference=send.reference,
            channel=send.channel,
            sender=send.sender,
            to=to,
            others=tuple(other for other in everybody if other != to),
            body=send.body,
            media=tuple(part.part() for part in send.media),
            taken_at=self._clock.now(),
        )
        self.records.took(received)
        self._count("taken")
        if behaviour.offline:
            self._waiting[to].append(received)
        elif behaviour.bounce is None:
            self._arrive(received)
        return received

    def _arrive(self, received: Received) -> None:
        received.arrived_at = self._clock.now()
        self.records.arrived(received)
        self._count("arrived")

    async def _report(
        self, url: str, received: Received, behaviour: Behaviour, chance: Luck
    ) -> None:
        for word in faults.statuses(behaviour, received.channel, chance):
            if behaviour.status_gap_s:
                await self._clock.sleep(behaviour.status_gap_s)
            while behaviour.bounce is None and word != "sent" and received.arrived_at is None:
                await self._changed.wait()
            report = Report(
                id=received.external_id,
                reference=received.reference,
                channel=received.channel,
                sender=received.sender,
                to=received.to,
                others=received.others,
                status=word,
                error_code=behaviour.bounce if word == "undelivered" else None,
            )
            make = partial(self._dialect.status, url, report)
            if await self._doors.call(make, self.via, []):
                received.statuses.append(word)
            self._count("statuses")

    def _texted(self, message: Message) -> Texted:
        if self.inbound_url is None:
            raise RuntimeError("the World does not know an inbound door: set inbound_url")
        if self.behaviour_of(message.sender).offline:
            raise ValueError("the phone is offline")
        texted = Texted(message)
        self.records.texted(texted)
        self._count("texted")
        return texted

    async def _deliver(self, message: Message, texted: Texted) -> None:
        chance = faults.luck(self._seed, "inbound", message.id)
        behaviour = self.behaviour_of(message.sender)
        if chance("lost") < behaviour.inbound_lost_share:
            texted.done = True
            self._count("lost")
            return
        copies = 2 if chance("double") < behaviour.inbound_double_share else 1

        async def once() -> None:
            taken = await self._doors.call(self._inbound(message), self.via, texted.tries)
            texted.acknowledged |= taken

        async with asyncio.TaskGroup() as group:
            for _ in range(copies):
                group.create_task(once())
        texted.done = True
        self._count("acknowledged" if texted.acknowledged else "given_up")

    def _inbound(self, message: Message) -> Callable[[], Call]:
        """The call, made anew for each try: the door may have moved."""
        return lambda: self._dialect.inbound(self.inbound_url or "", message)

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._group.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._change()

    def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _count(self, what: str) -> None:
        self.counts[what] += 1
        self._change()

    def _change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()


if __name__ == "__main__":
    from app.carriers.sandbox_http import main

    main()
