"""Whose pace a message keeps."""

from __future__ import annotations

from typing import Any

import pytest

from app.rules.paces import by_head, pace, pace_on, rates
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


EVERY = {"rate": "9/s", "rates": {"mms": "1/s", "GB": "2/s", "mms GB": "3/s"}}


@pytest.mark.parametrize(
    ("channel", "address", "key"),
    [
        ("mms", LONDON, " mms GB"),
        ("mms", NEW_YORK, " mms"),
        ("sms", LONDON, " GB"),
        ("sms", NEW_YORK, ""),
    ],
)
def test_what_is_said_of_channel_and_country_goes_before_what_is_said_of_one(
    channel: str, address: str, key: str
) -> None:
    sender = house(**EVERY).senders[0]
    assert pace_on(sender, ACCOUNT, channel, address) == f"{ACCOUNT} {SMS}{key}"


def test_a_lane_of_a_sender_that_is_rated_by_channel_asks_its_head() -> None:
    made = house(**EVERY)
    assert by_head(pace(made.senders[0], ACCOUNT, NEW_YORK))
    assert not by_head(pace(house(rate="1/s").senders[0], ACCOUNT, NEW_YORK))
    assert not by_head(None)
    assert rates(made)[f"{ACCOUNT} {SMS} mms GB"] == 3.0
