"""Reading the log by a cursor: what http-pull sinks are for.

A cursor is a position. Whoever keeps the last one it got and asks for what is after it gets every
event once, in order, whenever it comes, as long as the log is kept; when it comes too late it is
told so, and from where on there is something.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import asyncpg

from app.errors import TooMany
from app.model.streams import logged_bell
from app.runtime import Runtime
from app.store import stream_log
from app.store.stream_log import Logged
from app.streams.types import TEST

WINDOW = 500
"""Positions that are looked at at once."""
WINDOWS_MAX = 20
"""In one reading: who wants few of many types gets a cursor that moved on, and asks again."""
POLL_S = 1.0
"""How long an event can wait for its readers when its bell was lost."""
TOO_MANY = 20429


class Trimmed(Exception):
    """What comes after the cursor is kept no longer; `before` is the first cursor that is."""

    def __init__(self, before: int) -> None:
        super().__init__(f"events up to {before} are kept no longer")
        self.before = before


@dataclass(slots=True)
class Page:
    """Events, and the cursor after the last one that was looked at; `more` when that is not the
    last one there is."""

    cursor: int
    events: list[Logged] = field(default_factory=list)
    more: bool = False


async def read(
    sql: asyncpg.Connection,
    account_sid: str,
    sink_sid: str,
    wanted: Mapping[str, int],
    after: int,
    limit: int,
) -> Page:
    """The next events of these types, and the sink's own tests. Raises Trimmed."""
    page = Page(after)
    types = {*wanted, TEST}
    for _ in range(WINDOWS_MAX):
        rows = await stream_log.read(sql, account_sid, page.cursor, types, limit=WINDOW)
        if not rows or rows[0].position != page.cursor + 1:
            await _check(sql, account_sid, page.cursor)
        _take(page, rows, sink_sid, limit)
        if not rows or page.events:
            break
    page.more = page.cursor < await stream_log.head(sql, account_sid)
    return page


def _take(page: Page, rows: Sequence[Logged], sink_sid: str, limit: int) -> None:
    """Put what is wanted on the page until it is full; the cursor is after what was looked at."""
    for row in rows:
        if len(page.events) == limit:
            return
        if row.data is not None and (row.type != TEST or row.about == sink_sid):
            page.events.append(row)
        page.cursor = row.position


async def _check(sql: asyncpg.Connection, account_sid: str, cursor: int) -> None:
    """Raises Trimmed when what comes next was there once."""
    extent = await stream_log.extent(sql, account_sid)
    if cursor < extent.before:
        raise Trimmed(extent.before)


class Readers:
    """Who waits for events at this process: so many at most, and nobody once we stop."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._most = runtime.settings.streams.readers_max
        self._now = 0
        self._waited: set[str] = set()
        self.closing = False

    @contextmanager
    def one(self) -> Iterator[None]:
        """One more. Raises TooMany."""
        if self._now >= self._most:
            raise TooMany(TOO_MANY, "Too many readers wait for events")
        self._now += 1
        try:
            yield
        finally:
            self._now -= 1

    async def grown(self, account_sid: str, after: int, within_s: float) -> bool:
        """Wait until the log reaches beyond this position; False when it did not in time."""
        clock, wakes = self._runtime.clock, self._runtime.wakes
        bell, ends = logged_bell(account_sid), clock.monotonic() + within_s
        self._waited.add(bell)
        while not self.closing:
            rung = wakes.next(bell)  # before we look: nothing can come in between unheard
            async with self._runtime.db.begin() as tx:
                if await stream_log.head(tx.sql, account_sid) > after:
                    return True
            left_s = ends - clock.monotonic()
            if left_s <= 0:
                return False
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(rung), min(POLL_S, left_s))
        return False

    def close(self) -> None:
        """Let everybody who waits go."""
        self.closing = True
        for bell in self._waited:
            self._runtime.wakes.heard(bell)
