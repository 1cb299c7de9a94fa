"""Templates of the generic carrier: text with `{fields}`, read once, filled without running code.

`{name}` is the value of that field; `{{` and `}}` are plain braces. There is nothing else: no
expressions, no attributes, no loops. A template whose fields are all empty gives nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from typing import Any

from pydantic import ValidationError
from pydantic_core import InitErrorDetails, PydanticCustomError

from app.settings.types import PLAIN

MESSAGE = frozenset(
    {
        "to",
        "to.bare",
        "to.digits",
        "from",
        "from.bare",
        "from.digits",
        "body",
        "channel",
        "reference",
        "status_url",
    }
)
FILE = frozenset({"media.url", "media.type"})
OF_SECRETS = "secret."

_TOKEN = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_NEAR = 0.6

Value = str | None
Steps = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """A place in a template that a value takes."""

    name: str


@dataclass(frozen=True, slots=True)
class Template:
    """Text and fields in turn."""

    parts: tuple[str | Field, ...]

    @property
    def names(self) -> frozenset[str]:
        """The fields that it names."""
        return frozenset(part.name for part in self.parts if isinstance(part, Field))

    def fill(self, values: Mapping[str, Value], escape: Callable[[str], str] = str) -> str | None:
        """The text, each value escaped; None when it names fields and all of them are empty."""
        names = self.names
        if names and not any(values.get(name) for name in names):
            return None
        return "".join(
            escape(values.get(part.name) or "") if isinstance(part, Field) else part
            for part in self.parts
        )


@lru_cache(maxsize=4096)  # the templates of a file are few, and filled with every message
def read(text: str) -> Template:
    """The template in this text. Raises ValueError for a brace that has no partner."""
    parts: list[str | Field] = []
    end = 0
    for match in _TOKEN.finditer(text):
        parts.append(text[end : match.start()])
        end = match.end()
        if match[1] is not None:
            parts.append(Field(match[1].strip()))
        elif match[0] in ("{{", "}}"):
            parts.append(match[0][0])
        else:
            raise ValueError("a single brace: fields are written {name}, plain braces {{ and }}")
    parts.append(text[end:])
    return Template(tuple(part for part in parts if part != ""))


def check(text: str, known: Iterable[str], prefixes: Sequence[str] = (OF_SECRETS,)) -> Template:
    """The template, if it names known fields only, or what begins with one of the prefixes and goes
    on. Raises ValueError, which names the place and never the text: it may hold a secret."""
    template = read(text)
    words = frozenset(known)
    fields = [part.name for part in template.parts if isinstance(part, Field)]
    for number, name in enumerate(fields, 1):
        if name in words or any(name.startswith(one) and name != one for one in prefixes):
            continue
        near = get_close_matches(name, sorted(words), n=1, cutoff=_NEAR)
        hint = f"did you mean {{{near[0]}}}?" if near else "known: " + _listed(words, prefixes)
        raise ValueError(f"field {number} of the template does not exist here ({hint})")
    return template


def leaves(tree: Any, steps: Steps = ()) -> Iterator[tuple[Steps, Any]]:
    """Every single value in a tree of lists and mappings, with the way to it; an empty list or
    mapping counts as one."""
    if isinstance(tree, dict) and tree:
        for name, value in tree.items():
            yield from leaves(value, (*steps, name))
    elif isinstance(tree, list | tuple) and tree:
        for index, value in enumerate(tree):
            yield from leaves(value, (*steps, index))
    else:
        yield steps, tree


def wrong(problems: Iterable[tuple[Steps, str]]) -> None:
    """Raise pydantic's error for these places and messages, if there are any."""
    errors = [
        InitErrorDetails(
            type=PydanticCustomError(PLAIN, "{message}", {"message": message}),
            loc=steps,
            input=None,
        )
        for steps, message in problems
    ]
    if errors:
        raise ValidationError.from_exception_data("template", errors)


def _listed(words: Iterable[str], prefixes: Iterable[str]) -> str:
    return ", ".join([*sorted(words), *(f"{prefix}NAME" for prefix in prefixes)])
