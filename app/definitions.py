"""Definitions as they are walked: read once, since a revision never changes; and walking them
without holding up whatever else this process does."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from app import ids
from app.flows.definition import parse
from app.flows.fuel import Slow, hurried
from app.flows.stack import Find
from app.flows.states import Flow, FlowErrors
from app.store import running
from app.store.database import Database

T = TypeVar("T")

TEXT_MAX = 4_000_000
"""Characters of the definitions that are kept; walked, they take some ten times as much."""
NUMBER_MAX = 2**31 - 1
READS_MAX = 200
"""Definitions that one event may need."""
QUICK_S = 0.01
"""How long a walk may hold the event loop; what takes longer is made again beside it. Nearly all
take a tenth of that."""


class Definitions:
    """The definitions that this process walked last. Whoever reads one, or walks one slowly, has
    `slow`: threads that compute share one processor with the loop."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._known: OrderedDict[tuple[str, int], tuple[Flow | None, int]] = OrderedDict()
        self._size = 0
        self.slow = asyncio.Semaphore(1)

    async def of(self, flow_sid: str, revision: int) -> Flow | None:
        """A flow in one of its revisions; None: there is none, or it cannot be walked."""
        place = flow_sid, revision
        if place in self._known:
            self._known.move_to_end(place)
            return self._known[place][0]
        async with self.db.read() as tx:
            text = await running.definition(tx.sql, flow_sid, revision)
        if text is None:
            return None
        async with self.slow:
            if place not in self._known:  # somebody else may have read it meanwhile
                try:
                    flow: Flow | None = await asyncio.to_thread(parse, text)  # of 1 MB: seconds
                except FlowErrors:
                    flow = None
                self._keep(place, flow, len(text))
        return self._known[place][0]

    def _keep(self, place: tuple[str, int], flow: Flow | None, size: int) -> None:
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
    is a flow that is the account's."""

    def __init__(self, definitions: Definitions, account_sid: str, known: str = "") -> None:
        self._definitions, self._account_sid = definitions, account_sid
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
        try:
            with hurried(QUICK_S):
                return step(self._find)
        except Slow:
            async with self._definitions.slow:
                return await asyncio.to_thread(step, self._find)

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
        flow = await self._definitions.of(sid, number) if number <= NUMBER_MAX else None
        return None if flow is None else (str(number), flow)

    def _find(self, sid: str, revision: str) -> tuple[str, Flow] | None:
        if (sid, revision) not in self._found:
            raise Missing(sid, revision)
        return self._found[sid, revision]
