"""What a sender was told by a carrier holds up its lanes, for a while, and no others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

from app.delivery.throttles import AGAIN_S, WAIT_S_MAX, Throttles
from app.delivery.tried import Heard, Tried
from app.errors import CarrierError, Temporary

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
ITEM = cast(Any, None)
WELL = (Heard("lab", well=True),)


def at(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def refused(wait_s: float | None, **more: Any) -> Tried:
    error = Temporary("no", 20429, wait_s, **{"throttled": True, **more})
    return Tried(ITEM, "temporary", error=error, heard=WELL)


def accepted(*heard: Heard) -> Tried:
    return Tried(ITEM, "accepted", heard=heard or WELL)


def told(wait_s: float) -> Throttles:
    """Somebody was told at noon."""
    throttles = Throttles()
    throttles.heard("lab", "+1", refused(wait_s), at(-1), NOON)
    return throttles


def test_all_of_the_sender_wait_by_this_carrier_and_nobody_else() -> None:
    throttles = told(30)
    assert throttles.wait_until("lab", "+1", at(1)) == at(30)
    assert throttles.wait_until("lab", "+2", at(1)) is None
    assert throttles.wait_until("spare", "+1", at(1)) is None


def test_one_answer_holds_up_a_sender_for_a_minute_at_most() -> None:
    assert told(3600).wait_until("lab", "+1", NOON) == at(WAIT_S_MAX)


def test_a_shorter_wait_does_not_cut_a_longer_one_short() -> None:
    throttles = told(30)
    throttles.heard("lab", "+1", refused(1), at(-1), at(2))
    assert throttles.wait_until("lab", "+1", at(4)) == at(30)


def test_what_names_no_wait_or_is_about_one_recipient_holds_up_nobody() -> None:
    for tried in (refused(None), refused(0.0), refused(30, throttled=False)):
        throttles = Throttles()
        throttles.heard("lab", "+1", tried, NOON, NOON)
        assert throttles.wait_until("lab", "+1", NOON) is None


def test_when_it_is_over_one_goes_first_and_the_others_hear_of_it() -> None:
    throttles = told(30)
    assert throttles.wait_until("lab", "+1", at(30)) is None
    assert throttles.wait_until("lab", "+1", at(30)) == at(30 + AGAIN_S)
    throttles.heard("lab", "+1", refused(20), at(30), at(31))
    assert throttles.wait_until("lab", "+1", at(40)) == at(51)
    assert throttles.wait_until("lab", "+1", at(51)) is None
    throttles.heard("lab", "+1", accepted(), at(51), at(52))
    assert throttles.wait_until("lab", "+1", at(52)) is None
    assert throttles.wait_until("lab", "+1", at(52)) is None


def test_when_the_first_one_hears_nothing_another_goes() -> None:
    throttles = told(30)
    assert throttles.wait_until("lab", "+1", at(30)) is None
    error = CarrierError("away", down=True)
    lost = Tried(ITEM, "unknown", error=error, heard=(Heard("lab", well=False),))
    throttles.heard("lab", "+1", lost, at(30), at(31))
    assert throttles.wait_until("lab", "+1", at(31)) == at(30 + AGAIN_S)
    assert throttles.wait_until("lab", "+1", at(33)) is None


def test_what_was_on_its_way_before_says_nothing_of_now() -> None:
    throttles = told(30)
    throttles.heard("lab", "+1", accepted(), at(-1), at(1))
    assert throttles.wait_until("lab", "+1", at(2)) == at(30)
