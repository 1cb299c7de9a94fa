"""Who may be called now: the places in flight of this process, shared out by endpoint.

An endpoint that answered well and quickly when it was called last may have three quarters of the
places that others have left. All others (that failed, that are slow, that are not known yet) have
three quarters of the places together, and each of them half of what the rest has left of those. So
a process that is full of calls that hang still calls at once who answers, and one dead endpoint
never stands in the way of another.

This is what one process knows, and forgets when it ends; what all know of an endpoint that fails is
in the database (app/store/hook_endpoints.py).
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass, field

QUICK_S = 1.0
"""An answer within this time is quick."""
KNOWN_MAX = 10_000
"""Endpoints whose last answer is remembered."""

Call = tuple[str, str]
"""A lane and the lease under which it is worked on."""


@dataclass(slots=True)
class Known:
    """What is remembered of an endpoint: whether it is quick, and which lanes failed in a row."""

    quick: bool = False
    failing: set[str] = field(default_factory=set)


class Places:
    """The places of one process. `pause_after` is how many different lanes of an endpoint must
    fail, and none of its attempts succeed between, for it to count as failing; 0: it never does."""

    def __init__(self, in_flight: int, pause_after: int) -> None:
        self._free = in_flight
        self._cautious_max = max(1, in_flight * 3 // 4)
        self._pause_after = pause_after
        self._busy: Counter[str] = Counter()
        self._cautious = 0
        self._at: dict[Call, tuple[str, bool]] = {}
        self._known: OrderedDict[str, Known] = OrderedDict()

    @property
    def full_of_doubt(self) -> bool:
        """Whether only endpoints that are known to be quick can be called."""
        return self._cautious >= self._cautious_max

    def quick(self, endpoint: str) -> bool:
        """Whether this endpoint answered quickly when it was called last."""
        known = self._known.get(endpoint)
        return known is not None and known.quick

    def open_to(self, endpoint: str) -> int:
        """How many more calls this endpoint may have now."""
        busy = self._busy[endpoint]
        if self.quick(endpoint):
            share = ((self._free + busy) * 3 + 3) // 4
        else:
            share = (self._cautious_max - self._cautious + busy + 1) // 2
        return max(0, min(self._free, share - busy))

    def begin(self, call: Call, endpoint: str) -> None:
        """A call has a place."""
        cautious = not self.quick(endpoint)
        self._at[call] = endpoint, cautious
        self._busy[endpoint] += 1
        self._free -= 1
        self._cautious += cautious

    def end(self, call: Call) -> None:
        """A call is over, and written down: its place is free."""
        endpoint, cautious = self._at.pop(call)
        self._free += 1
        self._cautious -= cautious
        self._busy[endpoint] -= 1
        if not self._busy[endpoint]:
            del self._busy[endpoint]

    def learn(self, endpoint: str, lane: str, *, well: bool, took_s: float) -> bool:
        """How a call went; says whether the endpoint counts as failing now."""
        known = self._known.setdefault(endpoint, Known())
        self._known.move_to_end(endpoint)
        if len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)
        known.quick = well and took_s <= QUICK_S
        if well:
            known.failing.clear()
            return False
        known.failing.add(lane)
        if not self._pause_after or len(known.failing) < self._pause_after:
            return False
        known.failing.clear()
        return True
