"""JSON with lines: the same values as the standard library's, and where each begins."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.flows.document import BYTES_MAX, DEPTH_MAX, VALUES_MAX, Unreadable, read

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**17), 10**17)
    | st.floats(-1e6, 1e6).map(lambda number: round(number, 6))
    | TEXTS,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(TEXTS, inner, max_size=5),
    max_leaves=30,
)


@given(VALUES, st.sampled_from([None, 0, 2]))
def test_it_reads_what_json_reads(value: Any, indent: int | None) -> None:
    assert read(json.dumps(value, indent=indent))[0] == value


def test_it_knows_the_line_of_each_part() -> None:
    value, lines = read('{\n "a": [\n  1,\n  {"b":\n   2}\n ]\n}')
    assert value == {"a": [1, {"b": 2}]}
    assert lines == {(): 1, ("a",): 2, ("a", 0): 3, ("a", 1): 4, ("a", 1, "b"): 5}


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("", 1, "not JSON"),
        ("{\n'a': 1}", 2, "name in quotes"),
        ('{"a" 1}', 1, "colon"),
        ('{"a": 1,}', 1, "name in quotes"),
        ("[1\n 2]", 2, "comma or ]"),
        ('{"a": 1, "a": 2}', 1, "twice"),
        ("[NaN]", 1, "not JSON"),
        ("[Infinity]", 1, "not JSON"),
        ("1" * 40, 1, "after its end"),
        ('["\\u0000"]', 1, "NUL"),
        ('["\\ud800"]', 1, "half a character"),
        ('["\n"]', 1, "not JSON"),
        ('["abc', 1, "not JSON"),
        ("{} {}", 1, "after its end"),
        (b"\xff\n", 1, "UTF-8"),
        ("[" * (DEPTH_MAX + 2), 1, "nested"),
        ("[" * 500_000, 1, "nested"),
        (" " * (BYTES_MAX + 1), 1, "larger"),
        ("é" * (BYTES_MAX // 2 + 1), 1, "larger"),
        (f"[{'1,' * VALUES_MAX}1]", 1, "values"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_what_is_not_taken_is_said_with_its_line(text: str | bytes, line: int, said: str) -> None:
    with pytest.raises(Unreadable, match=said) as caught:
        read(text)
    assert caught.value.line == line


@given(st.text(max_size=200) | st.binary(max_size=200))
def test_any_text_is_read_or_refused(text: str | bytes) -> None:
    try:
        read(text)
    except Unreadable as error:
        assert error.line >= 1
