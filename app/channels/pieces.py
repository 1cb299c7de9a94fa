"""Cutting a text that is too long for one message of a channel into several, in its order.

Nothing that people see as one character is cut (extended grapheme clusters, Unicode Standard Annex
29), and no word where there is another place: at the end of a line, else between words.
"""

from __future__ import annotations

import regex

_CLUSTER = regex.compile(r"\X")
_SPACES = regex.compile(r"\s+")

SHORTEST = 0.5
"""A piece is filled at least so far before it ends between words: else a word is cut."""


def pieces(text: str, chars_max: int) -> list[tuple[int, int]]:
    """From where to where each piece goes, each of at most so many characters (code points). White
    space between two pieces is in neither; one piece, for a text that fits, is all of it."""
    found: list[tuple[int, int]] = []
    start = 0
    while len(text) - start > chars_max:
        end, following = _cut(text, start, chars_max)
        if text[start:end].strip():
            found.append((start, end))
        start = following
    if not found or text[start:].strip():
        found.append((start, len(text)))
    return found


def _cut(text: str, start: int, chars_max: int) -> tuple[int, int]:
    """Where a piece ends, and where the next one begins."""
    last, least = start + chars_max, start + int(chars_max * SHORTEST)
    line = between = 0
    for spaces in _SPACES.finditer(text, start, last + 1):
        if spaces.start() > last or spaces.start() <= least:
            continue
        between = spaces.start()
        line = between if "\n" in spaces[0] else line
    end = line or between
    if not end:
        end = _whole(text, start, last)
        return end, end
    gap = _SPACES.match(text, end)
    return end, gap.end() if gap else end


def _whole(text: str, start: int, last: int) -> int:
    """The last place up to `last` that is between two clusters; `last`, when one fills it all."""
    end = start
    for cluster in _CLUSTER.finditer(text, start, min(len(text), last + 1)):
        if cluster.end() > last:
            break
        end = cluster.end()
    return end if end > start else last
