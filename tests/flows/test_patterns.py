"""Regular expressions of flows: what they are like, and that none takes long or grows."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.flows import patterns
from app.flows.fuel import Exceeded, Fuel


@pytest.mark.parametrize(
    ("pattern", "text", "like"),
    [
        (r"^[0-9]{5}(-[0-9]{4})?$", "12345-6789", True),
        (r"[a-z]+@[a-z.]+", "ANN@EXAMPLE.COM", True),
        (r"yes|no", "no", True),
        (r"yes|no", "nope", False),
        (r"(?P<x>.)(?P=x)", "aa", True),
        (r"\p{L}+", "straße", True),
        (r"[]a]+", "]a", True),
        (r"a\{2", "a{2", True),
        ("", "", True),
    ],
)
def test_a_pattern_is_like_a_whole_text(pattern: str, text: str, like: bool) -> None:
    assert patterns.matches(pattern, text, Fuel()) is like


@pytest.mark.parametrize(
    "pattern",
    [
        "(",
        "a**",
        "[a",
        "\\",
        "x" * 501,
        "((a{1000}){1000})",
        "(((a{50}){50}){50})",
        "(?:" * 60 + "a" + ")+" * 60,
        "(?R)*",
        "(?1)",
        "(?&x)",
        "(?P>x)",
        "(?:abc){e<=5}",
    ],
    ids=lambda text: text[:20],
)
def test_what_is_no_pattern_or_too_large_is_said_before(pattern: str) -> None:
    assert patterns.wrong(pattern)
    with pytest.raises(Exceeded):
        patterns.matches(pattern, "a", Fuel())


def test_a_pattern_has_a_time_and_all_of_one_event_have_one() -> None:
    fuel, began = Fuel(), time.perf_counter()
    said = ""
    while time.perf_counter() - began < 10 and "one event" not in said:
        with pytest.raises(Exceeded) as caught:
            patterns.matches("(?:a?){600}a{600}", "a" * 600, fuel)
        said = str(caught.value)
    assert "one event" in said


@settings(max_examples=300, deadline=5_000)
@given(st.text("ab()[]{}0129,*+?|\\.^$-:<>=!P&R", max_size=40), st.text("ab0", max_size=200))
def test_any_pattern_is_answered(pattern: str, text: str) -> None:
    try:
        assert patterns.matches(pattern, text, Fuel()) in (True, False)
    except Exceeded as error:
        assert "pattern" in str(error)
