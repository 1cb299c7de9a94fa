"""Whose pace a message keeps."""

from __future__ import annotations

from typing import Any

import pytest

from app.rules.paces import pace, rates
from tests.support.settings import ACCOUNT, SMS, settings

NEW_YORK, LONDON, TORONTO = "+12125550101", "+442079460000", "+14165550101"


def house(**sender: Any) -> Any:
    return settings(senders=[{"address": SMS, "carrier": "lab", **sender}])


@pytest.mark.parametrize(
    ("sender", "address", "name"),
    [
        ({}, NEW_YORK, None),
        ({"rate": "1/s"}, NEW_YORK, f"{ACCOUNT} {SMS}"),
        ({"rate": "1/s", "rates": {"GB": "2/s"}}, NEW_YORK, f"{ACCOUNT} {SMS}"),
        ({"rate": "1/s", "rates": {"GB": "2/s"}}, LONDON, f"{ACCOUNT} {SMS} GB"),
        ({"rates": {"GB": "2/s"}}, TORONTO, None),
        ({"rates": {"GB": "2/s"}}, "messenger:12", None),
    ],
)
def test_people_are_written_to_at_the_pace_of_their_country_or_the_senders(
    sender: dict[str, Any], address: str, name: str | None
) -> None:
    made = house(**sender)
    assert pace(made.senders[0], ACCOUNT, address) == name


def test_every_pace_has_a_rate() -> None:
    made = house(rate="30/m", rates={"GB": "2/s", "US": "3600/h"})
    pair = f"{ACCOUNT} {SMS}"
    assert rates(made) == {pair: 0.5, f"{pair} GB": 2.0, f"{pair} US": 1.0}
