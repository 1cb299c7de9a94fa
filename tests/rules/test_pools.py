"""Which sender of a pool somebody gets."""

from __future__ import annotations

from collections import Counter

import pytest

from app.rules.pools import able, is_pool, pools, ranked
from tests.support.settings import SMS, WHATSAPP, settings

NEW_YORK, TORONTO, LONDON = "+12125550101", "+14165550101", "+442079460000"
POOL = ["+12125550111", "+12125550112", "+12125550113"]
MG = "MG" + "a" * 32


@pytest.mark.parametrize(
    ("given", "is_one"),
    [(MG, True), ("MG" + "A" * 32, True), (SMS, False), ("MG123", False), (None, False)],
)
def test_a_pool_is_named_by_its_sid(given: str | None, is_one: bool) -> None:
    assert is_pool(given) is is_one


def test_senders_are_of_the_pool_that_they_name() -> None:
    house = settings(
        senders=[
            {"address": SMS, "carrier": "lab", "messaging_service": "one"},
            {"address": WHATSAPP, "carrier": "lab", "messaging_service": "one"},
            {"address": NEW_YORK, "carrier": "lab"},
        ],
        messaging_services={"one": {"sid": "MG" + "A" * 32}, "two": {}},
    )
    two = house.messaging_service_sid("two")
    assert pools(house) == {MG: (SMS, WHATSAPP), two: ()}


def test_only_senders_of_their_channel_reach_somebody() -> None:
    assert able([SMS, WHATSAPP], NEW_YORK) == [SMS]
    assert able([SMS, WHATSAPP], f"whatsapp:{NEW_YORK}") == [WHATSAPP]
    assert able([SMS, NEW_YORK], NEW_YORK) == [SMS], "nobody is written to from their own number"


def test_the_one_that_they_had_goes_before_those_of_their_country() -> None:
    senders = [TORONTO, LONDON, POOL[0]]
    assert ranked(senders, "+16135550123", None, "")[0] == TORONTO
    assert ranked(senders, "+16135550123", LONDON, "")[:2] == [LONDON, TORONTO]


def test_the_order_is_always_the_same_and_spreads_people_evenly() -> None:
    people = [f"+1646555{n:04d}" for n in range(600)]
    firsts = [ranked(POOL, person, None, "")[0] for person in people]
    assert firsts == [ranked(POOL[::-1], person, None, "")[0] for person in people]
    assert all(150 < count < 250 for count in Counter(firsts).values())
    fewer = [ranked(POOL[:2], person, None, "")[0] for person in people]
    stayed = [was == now for was, now in zip(firsts, fewer, strict=True) if was in POOL[:2]]
    assert all(stayed), "taking a sender away moves only those who had it"


def test_another_salt_gives_another_order() -> None:
    orders = {tuple(ranked(POOL, NEW_YORK, None, f"CH{n}")) for n in range(30)}
    assert len(orders) > 3
