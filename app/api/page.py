"""Lists: pages by key, their tokens and their `meta` with absolute URLs.

A PageToken is opaque: `PA` (the page after) or `PB` (the page before) and the key of a boundary
row, which need not exist any more. `Page` is the caller's own counter; it is never sought by.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import orjson

from app.api.forms import INVALID
from app.api.parameters import INTEGER_MAX, instant, whole
from app.errors import Invalid
from app.store.slices import Key, Slice

R = TypeVar("R")

PAGE_SIZE, PAGE, PAGE_TOKEN = "PageSize", "Page", "PageToken"
PLATFORM_MAX = 1000
TOO_LARGE = 20007
AFTER, BEFORE = "PA", "PB"
TOKEN_CHARS_MAX = 1024


@dataclass(frozen=True, slots=True)
class Listing:
    """A kind of list: the name of its array, its page sizes and the types of its key."""

    name: str
    key: tuple[type[int] | type[str] | type[datetime], ...]
    size: int = 50
    size_max: int = 50


@dataclass(frozen=True, slots=True)
class Wanted:
    """The page that a request asks for. `filters` are the other parameters as they were sent."""

    listing: Listing
    path: str
    filters: tuple[tuple[str, str], ...]
    size: int
    number: int
    token: str | None
    slice: Slice

    def answer(
        self, rows: Sequence[R], key: Callable[[R], Key], show: Callable[[R], dict[str, Any]]
    ) -> dict[str, Any]:
        """The page: what a slice gave, each row shown, and where to go from here."""
        shown = list(rows[: self.slice.limit])
        more = len(rows) > len(shown)
        if self.slice.backwards:
            shown.reverse()
        before, after = self._beyond(more)
        meta = {
            "page": self.number,
            "page_size": self.size,
            "first_page_url": self._url(0, None),
            "previous_page_url": self._url(max(0, self.number - 1), _token(BEFORE, key(shown[0])))
            if shown and before
            else None,
            "url": self._url(self.number, self.token),
            "next_page_url": self._url(self.number + 1, _token(AFTER, key(shown[-1])))
            if shown and after
            else None,
            "key": self.listing.name,
        }
        return {"meta": meta, self.listing.name: [show(row) for row in shown]}

    def _beyond(self, more: bool) -> tuple[bool, bool]:
        """Whether there is something before and after: where we come from there is."""
        if self.slice.backwards:
            return more, True
        return self.slice.mark is not None, more

    def _url(self, number: int, token: str | None) -> str:
        pairs = [*self.filters, (PAGE_SIZE, str(self.size)), (PAGE, str(number))]
        if token is not None:
            pairs.append((PAGE_TOKEN, token))
        return f"{self.path}?{urlencode(pairs, quote_via=quote)}"


def wanted(
    listing: Listing, path: str, sent: Sequence[tuple[str, str]], filters: Sequence[str]
) -> Wanted:
    """The page that these query parameters ask for; `filters` names those that are not paging.

    Raises Invalid 20007 (PageSize over 1000) and 20001 (anything else that is wrong).
    """
    given = {name.lower(): text for name, text in sent}
    size = _size(given.get(PAGE_SIZE.lower()), listing)
    number = whole(given.get(PAGE.lower()) or "0")
    if number is None:
        raise Invalid(INVALID, f"Invalid {PAGE}")
    token = given.get(PAGE_TOKEN.lower()) or None
    kept = tuple(
        (name, text) for name in filters for key, text in sent if key.lower() == name.lower()
    )
    return Wanted(
        listing, path, kept, size, min(number, INTEGER_MAX - 1), token, _slice(token, size, listing)
    )


def _size(text: str | None, listing: Listing) -> int:
    if not text:
        return listing.size
    size = whole(text)
    if not size:
        raise Invalid(INVALID, f"Invalid {PAGE_SIZE}")
    if size > PLATFORM_MAX:
        raise Invalid(TOO_LARGE, "Page size too large")
    return min(size, listing.size_max)


def _slice(token: str | None, size: int, listing: Listing) -> Slice:
    if token is None:
        return Slice(size)
    mark = _mark(token, listing)
    if mark is None:
        raise Invalid(INVALID, f"Invalid {PAGE_TOKEN}")
    return Slice(size, mark, token.startswith(BEFORE))


def _token(direction: str, key: Key) -> str:
    values = [value.isoformat() if isinstance(value, datetime) else value for value in key]
    return direction + base64.urlsafe_b64encode(orjson.dumps(values)).decode().rstrip("=")


def _mark(token: str, listing: Listing) -> Key | None:
    """The key in a token; None for anything that no page of this list ever gave."""
    if not token.startswith((AFTER, BEFORE)) or len(token) > TOKEN_CHARS_MAX:
        return None
    encoded = token[len(AFTER) :]
    try:
        raw = base64.b64decode(encoded + "=" * (-len(encoded) % 4), altchars="-_", validate=True)
        values = orjson.loads(raw)
    except (binascii.Error, ValueError):
        return None
    if not isinstance(values, list) or len(values) != len(listing.key):
        return None
    key = [_value(kind, value) for kind, value in zip(listing.key, values, strict=True)]
    return tuple(value for value in key if value is not None) if None not in key else None


def _value(kind: type[Any], value: Any) -> int | str | datetime | None:
    if kind is int:
        fits = type(value) is int and 0 <= value <= INTEGER_MAX
        return value if fits else None
    if not isinstance(value, str) or "\x00" in value:
        return None
    return instant(value) if kind is datetime else value
