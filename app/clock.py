"""The one home of time. Everything else is handed a clock, so that tests can turn it."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from functools import lru_cache

SECONDS_CHARS, MILLIS_CHARS = len("2021-08-10T18:00:58"), len("2021-08-10T18:00:58.111")


class Clock:
    """The real clock: UTC wall time, a monotonic counter and waiting."""

    def now(self) -> datetime:
        """The present, with UTC as its zone and microseconds."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; only differences mean something."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Give way for this many seconds."""
        await asyncio.sleep(seconds)


def iso_seconds(moment: datetime) -> str:
    """`2021-08-10T18:00:58Z`: the form of every date in a REST answer."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat()[:SECONDS_CHARS] + "Z"


def iso_millis(moment: datetime) -> str:
    """`2021-08-10T18:00:58.111Z`: the form of every date in a webhook."""
    return _millis(moment)


@lru_cache(maxsize=16)  # what happens in one transaction happened at one moment
def _millis(moment: datetime) -> str:
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="milliseconds")[:MILLIS_CHARS] + "Z"
