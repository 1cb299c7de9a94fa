"""What the resources of event streams have in common: their error codes, SIDs and lists."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from app import ids
from app.api.call import Call
from app.api.page import Listing, Wanted
from app.errors import Invalid, NotFound
from app.store.slices import Key

R = TypeVar("R")

NO_SINK, BAD_PAGE, SINKS_FULL, BAD_TEST, BAD_SID, SINK_USED = (
    91001,
    91002,
    91003,
    91005,
    91006,
    91007,
)
SINK_NOT_MADE, SUBSCRIPTION_NOT_MADE = 91000, 91100
NO_SUBSCRIPTION, NO_TYPES, NO_TYPE, BAD_REQUEST = 91102, 91103, 91104, 91201

DESCRIPTION_CHARS_MAX = 1024


def description(text: str) -> str:
    """What people call it. Raises Invalid 91201."""
    if len(text) > DESCRIPTION_CHARS_MAX:
        raise Invalid(BAD_REQUEST, "Description is too long")
    return text


def sid(call: Call, segment: str, prefix: str) -> str:
    """The SID that a segment of the path is. Raises Invalid 91006."""
    text = call.key(segment)
    if not ids.is_sid(text, prefix):
        raise Invalid(BAD_SID, f"{segment} is not a SID that starts with {prefix}")
    return ids.lowered(text)


def found(call: Call, row: R | None, code: int) -> R:
    """The row that the path leads to. Raises NotFound with this code."""
    if row is None:
        raise missing(call, code)
    return row


def missing(call: Call, code: int) -> NotFound:
    """The refusal of a path that leads nowhere, with a code of its own."""
    return NotFound(code, call.missing().message)


def wanted(call: Call, listing: Listing) -> Wanted:
    """The page that the query asks for. Raises Invalid 91002."""
    try:
        return call.wanted(listing)
    except Invalid as invalid:
        raise Invalid(BAD_PAGE, invalid.message) from None


def page_of(
    call: Call,
    listing: Listing,
    rows: Sequence[R],
    key: Callable[[R], Key],
    show: Callable[[R], dict[str, Any]],
) -> dict[str, Any]:
    """A page of a list that is the same for everybody; its rows are in the order of their keys."""
    asked = wanted(call, listing)
    mark, backwards = asked.slice.mark, asked.slice.backwards
    left = list(reversed(rows)) if backwards else list(rows)
    if mark is not None:
        left = [row for row in left if (key(row) < mark if backwards else key(row) > mark)]
    return asked.answer(left[: asked.slice.limit + 1], key, show)
