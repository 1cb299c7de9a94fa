"""Timers: durations as the API takes them, and the four documented scenarios."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import Invalid
from app.model.conversations import State
from app.rules.timers import Timer, dates, next_timer, parse_timer

T0 = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def at(seconds: int) -> datetime:
    return T0 + timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("name", "text", "seconds"),
    [
        ("Inactive", "PT1M", 60),
        ("Inactive", "PT5M", 300),
        ("Inactive", "PT60S", 60),
        ("Inactive", "PT90.5S", 90),
        ("Inactive", "PT0S", None),
        ("Inactive", " PT1M ", 60),
        ("Inactive", "P1W", 604_800),
        ("Inactive", "P1DT1H", 90_000),
        ("Closed", "PT10M", 600),
        ("Closed", "PT60000S", 60_000),
        ("Closed", "P180D", 15_552_000),
        ("Closed", "P365D", 31_536_000),
        ("Closed", "PT0S", None),
    ],
)
def test_a_duration_becomes_seconds_and_zero_is_off(
    name: Timer, text: str, seconds: int | None
) -> None:
    assert parse_timer(name, text) == seconds


@pytest.mark.parametrize(
    ("name", "text", "code"),
    [
        ("Inactive", "PT59S", 50375),
        ("Inactive", "PT0.5S", 50375),
        ("Inactive", "P6M", 50379),
        ("Inactive", "P1Y", 50379),
        ("Inactive", "P0M", 50379),
        ("Inactive", "", 50379),
        ("Inactive", "P", 50379),
        ("Inactive", "PT", 50379),
        ("Inactive", "300", 50379),
        ("Inactive", "-PT5M", 50379),
        ("Inactive", "five minutes", 50379),
        ("Inactive", "PT٥M", 50379),
        ("Inactive", "P99999999999999D", 50379),
        ("Inactive", "P40000D", 50379),
        ("Closed", "PT9M59S", 50376),
        ("Closed", "PT1M", 50376),
        ("Closed", "P6M", 50380),
        ("Closed", "x", 50380),
    ],
)
def test_a_wrong_duration_is_refused_by_its_code(name: Timer, text: str, code: int) -> None:
    with pytest.raises(Invalid) as refusal:
        parse_timer(name, text)
    assert refusal.value.code == code


def test_the_refusals_are_worded_as_the_original_does() -> None:
    words = {
        ("Inactive", "P6M"): "TimeToInactive format is invalid",
        ("Closed", "P6M"): "TimeToClosed format is invalid",
        ("Inactive", "PT1S"): "TimeToInactive should be greater or equal to 1 minute",
        ("Closed", "PT1S"): "TimeToClosed should be greater or equal to 10 minutes",
    }
    names: tuple[Timer, ...] = ("Inactive", "Closed")
    for name in names:
        for text in ("P6M", "PT1S"):
            with pytest.raises(Invalid) as refusal:
                parse_timer(name, text)
            assert refusal.value.message == words[name, text]


@settings(deadline=None)
@given(
    st.sampled_from(["Inactive", "Closed"]), st.text(alphabet="PTWDHMSY.,-+0123456789", max_size=14)
)
def test_any_text_is_a_duration_or_refused(name: Timer, text: str) -> None:
    try:
        seconds = parse_timer(name, text)
    except Invalid:
        return
    assert seconds is None or seconds >= 60


# label, state, active_at, state_at, inactive_s, closed_s, next timer, timers object
SCENARIOS: list[
    tuple[
        str,
        State,
        int,
        int,
        int | None,
        int | None,
        tuple[int, State] | None,
        dict[str, int],
    ]
] = [
    (
        "1: both timers, active: inactive first, closed counts from there",
        "active",
        100,
        0,
        300,
        30_000,
        (400, "inactive"),
        {"date_inactive": 400, "date_closed": 30_400},
    ),
    (
        "1: both timers, inactive: closed counts from entering inactive",
        "inactive",
        100,
        400,
        300,
        30_000,
        (30_400, "closed"),
        {"date_inactive": 400, "date_closed": 30_400},
    ),
    ("2: no timers, active", "active", 100, 0, None, None, None, {}),
    ("2: both off, inactive by hand", "inactive", 100, 200, None, None, None, {}),
    (
        "3: only inactive, active",
        "active",
        100,
        0,
        600,
        None,
        (700, "inactive"),
        {"date_inactive": 700},
    ),
    (
        "3: only inactive, inactive for good",
        "inactive",
        0,
        600,
        600,
        None,
        None,
        {"date_inactive": 600},
    ),
    (
        "4: only closed, active: from the last activity",
        "active",
        100,
        0,
        None,
        2_592_000,
        (2_592_100, "closed"),
        {"date_closed": 2_592_100},
    ),
    (
        "4: only closed, made inactive by hand: counts anew",
        "inactive",
        100,
        500,
        None,
        600,
        (1100, "closed"),
        {"date_closed": 1100},
    ),
    (
        "made active by hand: counts anew",
        "active",
        100,
        500,
        300,
        None,
        (800, "inactive"),
        {"date_inactive": 800},
    ),
    ("closed", "closed", 0, 0, 300, 600, None, {}),
    ("initializing", "initializing", 0, 0, 300, 600, None, {}),
]


@pytest.mark.parametrize(
    ("label", "state", "active", "changed", "inactive_s", "closed_s", "next_", "object_"), SCENARIOS
)
def test_the_documented_scenarios_hold(
    label: str,
    state: State,
    active: int,
    changed: int,
    inactive_s: int | None,
    closed_s: int | None,
    next_: tuple[int, State] | None,
    object_: dict[str, int],
) -> None:
    due = next_timer(state, at(active), at(changed), inactive_s, closed_s)
    assert due == (None if next_ is None else (at(next_[0]), next_[1]))
    values = dates(state, at(active), at(changed), inactive_s, closed_s)
    assert values == {name: at(seconds) for name, seconds in object_.items()}


timers = st.one_of(st.none(), st.integers(60, 10**7))


@settings(deadline=None)
@given(
    st.sampled_from(["active", "inactive"]),
    st.integers(0, 10**6),
    st.integers(0, 10**6),
    timers,
    timers,
)
def test_the_next_timer_is_the_next_date_of_the_timers_object(
    state: State, active: int, changed: int, inactive_s: int | None, closed_s: int | None
) -> None:
    due = next_timer(state, at(active), at(changed), inactive_s, closed_s)
    values = dates(state, at(active), at(changed), inactive_s, closed_s)
    if due is not None:
        assert values[f"date_{due[1]}"] == due[0]
        assert due[0] > at(max(active, changed))
