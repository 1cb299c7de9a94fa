"""Regular expressions of flows: a whole text, in either case, within a time and a size.

A pattern is compiled into as many nodes as its counts multiply to (`((a{99}){99}){99}` would be a
million), so what it weighs is reckoned before. Recursion and fuzzy matching are not taken: neither
is part of the original's patterns, and both can need memory without end.
"""

from __future__ import annotations

import re
from functools import lru_cache

import regex

from app.flows.fuel import Exceeded, Fuel

PATTERN_MAX = 500  # characters
NODES_MAX = 2_000
SUBJECT_MAX = 10_000

_PIECE = re.compile(
    r"""\\(?:[pP]\{[^}]*\}|.)        # an escape
      | \[\^?\]?(?:\\.|[^\]\\])*\]   # a class
      | \{(?P<least>\d*)(?:,\d*)?\}[?+]?
      | (?P<many>[*+?])[?+]?
      | (?P<open>\()(?:\?(?P<what>[^)]))?
      | (?P<close>\))
      | (?P<brace>\{)
      | .""",
    re.VERBOSE | re.DOTALL,
)
_RECURSION = re.compile(r"R|&|[0-9]|[+]")
_LEAST = {"*": 0, "?": 0, "+": 1}


def wrong(pattern: str) -> str | None:
    """What is wrong with a pattern; None when nothing is."""
    if len(pattern) > PATTERN_MAX:
        return f"a pattern has at most {PATTERN_MAX} characters"
    try:
        if _nodes(pattern) > NODES_MAX:
            return "its counts multiply to too much"
        _compiled(pattern)
    except (regex.error, OverflowError, RecursionError, ValueError, KeyError) as error:
        return f"is not a regular expression: {str(error)[:100]}"
    return None


def matches(pattern: str, text: str, fuel: Fuel) -> bool:
    """Whether the whole text is like this. Raises Exceeded for what is no pattern, or takes too
    long."""
    fuel.burn(500)
    began, limit_s = fuel.now(), fuel.pattern_s()
    try:
        if (said := wrong(pattern)) is not None:
            raise Exceeded(f"the pattern {pattern[:60]!r}: {said}")
        return _compiled(pattern).fullmatch(text[:SUBJECT_MAX], timeout=limit_s) is not None
    except TimeoutError:
        fuel.late()
        raise Exceeded(f"the pattern {pattern[:60]!r} takes more than {limit_s:.1f} s") from None
    except MemoryError:
        raise Exceeded(f"the pattern {pattern[:60]!r} needs too much memory") from None
    finally:
        fuel.took(began)


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> regex.Pattern[str]:
    return regex.compile(pattern, regex.IGNORECASE, cache_pattern=False)


def _nodes(pattern: str) -> int:
    """How many nodes a pattern is compiled to, about. Raises ValueError for what is not taken."""
    open_groups: list[int] = []
    here, last = 0, 0  # of the group that is open; of the piece that a count would repeat
    for piece in _PIECE.finditer(pattern):
        if piece["brace"]:
            raise ValueError("a brace that is no count needs a backslash")
        if piece["open"]:
            _not_recursive(piece["what"], pattern, piece.end())
            open_groups.append(here)
            here, last = 0, 0
        elif piece["close"]:
            outer = open_groups.pop() if open_groups else 0
            here, last = outer + here + 1, here + 1
        elif piece["many"] or piece["least"] is not None:
            least = int(piece["least"] or 0) if piece["many"] is None else _LEAST[piece["many"]]
            here, last = here + last * least, last * (least + 1)
        else:
            here, last = here + 1, 1
        if here > NODES_MAX:
            return here
    return here


def _not_recursive(what: str | None, pattern: str, end: int) -> None:
    if what is None:
        return
    named = what == "P" and pattern[end : end + 1] == ">"
    back = what == "-" and pattern[end : end + 1].isdigit()
    if named or back or _RECURSION.match(what):
        raise ValueError("a pattern does not call itself")
