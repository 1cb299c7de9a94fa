"""When a failed attempt is tried again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.rules.schedule import next_attempt

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
WAITS = (1.0, 5.0, 60.0)


@pytest.mark.parametrize(
    ("attempt", "random", "retry_after", "seconds"),
    [
        (1, 0.5, None, 1.0),
        (2, 0.5, None, 5.0),
        (3, 0.5, None, 60.0),
        (2, 0.0, None, 4.0),
        (2, 0.75, None, 5.5),
        (4, 0.5, None, None),
        (4, 0.5, 10.0, None),
        (1, 0.0, 30.0, 30.0),
        (1, 0.5, 30.0, 33.0),
        (3, 0.5, 10.0, 60.0),
        (1, 0.0, 86_400.0, 3600.0),
        (1, 0.5, -5.0, 1.0),
        (1, 0.5, float("nan"), 1.0),
    ],
)
def test_the_wait_follows_the_schedule_and_what_the_other_side_asked(
    attempt: int, random: float, retry_after: float | None, seconds: float | None
) -> None:
    due = next_attempt(attempt, NOW, WAITS, 0.2, random, retry_after)
    assert due == (None if seconds is None else NOW + timedelta(seconds=seconds))


@settings(deadline=None)
@given(
    st.integers(1, 4),
    st.floats(0, 0.5),
    st.floats(0, 1, exclude_max=True),
    st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True)),
)
def test_every_wait_is_within_its_bounds(
    attempt: int, jitter: float, random: float, retry_after: float | None
) -> None:
    due = next_attempt(attempt, NOW, WAITS, jitter, random, retry_after, 100.0)
    if attempt > len(WAITS):
        assert due is None
        return
    assert due is not None
    wait = (due - NOW).total_seconds()
    base = WAITS[attempt - 1]
    assert wait >= base * (1 - jitter) - 1e-6
    if retry_after is None:
        assert wait <= base * (1 + jitter) + 1e-6
    else:
        assert wait <= max(base, 100.0) * (1 + jitter) + 1e-6
        if 0 <= retry_after <= 100:
            assert wait >= retry_after - 1e-6
