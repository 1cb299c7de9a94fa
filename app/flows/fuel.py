"""What one event may cost: bounds that hold whatever a definition, a template or a pattern is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from math import isfinite
from typing import Any

from app.clock import Clock
from app.errors import ParleyError

FUEL = 150_000  # about a variable, or a loop's turn with 16 characters of template, each
PATTERN_S = 0.1  # one regular expression
PATTERNS_S = 0.5  # all those of one event
TEXT_MAX = 65_536  # characters of a text that Liquid makes
ITEMS_MAX = 1_000  # of a list that Liquid makes or goes through
DIGITS_MAX = 60  # of a number
VALUE_BYTES_MAX = 65_536  # what one widget may remember
CONTEXT_BYTES_MAX = 262_144  # what all of them may, with the trigger
DEPTH_MAX = 16

_until: ContextVar[float | None] = ContextVar("until", default=None)
_UNTEXT = re.compile("[\x00\ud800-\udfff]")


class Exceeded(ParleyError):
    """A bound was reached, or a template cannot be made into a text: the execution fails."""


class Slow(BaseException):
    """A walk takes longer than whoever makes it can wait: it is no fault of the flow, so nobody on
    the way may take it for one."""


@contextmanager
def hurried(within_s: float) -> Iterator[None]:
    """Walks that begin in here raise Slow when they are not done within so many seconds."""
    token = _until.set(Clock().monotonic() + within_s)
    try:
        yield
    finally:
        _until.reset(token)


class Fuel:
    """What is left for one event; handed to all who may cost much."""

    def __init__(self) -> None:
        self._left = FUEL
        self._patterns_s = PATTERNS_S
        self._clock = Clock()
        self._until = _until.get()

    def burn(self, amount: float) -> None:
        """Raises Exceeded when nothing is left, and Slow."""
        if self._until is not None and self.now() > self._until:
            raise Slow
        self._left -= int(amount)
        if self._left < 0:
            raise Exceeded(f"the templates of one event may not cost more than {FUEL:,} steps")

    def pattern_s(self) -> float:
        """How many seconds the next regular expression may take. Raises Exceeded."""
        if self._patterns_s <= 0:
            raise Exceeded(f"the patterns of one event may not take more than {PATTERNS_S:g} s")
        most_s = min(PATTERN_S, self._patterns_s)
        return most_s if self._until is None else min(most_s, max(self._until - self.now(), 0.001))

    def late(self) -> None:
        """A regular expression took longer than it may. Raises Slow when that was only so little
        because of whoever waits."""
        if self._until is not None:
            raise Slow

    def took(self, began: float) -> None:
        """A regular expression that began then (`now`) has ended."""
        self._patterns_s -= self.now() - began

    def now(self) -> float:
        """Seconds from an arbitrary start."""
        return self._clock.monotonic()

    def __str__(self) -> str:
        return ""


def clean(value: Any, depth: int = 0) -> Any:
    """A value of outside as JSON that a database keeps: no NUL, no half characters, no other types;
    what is nested deeper than DEPTH_MAX becomes null."""
    if depth > DEPTH_MAX:
        return None
    if isinstance(value, str):
        return _UNTEXT.sub("\ufffd", value)
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, bool | int) or value is None:
        return value
    if isinstance(value, list | tuple):
        return [clean(one, depth + 1) for one in value]
    if isinstance(value, dict):
        return {clean(str(key), depth): clean(one, depth + 1) for key, one in value.items()}
    return _UNTEXT.sub("\ufffd", str(value))


def weight(value: Any) -> int:
    """The bytes that a value has as JSON."""
    return len(json.dumps(value, ensure_ascii=False).encode(errors="replace"))


def json_value(text: str | bytes) -> Any:
    """The value of a JSON text of outside, cleaned. Raises ValueError for any other text."""
    if len(text) > 2 * TEXT_MAX:
        raise ValueError("the JSON is too long")
    try:
        return clean(json.loads(text, parse_constant=_no_constant))
    except RecursionError:
        raise ValueError("the JSON is nested too deep") from None


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is not JSON")
