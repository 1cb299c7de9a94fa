"""Timers of a conversation: active to inactive, inactive to closed ("States and Timers").

Both set: the closed timer starts when the conversation becomes inactive. Only the closed one: it
counts from the last activity. A change of state by hand restarts them, so each counts from the
later of `active_at` and `state_at`. Precision is one second.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal

import isodate

from app.errors import Invalid
from app.model.conversations import State

Timer = Literal["Inactive", "Closed"]

FORMAT: Mapping[Timer, tuple[int, str]] = {
    "Inactive": (50379, "TimeToInactive format is invalid"),
    "Closed": (50380, "TimeToClosed format is invalid"),
}
TOO_SHORT: Mapping[Timer, tuple[int, str]] = {
    "Inactive": (50375, "TimeToInactive should be greater or equal to 1 minute"),
    "Closed": (50376, "TimeToClosed should be greater or equal to 10 minutes"),
}
SECONDS_MIN: Mapping[Timer, int] = {"Inactive": 60, "Closed": 600}
# A century; longer is a slip of the pen, and would leave the calendar or the column.
SECONDS_MAX = min(2**31 - 1, 100 * 365 * 86_400)


def parse_timer(name: Timer, text: str) -> int | None:
    """The seconds of an ISO 8601 duration in weeks, days and smaller; None for PT0S, which is off.

    Raises Invalid: 50379 or 50380 for another format (months and years are one), 50375 or 50376
    below the minimum.
    """
    duration = _duration(text.strip())
    if duration is None or duration > timedelta(seconds=SECONDS_MAX):
        raise Invalid(*FORMAT[name])
    if not duration:
        return None
    if duration < timedelta(seconds=SECONDS_MIN[name]):
        raise Invalid(*TOO_SHORT[name])
    return int(duration.total_seconds())


def as_text(seconds: int | None) -> str | None:
    """A timer as an ISO 8601 duration, in days and smaller; None when it is off."""
    return isodate.duration_isoformat(timedelta(seconds=seconds)) if seconds else None


def next_timer(
    state: State,
    active_at: datetime,
    state_at: datetime,
    inactive_s: int | None,
    closed_s: int | None,
) -> tuple[datetime, State] | None:
    """When the next timer elapses and the state that it brings; None when none runs."""
    since = max(active_at, state_at)
    if state == "active" and inactive_s:
        return since + timedelta(seconds=inactive_s), "inactive"
    if state in ("active", "inactive") and closed_s:
        return since + timedelta(seconds=closed_s), "closed"
    return None


def dates(
    state: State,
    active_at: datetime,
    state_at: datetime,
    inactive_s: int | None,
    closed_s: int | None,
) -> dict[str, datetime]:
    """The values of the `timers` object: `date_inactive` and `date_closed`, if they will come.

    In an inactive conversation `date_inactive` is when it became so. A timer that is unset or off
    is absent; closed and initializing conversations have none.
    """
    found: dict[str, datetime] = {}
    if not (inactive_s or closed_s) or state not in ("active", "inactive"):
        return found
    since = max(active_at, state_at)
    if inactive_s:
        waits = timedelta(seconds=inactive_s)
        found["date_inactive"] = since + waits if state == "active" else state_at
    if closed_s:
        starts = found["date_inactive"] if inactive_s and state == "active" else since
        found["date_closed"] = starts + timedelta(seconds=closed_s)
    return found


def _duration(text: str) -> timedelta | None:
    date, _, time = text.partition("T")
    if not text.startswith("P") or "Y" in date or "M" in date or not (date[1:] or time):
        return None
    try:
        duration = isodate.parse_duration(text)
    except (ValueError, OverflowError, ArithmeticError):
        return None
    return duration if isinstance(duration, timedelta) else None
