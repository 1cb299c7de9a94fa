"""Senders that a carrier told to send less (429 and its like): all lanes of the sender wait as long
as it said, and not only the one that was turned away. To wait uses up no attempt.

When the time is over one lane goes first, and the others see what it is told. Each process knows
what it was told itself; what it forgets when it ends, the carrier says again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.delivery.tried import Tried
from app.errors import Temporary

WAIT_S_MAX = 60.0
"""How long one answer holds up a whole sender at most: it may have been about one recipient."""
AGAIN_S = 2.0
"""How long the others wait at a time for what the first one is told."""


@dataclass(frozen=True, slots=True)
class Told:
    """A sender was told at `since` to wait until then."""

    since: datetime
    until: datetime


class Throttles:
    """What this process was told, one thing at most for each carrier and sender."""

    def __init__(self) -> None:
        self._told: dict[tuple[str, str], Told] = {}

    def wait_until(self, carrier: str, sender: str, now: datetime) -> datetime | None:
        """How long a lane of this sender waits; None: it may go (and is the first to, when the time
        has just ended)."""
        told = self._told.get((carrier, sender))
        if told is None:
            return None
        if now < told.until:
            return told.until
        again = now + timedelta(seconds=AGAIN_S)
        self._told[carrier, sender] = Told(told.since, again)
        return None

    def heard(
        self, carrier: str, sender: str, tried: Tried, began_at: datetime, now: datetime
    ) -> None:
        """Note what an attempt that began then was told. One that was on its way when the sender
        was told to wait says nothing of now."""
        error = tried.error
        if isinstance(error, Temporary) and error.throttled:
            self._wait(carrier, sender, error.retry_after_s or 0.0, now)
            return
        told = self._told.get((carrier, sender))
        answered = any(one.well for one in tried.heard if one.carrier == carrier)
        if told is not None and answered and began_at > told.since:
            del self._told[carrier, sender]

    def _wait(self, carrier: str, sender: str, wait_s: float, now: datetime) -> None:
        until = now + timedelta(seconds=min(wait_s, WAIT_S_MAX))
        told = self._told.get((carrier, sender))
        if told is not None and told.until > until:
            until = told.until
        if until > now:
            self._told[carrier, sender] = Told(now, until)
