"""Liquid's filters, each with a bound on what it takes and gives, and those that depend on time.

`date` and `timezone` know the moment of the event, not of the machine that renders: a flow that is
walked again says the same. Times without a zone are UTC.

| filter    | gives                                                                          |
|-----------|--------------------------------------------------------------------------------|
| timezone  | `{{ "now" \\| timezone: "Europe/Paris" \\| date: "%H:%M" }}`: the moment there |
| to_json   | a value as JSON text                                                           |
| from_json | the value of a JSON text                                                       |
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sized
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import Any, cast
from zoneinfo import ZoneInfo

from dateutil import parser
from liquid import Environment, RenderContext
from liquid.filter import with_context
from liquid.undefined import Undefined

from app.flows.fuel import DIGITS_MAX, ITEMS_MAX, TEXT_MAX, Exceeded, Fuel, json_value

FUEL, NOW, SIZE = "\x00fuel", "\x00now", "\x00size"  # of the context; no template can name them
MULTIPLYING = {"replace", "replace_first", "replace_last", "join"}
FORMAT_MAX = 200
DATE_MAX = 60


def install(environment: Environment) -> None:
    """Put the bounded filters in the place of all others."""
    for own in (date, timezone, to_json, from_json):
        environment.add_filter(own.__name__, own)
    for name, plain in list(environment.filters.items()):
        environment.add_filter(name, _bounded(name, plain))


def fuel(context: RenderContext) -> Fuel:
    """What is left of the event that is rendered."""
    return cast(Fuel, context.globals[FUEL])


def size(context: RenderContext) -> int:
    """How many characters the template has."""
    return cast(int, context.globals[SIZE])


@with_context
def date(value: Any, form: Any = None, *, context: RenderContext) -> str:
    """A moment in the form of strftime; what is no moment stays as it is."""
    moment = _moment(value, context)
    if moment is None or isinstance(form, Undefined) or not form:
        return "" if isinstance(value, Undefined) else str(value)
    form = str(form)
    if len(form) > FORMAT_MAX or any(form[at + 1 : at + 2].isdigit() for at in _signs(form)):
        raise Exceeded("the form of a date is too long or has widths")
    return moment.strftime(form.replace("%s", str(int(moment.timestamp()))))


@with_context
def timezone(value: Any, zone: Any = "UTC", *, context: RenderContext) -> Any:
    """The same moment on the clocks of a zone (IANA); nothing when it is no moment."""
    moment = _moment(value, context)
    if moment is None:
        return ""
    try:
        return moment.astimezone(ZoneInfo(str(zone)[:DATE_MAX]))
    except (KeyError, ValueError, OSError):
        raise Exceeded(f"there is no time zone {str(zone)[:DATE_MAX]!r}") from None


def to_json(value: Any) -> str:
    """JSON text."""
    if isinstance(value, Undefined):
        return "null"
    return json.dumps(value, ensure_ascii=False, default=str)


def from_json(value: Any) -> Any:
    """The value of a JSON text; nothing when it is none."""
    try:
        return json_value(str(value))
    except ValueError:
        return None


def _bounded(name: str, plain: Callable[..., Any]) -> Callable[..., Any]:
    wanted = getattr(plain, "with_context", False)

    @wraps(plain)
    def bounded(value: Any, *args: Any, context: RenderContext, **more: Any) -> Any:
        size = _size(value) + sum(_size(one) for one in args)
        fuel(context).burn(4 + size / 16)
        if name == "uniq" and isinstance(value, list):
            fuel(context).burn(len(value) ** 2 / 8)
        if name in MULTIPLYING and args:
            _multiply(name, value, args)
        if wanted:
            more["context"] = context
        given = plain(value, *args, **more)
        _size(given)
        return given

    return with_context(bounded)


def _size(value: Any) -> int:
    """How large a value is. Raises Exceeded."""
    if isinstance(value, bool) or value is None:
        return 1
    if isinstance(value, int):
        if abs(value) >= 10**DIGITS_MAX:
            raise Exceeded(f"a number of more than {DIGITS_MAX} digits")
        return 1
    if isinstance(value, str):
        if len(value) > TEXT_MAX:
            raise Exceeded(f"a text of more than {TEXT_MAX} characters")
        return len(value)
    if isinstance(value, range):
        count = max(0, value.stop - value.start)
    elif isinstance(value, Sized) and not isinstance(value, Undefined):
        count = len(value)
    else:
        return 1
    if count > ITEMS_MAX:
        raise Exceeded(f"a list of more than {ITEMS_MAX}")
    return count * 16


def _multiply(name: str, value: Any, args: tuple[Any, ...]) -> None:
    """What a text may become when one part of it stands in many places. Raises Exceeded."""
    if name == "join":
        many = len(value) if isinstance(value, Sized) else 1
        put = str(args[0])
        inside = sum(len(str(one)) for one in value) if isinstance(value, list | tuple) else 0
        total = many * len(put) + inside
    else:
        text, sought = str(value), str(args[0])
        put = str(args[1]) if len(args) > 1 else ""
        total = len(text) + text.count(sought) * len(put)
    if total > TEXT_MAX:
        raise Exceeded(f"a text of more than {TEXT_MAX} characters")


def _moment(value: Any, context: RenderContext) -> datetime | None:
    """The moment that a value means, with its zone."""
    if isinstance(value, datetime):
        return value
    if isinstance(value, str) and value.strip().lower() in ("now", "today"):
        return _now(context)
    try:
        if isinstance(value, int) or (isinstance(value, str) and value.isdecimal()):
            return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=int(value))
        if not isinstance(value, str) or len(value) > DATE_MAX:
            return None
        found: datetime = parser.parse(value, default=_now(context).replace(microsecond=0))
    except (ValueError, OverflowError, TypeError):
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _now(context: RenderContext) -> datetime:
    return cast(datetime, context.globals[NOW])


def _signs(form: str) -> list[int]:
    return [at for at, mark in enumerate(form) if mark == "%"]
