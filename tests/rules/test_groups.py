"""What makes a group text, the set of numbers that it is known by, and who may be in it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.channels import group_mms
from app.errors import Conflict, Invalid, Refused
from app.model import Participant
from app.model.conversations import number_group
from app.rules import groups

OURS, TOO, ANN, BOB = "+15005550006", "+15005550009", "+15558675310", "+15558675311"


def native(address: str) -> Participant:
    return Participant(sid=f"MB{address}", address=address)


def projected(address: str, identity: str | None = None) -> Participant:
    return Participant(sid=f"MB{identity}{address}", identity=identity, projected_address=address)


CHAT = Participant(sid="MB1", identity="ann")
PAIR = Participant(sid="MB2", address=ANN, proxy_address=OURS)


def test_a_lone_address_or_a_projected_one_makes_a_group() -> None:
    members = [native(ANN), projected(OURS), projected(OURS, "ann")]
    assert [groups.is_member(one) for one in (*members, CHAT, PAIR)] == [True] * 3 + [False] * 2


@given(st.permutations([native(ANN), native(BOB), projected(OURS), projected(OURS, "ann")]))
def test_a_number_group_is_the_set_of_all_numbers_in_any_order(members: list[Participant]) -> None:
    assert groups.numbers(members) == f"{OURS} {ANN} {BOB}" == number_group([OURS, BOB, ANN, ANN])


@pytest.mark.parametrize(
    "members", [[], [native(ANN), native(BOB)], [projected(OURS), projected(TOO, "ann")]]
)
def test_without_a_number_of_each_side_it_is_not_complete(members: list[Participant]) -> None:
    assert groups.numbers(members) is None


Case = tuple[str, Callable[[], None], type[Refused] | None, int]
CASES: list[Case] = [
    ("a third", lambda: joins([native(ANN), projected(OURS)], native(BOB)), None, 0),
    ("another identity", lambda: joins([projected(OURS, "a")], projected(OURS, "b")), None, 0),
    ("a gateway beside", lambda: joins([projected(OURS, "a")], projected(OURS)), None, 0),
    ("twice native", lambda: joins([native(ANN)], native(ANN)), Conflict, 50437),
    (
        "twice an agent",
        lambda: joins([projected(OURS, "a")], projected(OURS, "a")),
        Conflict,
        50437,
    ),
    ("twice a gateway", lambda: joins([projected(OURS)], projected(OURS)), Conflict, 50437),
    ("too many", lambda: joins([native(ANN), projected(OURS)], native(BOB), 2), Invalid, 50436),
    ("no group", lambda: groups.check_alike(CHAT, 7, 0), None, 0),
    ("all group", lambda: groups.check_alike(native(ANN), 7, 7), None, 0),
    ("an identity in a group", lambda: groups.check_alike(CHAT, 3, 2), Invalid, 50434),
    ("a pair in a group", lambda: groups.check_alike(PAIR, 3, 2), Invalid, 50435),
    ("a group beside others", lambda: groups.check_alike(native(ANN), 3, 1), Invalid, 50435),
    ("one native", lambda: groups.check_whole([native(ANN)]), None, 0),
    ("ours among them", lambda: groups.check_whole([native(ANN), projected(OURS)]), None, 0),
    ("only natives", lambda: groups.check_whole([native(ANN), native(BOB)]), Invalid, 50435),
    *(
        (f"by {name}", lambda name=name: groups.check_author(MIXED, name), None, 0)
        for name in ("ann", ANN, OURS)
    ),
    ("by a stranger", lambda: groups.check_author(MIXED, "system"), Invalid, 50513),
]
MIXED = [native(ANN), projected(OURS, "ann")]


def joins(members: list[Participant], joining: Participant, most: int = 10) -> None:
    groups.check_joins(members, joining, most=most)


@pytest.mark.parametrize(("label", "check", "kind", "code"), CASES, ids=[one[0] for one in CASES])
def test_who_may_be_in_a_group(
    label: str, check: Callable[[], None], kind: type[Refused] | None, code: int
) -> None:
    if kind is None:
        check()
        return
    with pytest.raises(kind) as refused:
        check()
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("address", "can"),
    [
        (OURS, True),
        ("+14165550123", True),
        ("+18005550006", False),
        ("+18765550123", False),
        ("+442079460000", False),
        ("12345", False),
        (f"whatsapp:{OURS}", False),
    ],
)
def test_long_codes_of_north_america_can_be_in_a_group_mms(address: str, can: bool) -> None:
    assert (group_mms.refusal(address) is None) == can
