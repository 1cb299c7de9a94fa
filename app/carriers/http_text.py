"""Answers that are plain text or XML, read by how they look.

`OK: {id}` takes out of a text what stands at its field. The text before a field has to be there; a
field reaches to the text after it or, as the last one, to the end of its line. The first place
where the beginning fits counts: there is no going back, so no text takes long.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from app.carriers.http_template import Field, Template, read

FIELDS = frozenset({"id", "code", "message"})
VALUE_LENGTH_MAX = 1000


def check(pattern: str) -> None:
    """Raises ValueError for a pattern that cannot be read or takes nothing."""
    template = read(pattern)
    parts = template.parts
    if not template.names or template.names - FIELDS:
        raise ValueError("takes out {id}, {code} or {message}, and at least one of them")
    if sum(isinstance(part, Field) for part in parts) > len(template.names):
        raise ValueError("names a field twice")
    if any(isinstance(a, Field) and isinstance(b, Field) for a, b in pairwise(parts)):
        raise ValueError("needs text between two fields")


def fields(patterns: Sequence[str], text: str) -> dict[str, str]:
    """What the patterns take out of the text; of two that take the same field the first."""
    found: dict[str, str] = {}
    for pattern in patterns:
        found = _taken(read(pattern), text) | found
    return found


def _taken(pattern: Template, text: str) -> dict[str, str]:
    """The values at the pattern's fields; none when it does not fit."""
    found: dict[str, str] = {}
    place, open_field = 0, ""
    for part in (*pattern.parts, "\n"):
        if isinstance(part, Field):
            open_field = part.name
            continue
        start = text.find(part, place)
        if part == "\n" and start < 0:
            start = len(text)
        value = text[place:start].strip()
        if start < 0 or (open_field and not _fits(value)):
            return {}
        if open_field:
            found[open_field] = value
        place, open_field = start + len(part), ""
    return found


def _fits(value: str) -> bool:
    return 0 < len(value) <= VALUE_LENGTH_MAX and "\n" not in value
