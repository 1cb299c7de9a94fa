"""The kinds of parameter: texts, SIDs, words, numbers, moments, and how each is read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import orjson

from app import ids
from app.api.forms import USUAL, Parameter
from app.errors import Invalid
from app.rules.conversations import check_attributes
from app.settings import overrides
from app.settings.content_types import BadContent
from app.settings.models import LimitSettings
from app.settings.types import web_url

T = TypeVar("T")

INTEGER_MAX = 2**31 - 1
YEARS = range(1000, 9999)  # four digits, and a day to either side stays in the calendar
TRUTH = {"true": True, "1": True, "false": False, "0": False}
DATE_CHARS = len("2024-01-31")
COUNTRY_CHARS = 2
NULL = "null"  # clears what may be cleared, as nothing does


def text(name: str, check: Callable[[str], str] = str) -> Parameter[str]:
    """A text that `check` accepts, as it is."""
    return Parameter(name, lambda texts: check(texts[-1]))


def clearable(name: str, check: Callable[[str], str] = str) -> Parameter[str | None]:
    """A text that `check` accepts; sent empty, it is cleared."""
    return Parameter(name, lambda texts: check(texts[-1]) if texts[-1] else None)


def limited(name: str, check: Callable[[str, LimitSettings], T]) -> Parameter[T]:
    """What `check` makes of a text within the limits that are set."""
    return Parameter(
        name,
        lambda texts: check(texts[-1], USUAL),
        within=lambda texts, limits: check(texts[-1], limits),
    )


def short(name: str, longest: int, code: int, said: str) -> Parameter[str | None]:
    """A text of at most `longest` characters; sent empty, it is cleared."""

    def check(value: str) -> str:
        if len(value) > longest:
            raise Invalid(code, said)
        return value

    return clearable(name, check)


def sid(name: str, prefix: str, code: int, said: str) -> Parameter[str]:
    """A SID with this prefix."""

    def read(texts: Sequence[str]) -> str:
        if not ids.is_sid(texts[-1], prefix):
            raise Invalid(code, said)
        return ids.lowered(texts[-1])

    pattern = f"^{prefix}[0-9a-fA-F]{{32}}$"
    return Parameter(
        name, read, {"type": "string", "minLength": 34, "maxLength": 34, "pattern": pattern}
    )


def choice(name: str, choices: Mapping[str, str], code: int, said: str) -> Parameter[str]:
    """One of a few words, in any case; gives the word's value."""

    def read(texts: Sequence[str]) -> str:
        found = choices.get(texts[-1].lower())
        if found is None:
            raise Invalid(code, said)
        return found

    return Parameter(name, read, {"type": "string", "enum": sorted(set(choices.values()))})


def flag(name: str) -> Parameter[bool]:
    """true or false."""

    def read(texts: Sequence[str]) -> bool:
        found = TRUTH.get(texts[-1].strip().lower())
        if found is None:
            raise ValueError
        return found

    return Parameter(name, read, {"type": "boolean"})


def integer(name: str, most: int, code: int, said: str, *, least: int = 0) -> Parameter[int]:
    """A whole number from `least` to `most`."""

    def read(texts: Sequence[str]) -> int:
        found = whole(texts[-1], most)
        if found is None or found < least:
            raise Invalid(code, said)
        return found

    return Parameter(name, read, {"type": "integer", "minimum": least, "maximum": most})


def moment(name: str, code: int, said: str) -> Parameter[datetime]:
    """An ISO 8601 date and time; UTC unless it says otherwise."""

    def read(texts: Sequence[str]) -> datetime:
        found = instant(texts[-1])
        if found is None:
            raise Invalid(code, said)
        return found

    return Parameter(name, read, {"type": "string", "format": "date-time"})


def nullable(kind: Parameter[T]) -> Parameter[T | None]:
    """The same parameter, cleared by the word `null` or by nothing."""

    def read(texts: Sequence[str]) -> T | None:
        return None if cleared(texts[-1]) else kind.read(texts)

    return Parameter(kind.name, read, {**kind.schema, "nullable": True})


def words(name: str, allowed: Collection[str], code: int, said: str) -> Parameter[list[str]]:
    """A list of words: the parameter is repeated; sent once and empty, it is cleared."""

    def read(texts: Sequence[str]) -> list[str]:
        given = [text for text in texts if text]
        if not set(given) <= set(allowed):
            raise Invalid(code, said)
        return given

    items = {"type": "string", "enum": sorted(allowed)}
    return Parameter(name, read, {"type": "array", "items": items})


def member(name: str, check: Callable[[Any], T], schema: Mapping[str, Any]) -> Parameter[T]:
    """A member of a JSON body: what `check` makes of its value. Raises Invalid with the number of
    what is wrong, or ValueError."""

    def read(texts: Sequence[str]) -> T:
        try:
            return check(orjson.loads(texts[-1]))
        except BadContent as error:
            raise Invalid(error.code, error.message) from None

    return Parameter(name, read, schema)


def url(name: str, longest: int, code: int, said: str) -> Parameter[str | None]:
    """A webhook's URL: http or https, at most `longest` characters, with connection overrides that
    mean something; sent empty, it is cleared."""

    def check(text: str) -> str:
        if len(text) > longest:
            raise Invalid(code, said)
        return overridden(web_url(text))

    return clearable(name, check)


def overridden(text: str) -> str:
    """A URL whose fragment, if it has one, asks for something (#rc=3&tt=4000). Raises Invalid."""
    for wrong in overrides.check(text):
        raise Invalid(wrong.code, wrong.message)
    return text


def country(name: str) -> Parameter[str | None]:
    """An ISO 3166-1 alpha-2 code; sent empty, it is cleared."""

    def check(text: str) -> str:
        if len(text) != COUNTRY_CHARS or not (text.isascii() and text.isalpha()):
            raise ValueError
        return text.upper()

    return clearable(name, check)


def since(name: str) -> Parameter[datetime]:
    """The beginning of an ISO 8601 date, or a moment."""
    return Parameter(name, lambda texts: _span(texts[-1])[0])


def until(name: str) -> Parameter[datetime]:
    """The end, itself outside, of an ISO 8601 date, or of the second that a moment names."""
    return Parameter(name, lambda texts: _span(texts[-1])[1])


def attributes(text: str, limits: LimitSettings) -> str:
    """The caller's own JSON, of everything but conversations. Raises Invalid 50303, 50304."""
    return check_attributes(text, bytes_max=limits.attributes_bytes_max)


def whole(text: str, most: int = INTEGER_MAX) -> int | None:
    """The number that a text of decimal digits is, if it is not above `most`."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        return None
    return int(text) if int(text) <= most else None


def instant(text: str) -> datetime | None:
    """The moment that an ISO 8601 text names, if it names one."""
    try:
        found = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    if found.year not in YEARS:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


def cleared(text: str) -> bool:
    """Whether a text says that a value goes."""
    return text.strip().lower() in ("", NULL)


def _span(text: str) -> tuple[datetime, datetime]:
    text = text.strip()
    start = instant(text)
    if start is None:
        raise ValueError
    whole_day = len(text) <= DATE_CHARS
    return start, start + (timedelta(days=1) if whole_day else timedelta(seconds=1))
