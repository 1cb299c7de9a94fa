"""Places in flight, by hand: who may have how many."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from app.webhooks.places import KNOWN_MAX, Places


def filled(places: Places, endpoint: str) -> int:
    """Take every place that this endpoint may have; gives how many."""
    count = 0
    while places.open_to(endpoint):
        places.begin((endpoint, str(count)), endpoint)
        count += 1
    return count


def quick(places: Places, endpoint: str) -> None:
    places.learn(endpoint, "lane", well=True, took_s=0.01)


def test_a_quick_target_alone_leaves_a_quarter() -> None:
    places = Places(128, 5)
    quick(places, "a")
    assert filled(places, "a") == 96
    quick(places, "b")
    assert filled(places, "b") == 24


def test_targets_that_are_not_known_to_be_quick_share_three_quarters() -> None:
    places = Places(128, 5)
    assert [filled(places, name) for name in "abcd"] == [48, 24, 12, 6]
    quick(places, "e")
    assert places.open_to("e") > 0


def test_with_one_place_everybody_gets_it_in_turn() -> None:
    places = Places(1, 5)
    assert filled(places, "a") == 1
    assert places.open_to("b") == 0
    places.end(("a", "0"))
    assert filled(places, "b") == 1


def test_an_answer_that_takes_long_is_not_quick() -> None:
    places = Places(8, 5)
    places.learn("a", "lane", well=True, took_s=1.5)
    assert not places.quick("a")


def test_failures_count_by_lanes_and_a_success_begins_anew() -> None:
    places = Places(8, 3)
    told = [places.learn("a", lane, well=False, took_s=0.1) for lane in "xxxxy"]
    assert not any(told)
    assert not places.learn("a", "z", well=True, took_s=0.1)
    assert [places.learn("a", lane, well=False, took_s=0.1) for lane in "uvw"] == [
        *(False, False, True)
    ]
    assert not any(Places(8, 0).learn("a", str(n), well=False, took_s=0.1) for n in range(99))


def test_what_is_remembered_is_bounded() -> None:
    places = Places(8, 3)
    for number in range(KNOWN_MAX + 10):
        quick(places, str(number))
    assert not places.quick("9")
    assert places.quick("10")


@given(
    st.integers(1, 64),
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["go", "end", "ok", "bad"]))),
)
def test_places_are_never_given_out_twice_nor_lost(
    in_flight: int, steps: list[tuple[str, str]]
) -> None:
    places = Places(in_flight, 3)
    under_way: list[tuple[str, str]] = []
    for number, (endpoint, what) in enumerate(steps):
        if what == "go" and places.open_to(endpoint):
            under_way.append((endpoint, str(number)))
            places.begin(under_way[-1], endpoint)
        if what == "end" and under_way:
            places.end(under_way.pop())
        if what in ("ok", "bad"):
            places.learn(endpoint, str(number), well=what == "ok", took_s=0.1)
        assert len(under_way) <= in_flight
    for call in under_way:
        places.end(call)
    quick(places, "g")
    assert filled(places, "g") == (in_flight * 3 + 3) // 4
