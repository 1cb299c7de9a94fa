"""Actions per second: how many changes one conversation, or one service, takes ("Conversations
Limits").

Every process counts for itself. Reads are free.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from app.clock import Clock
from app.errors import TooMany

TOO_MANY = 20429
SERVICE, CONVERSATION = "service", "conversation"

# What a change of the conversation itself is counted by; of what is in one: by the conversation;
# of everything else: by the service.
OF_CONVERSATION: Mapping[str, str] = {"POST": CONVERSATION, "DELETE": SERVICE}
ITSELF, INSIDE = "/Conversations/{Sid}", "/Conversations/{ConversationSid}/"

BUCKETS_MAX = 16_384
"""A bucket that nobody used for a second is full again: to forget it changes nothing."""


def counted_by(method: str, path: str) -> str | None:
    """What an operation is counted by; None for those that change nothing."""
    if method == "GET":
        return None
    if path.endswith(ITSELF) and "/Users/" not in path:
        return OF_CONVERSATION[method]
    return CONVERSATION if INSIDE in path else SERVICE


class Buckets:
    """A bucket of tokens for each conversation and service: it holds one second's worth and fills
    as fast as actions are allowed. `per_s` 0: nothing is limited."""

    def __init__(self, per_s: float, clock: Clock, buckets_max: int = BUCKETS_MAX) -> None:
        self._per_s, self._clock, self._buckets_max = per_s, clock, buckets_max
        self._deepest = max(1.0, per_s)
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, sid: str) -> None:
        """One action on this. Raises TooMany when there were too many just now."""
        if not self._per_s:
            return
        now = self._clock.monotonic()
        tokens, at = self._buckets.pop(sid, (self._deepest, now))
        tokens = min(self._deepest, tokens + (now - at) * self._per_s)
        enough = tokens >= 1
        self._buckets[sid] = (tokens - enough, now)
        if len(self._buckets) > self._buckets_max:
            self._buckets.popitem(last=False)
        if not enough:
            raise TooMany(TOO_MANY, "Too Many Requests", (1 - tokens) / self._per_s)

    def give(self, sid: str) -> None:
        """An action on this that was `take`n did not come about."""
        if sid in self._buckets:
            tokens, at = self._buckets[sid]
            self._buckets[sid] = (min(self._deepest, tokens + 1), at)


@dataclass(frozen=True, slots=True)
class Counting:
    """How one operation is counted."""

    buckets: Buckets
    by: str | None
