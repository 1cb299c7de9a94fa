"""What a follower has in hand, and what becomes of it: pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from app.rules.schedule import next_attempt
from app.settings.streams import StreamSettings
from app.store.stream_followers import Claimed, Lost, Settled
from app.store.stream_log import Logged
from app.streams.cloudevents import envelope
from app.streams.sending import Message, Sent

TRIMMED = "kept no longer when its turn came"


@dataclass(frozen=True, slots=True)
class Parcel:
    """The next events after a follower's position, of all types; `gone_upto` when what came next is
    not kept any more. `together`: they go in one call, and are given up together."""

    follower: Claimed
    events: Sequence[Logged]
    together: bool
    gone_upto: int | None = None

    @property
    def wanted(self) -> list[Logged]:
        """Those that are sent."""
        return [event for event in self.events if event.data is not None]

    @property
    def messages(self) -> list[Message]:
        """Those that are sent, as they go out."""
        versions = self.follower.wanted
        return [
            Message(event.about, envelope(event, versions.get(event.type, 1)))
            for event in self.wanted
        ]

    def skipped(self) -> Settled:
        """What is gone is given up, and said to be; the next turn goes on after it."""
        assert self.gone_upto is not None
        first = self.follower.position + 1
        count = self.gone_upto - self.follower.position
        return Settled(
            self.follower, self.gone_upto, lost=Lost(first, self.gone_upto, count, TRIMMED)
        )

    def verdict(
        self, sent: Sent, schedule: StreamSettings, now: datetime, random: float
    ) -> Settled:
        """How far the follower came, and when it goes on; what failed for its whole schedule is
        given up. Progress begins the schedule anew."""
        one, wanted = self.follower, self.wanted
        if sent.arrived == len(wanted):
            return Settled(one, self.events[-1].position if self.events else one.position)
        position = wanted[sent.arrived].position - 1 if sent.arrived else one.position
        if sent.outcome == "delivered":  # there was no time for more
            return Settled(one, position)
        attempts = 1 if sent.arrived else one.attempts
        upto = self.events[-1].position if self.together else wanted[sent.arrived].position
        due = next_attempt(
            attempts,
            now,
            schedule.waits_s,
            schedule.jitter,
            random,
            sent.retry_after_s,
            schedule.retry_after_max_s,
        )
        if due is not None:
            return Settled(one, position, upto, attempts, due)
        lost = sum(position < event.position <= upto for event in wanted)
        reason = f"given up after {attempts} attempts: {sent.detail or sent.outcome}"
        return Settled(one, upto, lost=Lost(position + 1, upto, lost, reason))
