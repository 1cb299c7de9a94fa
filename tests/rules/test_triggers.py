"""Keywords are found as whole words, in any case."""

from __future__ import annotations

import pytest

from app.rules.triggers import matches


@pytest.mark.parametrize(
    ("body", "keywords", "expected"),
    [
        ("help", ["help"], True),
        ("I need HELP!", ["help"], True),
        ("helpful", ["help"], False),
        ("unhelp", ["help"], False),
        ("help_me", ["help"], False),
        ("x-help-y", ["help"], True),
        ("please stop  it", ["stop it"], False),
        ("Please STOP IT now", ["stop it"], True),
        ("only this", ["that", "this"], True),
        ("a.b", ["a.b"], True),
        ("axb", ["a.b"], False),
        ("what?!", ["?!"], False),
        ("what ?!", ["?!"], True),
        ("ÄRGER", ["ärger"], True),
        ("", ["help"], False),
        ("help", [], False),
    ],
)
def test_a_keyword_is_a_whole_word(body: str, keywords: list[str], expected: bool) -> None:
    assert matches(body, keywords) is expected
