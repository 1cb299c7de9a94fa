"""Slices of a long list by key: rows that come or go elsewhere shift nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, Select, tuple_

Key = tuple[int | str | datetime, ...]


@dataclass(frozen=True, slots=True)
class Slice:
    """At most `limit` rows beyond `mark` (None: from the start); `backwards` those before it."""

    limit: int
    mark: Key | None = None
    backwards: bool = False


def cut(
    statement: Select[Any], key: Sequence[Column[Any]], wanted: Slice, *, descending: bool = False
) -> Select[Any]:
    """The statement for a slice in the order of `key`, and one row more, which tells whether the
    list goes on. Backwards, the rows come in reverse."""
    falling = descending != wanted.backwards
    if wanted.mark is not None:
        here, mark = tuple_(*key), tuple_(*wanted.mark, types=[column.type for column in key])
        statement = statement.where(here < mark if falling else here > mark)
    order = [column.desc() if falling else column.asc() for column in key]
    return statement.order_by(*order).limit(wanted.limit + 1)
