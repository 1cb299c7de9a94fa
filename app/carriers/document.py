"""A carrier's JSON, read field by field: what is wrong is named by its place, never repeated."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from app.carriers import storable
from app.carriers.contract import Junk
from app.channels.address import normalise
from app.model.traffic import MediaPart

MEDIA_MAX = 50
OTHERS_MAX = 50
URL_LENGTH_MAX = 4096
SIZE_MAX = 2**31 - 1
UNKNOWN_TYPE = "application/octet-stream"

_ID = re.compile(r"[A-Za-z0-9_.:=-]{1,128}")
_URL = re.compile(r"https?://[!-~]+")
_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(?:\s*;[ -~]*)?", re.ASCII)
# A clock that is off by years says nothing; dates at the ends of the calendar have no UTC.
_YEARS = range(2000, 2200)


def load(body: bytes) -> Any:
    """The decoded body, as far as a database can hold it; raises Junk."""
    try:
        return storable.document(orjson.loads(body))
    except ValueError:
        raise Junk("the body is not JSON, or is nested too deep") from None


@dataclass(frozen=True, slots=True)
class Node:
    """One JSON object; `place` is the path that leads to it. Absent and null are the same."""

    place: str
    fields: Mapping[str, Any]

    def at(self, name: str) -> str:
        """The place of a field."""
        return f"{self.place}.{name}" if self.place else name

    def text(self, name: str) -> str:
        """The text there, "" when there is none; raises Junk for another kind of value."""
        value = self.fields.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise Junk(f"{self.at(name)} is not text")
        return value

    def needed(self, name: str) -> str:
        """The text there; raises Junk when there is none."""
        found = self.text(name)
        if not found:
            raise Junk(f"{self.at(name)} is missing")
        return found

    def word(self, name: str) -> str:
        """The text there, also of a number; "" for everything else, and never Junk."""
        value = self.fields.get(name)
        if isinstance(value, str):
            return value
        return str(value) if isinstance(value, int) and not isinstance(value, bool) else ""

    def identifier(self, name: str) -> str:
        """An id of the carrier; raises Junk when it is missing or has no form of one."""
        found = self.needed(name)
        if not _ID.fullmatch(found):
            raise Junk(f"{self.at(name)} is not an id")
        return found

    def inner(self, name: str) -> Node:
        """The object there, an empty one when there is none; raises Junk for another value."""
        value = self.fields.get(name)
        return node({} if value is None else value, self.at(name))

    def items(self, name: str) -> list[tuple[str, Any]]:
        """The entries of the list there, each with its place; raises Junk for another value."""
        value = self.fields.get(name)
        if value is None:
            return []
        if not isinstance(value, list):
            raise Junk(f"{self.at(name)} is not a list")
        return [(f"{self.at(name)}[{index}]", item) for index, item in enumerate(value)]

    def inners(self, name: str) -> list[Node]:
        """The objects of the list there; raises Junk."""
        return [node(item, place) for place, item in self.items(name)]

    def moment(self, name: str) -> datetime | None:
        """The ISO 8601 time there; None for everything else."""
        try:
            moment = datetime.fromisoformat(self.word(name))
        except ValueError:
            return None
        if moment.year not in _YEARS:
            return None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def size(self, name: str) -> int | None:
        """A number of bytes; None for everything else."""
        value = self.fields.get(name)
        good = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= SIZE_MAX
        return value if good else None


def node(value: Any, place: str = "") -> Node:
    """The object at this place; raises Junk for another kind of value."""
    if not isinstance(value, dict):
        raise Junk(f"{place or 'the body'} is not an object")
    return Node(place, value)


def address(given: Any, place: str) -> str:
    """The address at this place, normalised; raises Junk."""
    if not isinstance(given, str) or not given:
        raise Junk(f"{place} is missing")
    try:
        return normalise(given, allow_short_code=True, lenient=True)
    except ValueError as error:
        raise Junk(f"{place} is not an address: {error}") from None


def others(members: list[str], known: set[str], place: str) -> tuple[str, ...]:
    """The further members of a group, each once and in their order; raises Junk."""
    if len(members) > OTHERS_MAX:
        raise Junk(f"{place} has more than {OTHERS_MAX} entries")
    return tuple(member for member in dict.fromkeys(members) if member not in known)


def file(
    url: Any,
    place: str,
    content_type: str,
    *,
    size: int | None = None,
    filename: str | None = None,
) -> MediaPart:
    """One file of a message; raises Junk when `url` is none."""
    if not isinstance(url, str) or len(url) > URL_LENGTH_MAX or not _URL.fullmatch(url):
        raise Junk(f"{place} is missing or not a URL")
    kind = content_type if _TYPE.fullmatch(content_type) else UNKNOWN_TYPE
    return MediaPart(url, kind, size, filename or None)


def few(parts: list[MediaPart], place: str) -> tuple[MediaPart, ...]:
    """The files of a message; raises Junk when they are too many."""
    if len(parts) > MEDIA_MAX:
        raise Junk(f"{place} has more than {MEDIA_MAX} entries")
    return tuple(parts)
