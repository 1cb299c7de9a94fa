"""Long texts in pieces: in order, complete, and cut where people see it least."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.channels.pieces import pieces

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
ACCENTED = "e\u0301"
FLAG = "\U0001f1e9\U0001f1ea"


def cut(text: str, chars_max: int) -> list[str]:
    return [text[start:end] for start, end in pieces(text, chars_max)]


@pytest.mark.parametrize(
    ("text", "chars_max", "expected"),
    [
        ("", 5, [""]),
        ("hello", 5, ["hello"]),
        ("hello world", 5, ["hello", "world"]),
        ("hello world", 8, ["hello", "world"]),
        ("a hello", 5, ["a hel", "lo"]),  # the space comes too early
        ("one two\nthree four", 12, ["one two", "three four"]),
        ("first line\n\nsecond", 14, ["first line", "second"]),
        ("x" * 7, 3, ["xxx", "xxx", "x"]),
        ("ab  ", 3, ["ab"]),
        ("      ", 3, ["   "]),
        (FLAG * 3, 3, [FLAG, FLAG, FLAG]),
        (ACCENTED * 3, 3, [ACCENTED, ACCENTED, ACCENTED]),
        ("ab" + FAMILY, 8, ["ab", FAMILY]),
        ("ab\r\ncd", 3, ["ab", "cd"]),
        ("e" + "\u0301" * 5, 4, ["e" + "\u0301" * 3, "\u0301" * 2]),  # one cluster over the limit
    ],
)
def test_a_text_is_cut_between_lines_words_or_characters(
    text: str, chars_max: int, expected: list[str]
) -> None:
    assert cut(text, chars_max) == expected


@settings(deadline=None)
@given(st.text(alphabet=st.sampled_from(f"ab \n\t{FAMILY}{ACCENTED}"), max_size=80), st.data())
def test_no_piece_is_too_long_and_only_white_space_is_lost(text: str, data: st.DataObject) -> None:
    chars_max = data.draw(st.integers(1, 30))
    found = pieces(text, chars_max)
    assert all(end - start <= chars_max for start, end in found)
    at = 0
    for start, end in [*found, (len(text), len(text))]:
        assert not text[at:start].strip()
        assert start >= at
        at = end
    assert len(found) == 1 or all(text[start:end].strip() for start, end in found)
