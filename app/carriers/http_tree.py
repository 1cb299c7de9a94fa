"""The body of a send of the generic carrier: a tree of templates that grows into JSON or a form.

What comes out empty is left out. An item of a list that names a `media` field is repeated for each
file of the message; of lists within lists that is the innermost.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from app.carriers.http_template import FILE, Steps, Value, check, leaves, read

NOTHING: Final = object()
EMPTY = 'is empty; a field is written in quotes, like "{to}"'


def problems(tree: Any, fields: frozenset[str]) -> Iterator[tuple[Steps, str]]:
    """What is wrong in a tree of templates: the way to each place and what it is."""
    for steps, value in leaves(tree):
        if value is None or value in ([], {}):
            yield steps, EMPTY
        elif isinstance(value, str):
            try:
                check(value, fields)
            except ValueError as error:
                yield steps, str(error)


def files_max(trees: Sequence[Any]) -> int | None:
    """How many files the trees have room for: none, one (a `media` field outside of every list), or
    as many as there are (None)."""
    listed = [in_list for tree in trees for in_list in _media(tree)]
    return (None if all(listed) else 1) if listed else 0


def grow(tree: Any, values: Mapping[str, Value], files: Sequence[Mapping[str, Value]]) -> Any:
    """The tree with its fields filled; NOTHING when all of it is empty. Outside of lists a `media`
    field is that of the first file."""
    return _grow(tree, {**values, **(files[0] if files else {})}, values, files)


def pairs(form: Mapping[str, Any]) -> list[tuple[str, str]]:
    """A grown form as its fields in order: a list gives its name once for each item."""
    listed = [(name, one if isinstance(one, list) else [one]) for name, one in form.items()]
    return [(name, _word(value)) for name, values in listed for value in values]


def _grow(
    tree: Any,
    here: Mapping[str, Value],
    message: Mapping[str, Value],
    files: Sequence[Mapping[str, Value]],
) -> Any:
    if isinstance(tree, str):
        text = read(tree).fill(here)
        return NOTHING if text is None else text
    if isinstance(tree, dict):
        grown = {name: _grow(value, here, message, files) for name, value in tree.items()}
        kept = {name: value for name, value in grown.items() if value is not NOTHING}
        return kept or NOTHING
    if isinstance(tree, list | tuple):
        items = [one for item in tree for one in _items(item, here, message, files)]
        return [one for one in items if one is not NOTHING] or NOTHING
    return tree


def _items(
    item: Any,
    here: Mapping[str, Value],
    message: Mapping[str, Value],
    files: Sequence[Mapping[str, Value]],
) -> list[Any]:
    if all(_media(item)):  # none, or only in lists further in, which repeat by themselves
        return [_grow(item, here, message, files)]
    return [_grow(item, {**message, **file}, message, (file,)) for file in files]


def _media(tree: Any) -> list[bool]:
    """For each place that names a `media` field, whether it is within a list of the tree."""
    return [
        any(isinstance(step, int) for step in steps)
        for steps, value in leaves(tree)
        if isinstance(value, str) and read(value).names & FILE
    ]


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
