"""Where the generic carrier finds a value: dotted paths through JSON, names of a form's fields.

`data.items.0.id` goes through mappings and lists; `*` stands for every item of a list; a path that
begins with `$.` starts at the whole body, any other at the message or status at hand. A form has no
levels: a path is the whole name of a field.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from multidict import MultiMapping
from pydantic import BeforeValidator, Field

from app.carriers import storable
from app.carriers.contract import Junk, Request

ITEMS_MAX = 1000
ROOT = "$."

Path = Annotated[str, Field(min_length=1, max_length=256)]


def _several(given: Any) -> Any:
    return [given] if isinstance(given, str) else given


Paths = Annotated[tuple[Path, ...], BeforeValidator(_several), Field(min_length=1)]
"""One path, or several of which the first that leads to something counts."""


def texts(given: Any) -> Any:
    """One word or a list of words; a number or a boolean is its text."""
    return [word(one) or one for one in (given if isinstance(given, list | tuple) else [given])]


When = dict[Path, Annotated[tuple[str, ...], BeforeValidator(texts), Field(min_length=1)]]
"""The words of which one has to be at each path."""


@dataclass(frozen=True, slots=True)
class Source:
    """One message or status within a body: what paths start at."""

    root: Any
    here: Any

    def get(self, path: str) -> Any:
        """The value at the path; None when there is none."""
        if isinstance(self.here, FormFields):
            return self.here.fields.get(path)
        start, path = (self.root, path[2:]) if path.startswith(ROOT) else (self.here, path)
        return next(iter(follow(start, path)), None)

    def first(self, paths: Sequence[str]) -> Any:
        """The first value that is there and not empty."""
        values = (self.get(path) for path in paths)
        return next((value for value in values if value not in (None, "")), None)

    def every(self, path: str) -> list[Any]:
        """Every value at the path; a list there counts as its items."""
        if isinstance(self.here, FormFields):
            return list(self.here.fields.getall(path, []))
        start, path = (self.root, path[2:]) if path.startswith(ROOT) else (self.here, path)
        return spread(follow(start, path))

    def fits(self, when: Mapping[str, Sequence[str]]) -> bool:
        """Whether each path leads to one of its words."""
        return all(word(self.get(path)) in words for path, words in when.items())


@dataclass(frozen=True, slots=True)
class FormFields:
    """The fields of a form."""

    fields: MultiMapping[str]


def sources(request: Request, form: bool, entries: str | None, one_door: bool) -> list[Source]:
    """What the request holds: its form, or each entry that `entries` leads to in its JSON; with
    `one_door` nothing may be there, as it is for the other parser. Raises Junk for a body that is
    no such thing."""
    if form:
        if not request.form:
            raise Junk("the body is not a form")
        return [Source(None, FormFields(request.form))]
    body = _json(request.body)
    reached = [body] if entries is None else follow(body, entries)
    if not reached and not one_door:
        raise Junk(f"{entries} is missing")
    found = reached if entries is None else spread(reached)
    if len(found) > ITEMS_MAX:
        raise Junk(f"there are more than {ITEMS_MAX} entries in one request")
    if not all(isinstance(entry, dict) for entry in found):
        raise Junk(f"{entries or 'the body'} is not a JSON object")
    return [Source(body, entry) for entry in found]


def follow(start: Any, path: str) -> list[Any]:
    """The values at the end of a path through JSON; several with `*`, none when it leads nowhere or
    to null."""
    found = [start]
    for step in path.split("."):
        found = [below for one in found for below in _below(one, step)][: ITEMS_MAX + 1]
    return [one for one in found if one is not None]


def spread(found: Sequence[Any]) -> list[Any]:
    """The values, each list among them as its items."""
    return [item for one in found for item in (one if isinstance(one, list) else [one])]


def word(value: Any) -> str | None:
    """A single JSON value as text: numbers without a needless fraction, true and false; None for
    everything else."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        whole = math.isfinite(value) and value.is_integer()
        return str(int(value)) if whole else None
    if isinstance(value, str | int):
        return storable.text(str(value)).strip()
    return None


def _below(value: Any, step: str) -> Sequence[Any]:
    if isinstance(value, dict):
        return (value[step],) if step in value else ()
    if not isinstance(value, list):
        return ()
    if step == "*":
        return value
    number = int(step) if step.isascii() and step.isdigit() and len(step) < 5 else len(value)
    return value[number : number + 1]


def _json(body: bytes) -> Any:
    try:
        return storable.document(orjson.loads(body))
    except ValueError as error:  # JSONDecodeError is one
        deep = not isinstance(error, orjson.JSONDecodeError)
        raise Junk(str(error) if deep else "the body is not JSON") from None
