"""What an SMS costs: its segments."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.channels.segments import ALPHABET, BASIC, EXTENDED, Segments, segments

EMOJI = "\N{GRINNING FACE}"


@pytest.mark.parametrize(
    ("label", "body", "count", "encoding"),
    [
        ("nothing", "", 1, "GSM-7"),
        ("one full segment", "x" * 160, 1, "GSM-7"),
        ("one more character", "x" * 161, 2, "GSM-7"),
        ("two full segments", "x" * 306, 2, "GSM-7"),
        ("three", "x" * 307, 3, "GSM-7"),
        ("the longest that is carried", "x" * 1600, 11, "GSM-7"),
        ("accents of the alphabet", "àéèùìò ÄÖÑÜ ßÆøå" * 10, 1, "GSM-7"),
        ("Greek capitals", "ΔΦΓΛΩΠΨΣΘΞ" * 16, 1, "GSM-7"),
        ("an accent outside of it", "ê" + "x" * 69, 1, "UCS-2"),
        ("an accent outside of it, and longer", "ê" + "x" * 70, 2, "UCS-2"),
        ("a euro takes two places", "€" * 80, 1, "GSM-7"),
        ("81 euros", "€" * 81, 2, "GSM-7"),
        ("a euro is not cut in half", "x" * 152 + "€" + "x" * 152, 3, "GSM-7"),
        ("brackets, braces, tilde", "[]{}~^|\\" * 10, 1, "GSM-7"),
        ("Cyrillic", "д" * 70, 1, "UCS-2"),
        ("longer Cyrillic", "д" * 134, 2, "UCS-2"),
        ("an emoji takes two places", EMOJI * 35, 1, "UCS-2"),
        ("36 emojis", EMOJI * 36, 2, "UCS-2"),
        ("an emoji is not cut in half", EMOJI * 66, 2, "UCS-2"),
        ("67 emojis", EMOJI * 67, 3, "UCS-2"),
    ],
)
def test_segments_are_counted_as_phones_do(
    label: str, body: str, count: int, encoding: str
) -> None:
    assert segments(body) == Segments(count, encoding)  # type: ignore[arg-type]


def test_the_alphabet_has_127_characters_and_ten_that_take_an_escape() -> None:
    assert (len(BASIC), len(EXTENDED), len(ALPHABET)) == (127, 10, 137)


@given(st.text(max_size=400), st.text(max_size=10))
def test_a_longer_text_never_takes_fewer_segments(body: str, more: str) -> None:
    assert segments(body + more).count >= segments(body).count
