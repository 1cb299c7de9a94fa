"""split-based-on: where to go is decided by comparing a variable, operator by operator.

The transitions are asked in their order; the first whose conditions all hold is taken, else
`noMatch`. Texts are compared as they are, without space around them; a regular expression must be
like the whole text, in either case; `a, b, c` is a list. Numbers, dates (2026-01-31) and times of
day (23:59) that cannot be read make the condition false.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

from app.flows import patterns
from app.flows.states import Condition, State
from app.flows.turn import Turn
from app.flows.widgets.contract import Go, Kind, Outcome, Report

Compare = Callable[[Turn, str, str], bool]
TEXT_MAX = 60
DAY_FORMS = ("%m/%d/%Y", "%Y/%m/%d")
TIME_FORMS = ("%H:%M", "%H:%M:%S", "%I:%M %p", "%I:%M%p")


def _equal(turn: Turn, text: str, value: str) -> bool:
    return text.strip() == value.strip()


def _any(turn: Turn, text: str, value: str) -> bool:
    return text.strip() in (word.strip() for word in value.split(","))


def _blank(turn: Turn, text: str, value: str) -> bool:
    return not text.strip()


def _regex(turn: Turn, text: str, value: str) -> bool:
    return turn.matches(value, text)


def _contains(turn: Turn, text: str, value: str) -> bool:
    return value in text


def _starts(turn: Turn, text: str, value: str) -> bool:
    return text.strip().startswith(value.strip())


def _not(compare: Compare) -> Compare:
    return lambda turn, text, value: not compare(turn, text, value)


def _ordered(read: Callable[[str], Any], sign: int) -> Compare:
    """Less (-1) or greater (1), of two texts that can both be read."""

    def compare(turn: Turn, text: str, value: str) -> bool:
        left, right = read(text.strip()[:TEXT_MAX]), read(value.strip()[:TEXT_MAX])
        if left is None or right is None:
            return False
        return bool(left < right if sign < 0 else left > right)

    return compare


def number(text: str) -> Decimal | None:
    """A number with or without a fraction."""
    try:
        found = Decimal(text)
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def day(text: str) -> datetime | None:
    """A date, or a date with a time; one without a zone is UTC."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return next((one for form in DAY_FORMS if (one := _read(text, form))), None)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def hour(text: str) -> time | None:
    """A time of day; of a date with a time, that time."""
    for form in TIME_FORMS:
        if (found := _read(text.upper(), form)) is not None:
            return found.time()
    moment = day(text) if "T" in text or " " in text else None
    return moment.time() if moment else None


def _read(text: str, form: str) -> datetime | None:
    try:
        return datetime.strptime(text, form).replace(tzinfo=UTC)
    except ValueError:
        return None


OPERATORS: Mapping[str, Compare] = {
    "equal_to": _equal,
    "not_equal_to": _not(_equal),
    "matches_any_of": _any,
    "does_not_match_any_of": _not(_any),
    "is_blank": _blank,
    "is_not_blank": _not(_blank),
    "regex": _regex,
    "contains": _contains,
    "does_not_contain": _not(_contains),
    "starts_with": _starts,
    "does_not_start_with": _not(_starts),
    "less_than": _ordered(number, -1),
    "greater_than": _ordered(number, 1),
    "is_before_time": _ordered(hour, -1),
    "is_after_time": _ordered(hour, 1),
    "is_before_date": _ordered(day, -1),
    "is_after_date": _ordered(day, 1),
}
WITHOUT_VALUE = ("is_blank", "is_not_blank")


def _check(state: State, report: Report) -> None:
    for at, transition in enumerate(state.transitions):
        path = ("transitions", at)
        if transition.event == "match" and not transition.conditions:
            report.say(path, "a match needs conditions")
        for one, condition in enumerate(transition.conditions):
            _check_one(condition, report, (*path, "conditions", one))


def _check_one(condition: Condition, report: Report, path: tuple[str | int, ...]) -> None:
    if condition.type not in OPERATORS:
        report.say((*path, "type"), f"there is no operator {condition.type[:40]!r}")
    elif not condition.value and condition.type not in WITHOUT_VALUE:
        report.say((*path, "value"), f"{condition.type} needs a value")
    elif condition.type == "regex" and "{{" not in condition.value:
        said = patterns.wrong(condition.value)
        if said is not None:
            report.say((*path, "value"), said)
    report.templates(condition.argument, (*path, "arguments", 0))
    report.templates(condition.value, (*path, "value"))


def _enter(turn: Turn, state: State) -> Outcome:
    for transition in state.transitions:
        if transition.event != "match":
            continue
        if all(_holds(turn, state, condition) for condition in transition.conditions):
            return Go("match", to=transition.next or "")
    return Go("noMatch")


def _holds(turn: Turn, state: State, condition: Condition) -> bool:
    tested = turn.text(condition.argument or state.text("input"))
    return OPERATORS[condition.type](turn, tested, turn.text(condition.value))


KIND = Kind(
    types=("split-based-on",),
    about="Goes where the first transition leads whose conditions hold. Operators: "
    + ", ".join(f"`{name}`" for name in OPERATORS)
    + ".",
    events=("match", "noMatch"),
    enter=_enter,
    check=_check,
    properties="`input`",
)
