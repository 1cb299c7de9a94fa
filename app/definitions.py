"""Definitions as they are walked: read once, since a revision never changes; and walking them
without holding up whatever else this process does."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import TypeVar

from app import ids
from app.beside import Beside, Crowded, Waiter
from app.flows.definition import parse
from app.flows.fuel import Slow, hurried
from app.flows.stack import Find
from app.flows.states import Flow, FlowErrors
from app.store import running
from app.store.database import Database

T = TypeVar("T")
Place = tuple[str, int]

TEXT_MAX = 4_000_000
"""Characters of the definitions that are kept; walked, they take some ten times as much."""
NUMBER_MAX = 2**31 - 1
READS_MAX = 200
"""Definitions that one event may need."""
QUICK_S = 0.01
"""How long a walk may hold the event loop; what takes longer is made again beside it. Nearly all
take a tenth of that."""
WAIT_S = 5.0
"""How long one item waits at most, all in all, for what others read and walk slowly."""


class Definitions:
    """The definitions that this process walked last. They are read, and walked when that is slow,
    `beside` the event loop."""

    def __init__(self, db: Database, wait_s: float = WAIT_S) -> None:
        self.db, self.wait_s = db, wait_s
        self.beside = Beside()
        self._known: OrderedDict[Place, tuple[Flow | None, int]] = OrderedDict()
        self._size = 0
        self._reading: dict[Place, asyncio.Future[Flow | None]] = {}

    async def of(self, waiter: Waiter, flow_sid: str, revision: int) -> Flow | None:
        """A flow in one of its revisions; None: there is none, or it cannot be walked. One that
        several want at once is read once. Raises Crowded."""
        place = flow_sid, revision
        if place in self._known:
            self._known.move_to_end(place)
            return self._known[place][0]
        if place in self._reading:
            return await asyncio.shield(self._reading[place])
        reading = self._reading[place] = asyncio.get_running_loop().create_future()
        try:
            flow = await self._read(waiter, place)
            reading.set_result(flow)
        except BaseException:
            reading.set_exception(Crowded("whoever was to read it could not"))
            reading.exception()  # perhaps nobody else wants it
            raise
        finally:
            del self._reading[place]
        return flow

    async def _read(self, waiter: Waiter, place: Place) -> Flow | None:
        async with self.db.read() as tx:
            text = await running.definition(tx.sql, *place)
        if text is None:
            return None
        try:
            flow: Flow | None = await self.beside.make(waiter, partial(parse, text))
        except FlowErrors:
            flow = None
        self._keep(place, flow, len(text))
        return flow

    def _keep(self, place: Place, flow: Flow | None, size: int) -> None:
        """What was used longest ago makes room."""
        self._known[place] = flow, size
        self._size += size
        while self._size > TEXT_MAX and len(self._known) > 1:
            _, (_, gone) = self._known.popitem(last=False)
            self._size -= gone


class Missing(Exception):
    """A definition that must be read first."""

    def __init__(self, sid: str, revision: str) -> None:
        super().__init__(sid)
        self.sid, self.revision = sid, revision


class Finder:
    """The flows of one account, for one item: what was the latest revision once stays it. `known`
    is a flow that is the account's. Whatever must be read or walked raises Crowded when others have
    too much of that under way."""

    def __init__(self, definitions: Definitions, account_sid: str, known: str = "") -> None:
        self._definitions, self._account_sid = definitions, account_sid
        self._waiter = Waiter(account_sid, known, definitions.wait_s)
        self._mine = {known}
        self._found: dict[tuple[str, str], tuple[str, Flow] | None] = {}

    async def walk(self, step: Callable[[Find], T]) -> T:
        """What a pure step gives; the definitions that it needs are read, and it is made again."""
        for _ in range(READS_MAX):
            try:
                return await self._made(step)
            except Missing as missing:
                named = missing.sid, missing.revision
                self._found[named] = await self.read(*named)
        raise RuntimeError("one event needs too many definitions")

    async def _made(self, step: Callable[[Find], T]) -> T:
        beside = self._definitions.beside
        if beside.full(self._waiter):
            raise Crowded("this flow takes long, and much of it waits")
        try:
            with hurried(QUICK_S):
                return step(self._find)
        except Slow:
            return await beside.make(self._waiter, partial(step, self._find))

    async def read(self, named: str, revision: str) -> tuple[str, Flow] | None:
        """A flow of this account, in LatestPublished, LatestDraft or a number, and which number
        that is."""
        sid = ids.lowered(named)
        if sid in self._mine and revision.isdecimal():
            return await self._numbered(sid, int(revision))
        async with self._definitions.db.read() as tx:
            draft = revision == "LatestDraft"
            number = await running.entered(tx.sql, self._account_sid, sid, draft)
        if number is None:
            return None
        self._mine.add(sid)
        return await self._numbered(sid, int(revision) if revision.isdecimal() else number)

    async def _numbered(self, sid: str, number: int) -> tuple[str, Flow] | None:
        if number > NUMBER_MAX:
            return None
        flow = await self._definitions.of(self._waiter, sid, number)
        return None if flow is None else (str(number), flow)

    def _find(self, sid: str, revision: str) -> tuple[str, Flow] | None:
        if (sid, revision) not in self._found:
            raise Missing(sid, revision)
        return self._found[sid, revision]
