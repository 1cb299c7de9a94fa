"""A2P 10DLC: which senders an operator is warned of, and what a 30034 is said to mean."""

from __future__ import annotations

from typing import Any

import pytest

from app.rules.registration import reason, warnings
from app.settings.models import Settings
from tests.support.settings import ACCOUNT, settings

NEW_YORK, TORONTO, TOLL_FREE = "+12125550101", "+14165550101", "+18885550101"
PENDING = {"campaign": "CE1", "status": "pending"}
REGISTERED = {"campaign": "CE1", "status": "registered"}
WIRE = {"kind": "twilio", "account_sid": "AC1", "auth_token": "t"}


def house(*senders: dict[str, Any], pool: dict[str, Any] | None = None) -> Settings:
    return settings(
        carriers={"lab": {"kind": "sandbox"}, "wire": WIRE},
        senders=[{"carrier": "wire", "messaging_service": "default", **one} for one in senders],
        messaging_services={"default": pool or {}},
    )


@pytest.mark.parametrize(
    "sender",
    [
        {"address": TOLL_FREE},
        {"address": "+447700900123"},
        {"address": f"whatsapp:{NEW_YORK}"},
        {"address": NEW_YORK, "carrier": "lab"},
        {"address": NEW_YORK, "registration": REGISTERED},
        {"address": NEW_YORK, "registration": {"status": "exempt"}},
    ],
)
def test_nobody_is_warned_of_senders_that_need_none_or_have_one(sender: dict[str, Any]) -> None:
    assert list(warnings(house(sender))) == []


def test_a_warning_names_the_senders_of_each_state_and_hides_their_numbers() -> None:
    made = house({"address": NEW_YORK}, {"address": TORONTO, "registration": PENDING})
    nothing, pending = warnings(made)
    assert nothing.startswith("it is in no registered A2P 10DLC campaign")
    assert "***0101" in nothing
    assert NEW_YORK not in nothing
    assert pending.startswith("its A2P 10DLC registration is pending (campaign CE1;")


def test_a_long_list_is_cut() -> None:
    [warned] = warnings(house(*({"address": f"+1212555{n:04d}"} for n in range(25))))
    assert "***0019 and 5 more send" in warned


def test_a_pool_speaks_for_its_senders_that_say_nothing() -> None:
    both = {"address": NEW_YORK}, {"address": TORONTO, "registration": PENDING}
    [warned] = warnings(house(*both, pool={"registration": REGISTERED}))
    assert "pending" in warned


@pytest.mark.parametrize(
    ("stands", "said"),
    [
        (None, "it is in no registered A2P 10DLC campaign"),
        (PENDING, "its A2P 10DLC registration is pending (campaign CE1;"),
        (REGISTERED, "campaign CE1; the file says registered: ask the carrier"),
    ],
)
def test_a_reason_says_how_the_sender_stands_and_what_the_carrier_said(
    stands: dict[str, Any] | None, said: str
) -> None:
    made = house({"address": NEW_YORK, "registration": stands})
    told = reason(made, ACCOUNT, NEW_YORK, "Unregistered number")
    assert said in told
    assert told.endswith("; the carrier says: Unregistered number")


def test_a_sender_that_is_ours_no_more_has_a_reason_too() -> None:
    told = reason(house(), "AC" + "b" * 32, NEW_YORK, None)
    assert told.startswith("US carriers block this number: it is in no registered")
