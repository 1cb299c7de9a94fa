"""Connection overrides: what a fragment asks, and what is wrong with it."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from app.settings.models import FlowSettings
from app.settings.overrides import Overrides, check, overrides

URL = "https://app.example.com/hook?a=b"


@pytest.mark.parametrize(
    ("fragment", "asked"),
    [
        ("", Overrides()),
        ("#", Overrides()),
        ("#rc=3", Overrides(retries_max=3)),
        ("#rc=0&rp=5xx,ct", Overrides(retries_max=0, retried=frozenset({"5xx", "ct"}))),
        ("#ct=100&rt=15000&tt=2500", Overrides(connect_s=0.1, read_s=15.0, total_s=2.5)),
        ("#sni=y&e=ashburn,dublin&rp=all", Overrides(retried=frozenset({"all"}))),
    ],
)
def test_what_a_fragment_asks(fragment: str, asked: Overrides) -> None:
    assert overrides(URL + fragment) == asked
    assert check(URL + fragment) == []


@pytest.mark.parametrize(
    ("fragment", "code", "word"),
    [
        ("#rc=6", 11243, "rc"),
        ("#rc=-1", 11243, "rc"),
        ("#rc=٣", 11243, "rc"),
        ("#rp=3xx", 11243, "rp"),
        ("#rp=", 11243, "rp"),
        ("#ct=99", 11100, "ct"),
        ("#ct=10001", 11100, "ct"),
        ("#rt=15001", 11100, "rt"),
        ("#tt=", 11100, "tt"),
        ("#tt=1e3", 11100, "tt"),
        ("#tt=" + "9" * 5000, 11100, "tt"),
        ("#sni=maybe", 11100, "sni"),
        ("#e=a b", 11240, "#e"),
        ("#rc=1&rc=2", 11243, "twice"),
        ("#section", 11100, "section"),
        ("#rc=1&", 11100, "no connection override"),
        ("#rc=1#rc=2", 11243, "rc"),
    ],
)
def test_what_is_wrong_is_said_and_passed_over(fragment: str, code: int, word: str) -> None:
    wrong = check(URL + fragment)
    assert [one.code for one in wrong] == [code]
    assert word in wrong[0].message
    assert overrides(URL + fragment) in (Overrides(), Overrides(retries_max=1))


def test_one_wrong_key_takes_nothing_from_the_others() -> None:
    assert overrides(URL + "#rc=9&tt=1000&bogus=1") == Overrides(total_s=1.0)


def test_the_file_takes_no_fragment_that_means_nothing() -> None:
    assert FlowSettings(url=URL + "#rc=2").url == URL + "#rc=2"
    with pytest.raises(ValidationError, match="11243"):
        FlowSettings(url=URL + "#rc=7")
