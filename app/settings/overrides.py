"""Connection overrides: what the fragment of a webhook's URL asks of the one who calls it.

`https://app.example.com/hook#rc=3&rp=5xx,ct&tt=4000`. It is never sent and not signed. Of the
original's keys (https://www.twilio.com/docs/usage/webhooks/webhooks-connection-overrides) `sni` and
`e` are accepted and mean nothing here. Errors have the original's numbers where it has any.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

BAD_URL, BAD_EDGE, BAD_POLICY = 11100, 11240, 11243

POLICIES = frozenset({"4xx", "5xx", "ct", "rt", "all"})
"""Which failures are tried again: by class of status; no connection; no (whole) answer; any."""


@dataclass(frozen=True, slots=True)
class Overrides:
    """What is asked: at most so many retries, after which failures (none given: any), and timeouts
    in seconds to connect, between packets, and in total. None: as usual."""

    retries_max: int | None = None
    retried: frozenset[str] = frozenset()
    connect_s: float | None = None
    read_s: float | None = None
    total_s: float | None = None


@dataclass(frozen=True, slots=True)
class Wrong:
    """Something in a fragment that means nothing: the original's error number, and why."""

    code: int
    message: str


@lru_cache(maxsize=1024)
def overrides(url: str) -> Overrides:
    """What the URL's fragment asks; of what is wrong in it, nothing."""
    asked: dict[str, Any] = {}
    for key, value in _pairs(url):
        kind = KEYS.get(key)
        if kind is not None and key not in asked and kind.read(value) is not None:
            asked[key] = kind.read(value)
    return Overrides(
        asked.get("rc"),
        asked.get("rp", frozenset()),
        *(_seconds(asked.get(key)) for key in ("ct", "rt", "tt")),
    )


def check(url: str) -> list[Wrong]:
    """Everything that is wrong with the fragment of this URL."""
    wrong: list[Wrong] = []
    seen: set[str] = set()
    for key, value in _pairs(url):
        kind = KEYS.get(key)
        if kind is None:
            known = ", ".join(KEYS)
            wrong.append(Wrong(BAD_URL, f"#{key[:20]} is no connection override: {known}"))
        elif key in seen:
            wrong.append(Wrong(kind.code, f"#{key} is given twice"))
        elif kind.read(value) is None:
            wrong.append(Wrong(kind.code, f"#{key} should be {kind.form}"))
        seen.add(key)
    return wrong


@dataclass(frozen=True, slots=True)
class _Kind:
    read: Callable[[str], Any]
    form: str
    code: int = BAD_URL


def _number(low: int, high: int, code: int = BAD_URL) -> _Kind:
    def read(text: str) -> int | None:
        if not (text.isascii() and text.isdecimal() and len(text) <= 6):
            return None
        return int(text) if low <= int(text) <= high else None

    return _Kind(read, f"a number from {low} to {high}", code)


def _policy(text: str) -> frozenset[str] | None:
    words = frozenset(text.split(","))
    return words if words <= POLICIES else None


def _edges(text: str) -> str | None:
    names = text.split(",")
    return text if all(name.replace("-", "").isalnum() for name in names) else None


KEYS: Mapping[str, _Kind] = {
    "rc": _number(0, 5, BAD_POLICY),
    "rp": _Kind(_policy, f"a list of {', '.join(sorted(POLICIES))}", BAD_POLICY),
    "ct": _number(100, 10_000),
    "rt": _number(100, 15_000),
    "tt": _number(100, 15_000),
    "sni": _Kind(lambda text: text if text in ("y", "n") else None, "y or n"),
    "e": _Kind(_edges, "a list of names of edge locations", BAD_EDGE),
}


def _pairs(url: str) -> Iterator[tuple[str, str]]:
    fragment = url.partition("#")[2]
    for pair in fragment.split("&") if fragment else ():
        key, _, value = pair.partition("=")
        yield key, value


def _seconds(millis: int | None) -> float | None:
    return None if millis is None else millis / 1000
