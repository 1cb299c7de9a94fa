"""Documents that are nearly right: a good one with some of its parts replaced or taken out."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from hypothesis import strategies as st

Path = tuple[str | int, ...]

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=12)
    | st.sampled_from(["", "+15558675310", "https://a.example/b.png", "2030-01-02T03:04:05Z"])
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=6), inner, max_size=3)
    ),
    max_leaves=6,
)


def reshaped(good: Any) -> st.SearchStrategy[Any]:
    """This document with up to three of its parts, at any depth, changed."""
    paths = list(_paths(good))
    change = st.tuples(st.sampled_from(paths), st.sampled_from(["replace", "drop"]), ANYTHING)
    return st.lists(change, min_size=1, max_size=3).map(lambda changes: _changed(good, changes))


def _paths(value: Any, path: Path = ()) -> Iterator[Path]:
    yield path
    items: Any = ()
    if isinstance(value, dict):
        items = value.items()
    if isinstance(value, list):
        items = enumerate(value)
    for key, inner in items:
        yield from _paths(inner, (*path, key))


def _changed(good: Any, changes: list[tuple[Path, str, Any]]) -> Any:
    changed = deepcopy(good)
    for path, how, value in changes:
        if not path:
            changed = value
            continue
        place = changed
        try:
            for step in path[:-1]:
                place = place[step]
            if how == "drop":
                del place[path[-1]]
            else:
                place[path[-1]] = value
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change has taken this place away
    return changed
