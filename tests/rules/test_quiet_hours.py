"""Quiet hours: by the clock where people are, on channels and in countries that are named."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.channels.place import country, time_zones
from app.rules.quiet_hours import of, quiet
from app.settings.quiet_hours import QuietHoursSettings
from tests.support.settings import SMS, settings

NEW_YORK, SAN_FRANCISCO, LONDON = "+12125550101", "+14155550123", "+442079460000"
NOBODY_KNOWS = "+15005550006"


def hours(start: str = "21:00", end: str = "08:00", **more: Any) -> QuietHoursSettings:
    return QuietHoursSettings(start=start, end=end, **more)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def until(
    rules: Sequence[QuietHoursSettings], now: str, *addresses: str, channel: str = "sms"
) -> str | None:
    found = quiet(rules, channel, addresses, at(now))
    return f"{found.until:%Y-%m-%dT%H:%M}" if found else None


@pytest.mark.parametrize(
    ("now", "address", "ends"),
    [
        ("2030-01-15T12:00", NEW_YORK, "2030-01-15T13:00"),  # 07:00 there
        ("2030-01-15T13:00", NEW_YORK, None),  # 08:00: over
        ("2030-01-16T01:59", NEW_YORK, None),  # 20:59
        ("2030-01-16T02:00", NEW_YORK, "2030-01-16T13:00"),  # 21:00, until the next day
        ("2030-01-15T13:00", SAN_FRANCISCO, "2030-01-15T16:00"),
        ("2030-01-15T12:00", LONDON, None),
        ("2030-07-15T20:30", LONDON, "2030-07-16T07:00"),  # summer time
        ("2030-01-15T12:00", f"whatsapp:{NEW_YORK}", "2030-01-15T13:00"),
        ("2030-01-15T03:00", "messenger:123", None),
    ],
)
def test_it_is_quiet_by_the_clock_where_they_are(now: str, address: str, ends: str | None) -> None:
    assert until([hours()], now, address) == ends


def test_hours_within_a_day() -> None:
    siesta = [hours("13:00", "15:00", time_zone="Europe/Madrid")]
    assert until(siesta, "2030-01-15T12:30", LONDON) == "2030-01-15T14:00"
    assert until(siesta, "2030-01-15T14:00", LONDON) is None


def test_only_channels_and_countries_that_are_named() -> None:
    rules = [hours(channels=["sms", "mms"], countries=["US"])]
    night = "2030-01-15T05:00"
    assert until(rules, night, NEW_YORK) is not None
    assert until(rules, night, NEW_YORK, channel="whatsapp") is None
    assert until(rules, night, "+14165550101") is None, "a Canadian"


def test_a_time_zone_that_is_given_holds_for_all_even_without_a_number() -> None:
    rules = [hours(time_zone="America/New_York")]
    assert until(rules, "2030-01-15T12:00", "messenger:123") == "2030-01-15T13:00"
    assert until(rules, "2030-01-15T12:00", LONDON) == "2030-01-15T13:00"


def test_where_a_number_may_be_anywhere_in_its_country_all_of_it_is_asleep() -> None:
    ends = until([hours()], "2030-01-15T03:00", NOBODY_KNOWS)
    assert ends is not None
    assert at(ends) > at("2030-01-15T18:00"), "08:00 in Hawaii"


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("+15551239999", "US"),
        ("whatsapp:+15551239999", "US"),
        ("+447700900123", "GB"),
        ("+14160000000", "CA"),
        ("+12420001111", "BS"),
        ("+70000000000", "RU"),
        ("+80012345678", None),
        ("messenger:123", None),
    ],
)
def test_a_number_that_nobody_gave_out_is_of_its_calling_codes_country(
    address: str, place: str | None
) -> None:
    assert country(address) == place
    assert bool(time_zones(address)) is (place is not None)
    asleep = [until([hours()], f"2030-01-15T{hour:02}:00", address) for hour in range(24)]
    assert any(asleep) is (place is not None)


def test_hours_of_a_country_hold_for_numbers_that_it_did_not_give_out() -> None:
    rules = [hours(countries=["GB"])]
    assert until(rules, "2030-01-15T03:00", "+447700900123") == "2030-01-15T08:00"
    assert until(rules, "2030-01-15T03:00", "+15551239999") is None


def test_a_group_waits_for_the_last_of_them() -> None:
    both = until([hours()], "2030-01-15T12:30", NEW_YORK, SAN_FRANCISCO)
    assert both == until([hours()], "2030-01-15T12:30", SAN_FRANCISCO) == "2030-01-15T16:00"


def test_one_after_the_other_is_one_wait() -> None:
    rules = [hours(), hours("07:30", "09:00")]
    assert until(rules, "2030-01-15T12:00", NEW_YORK) == "2030-01-15T14:00"


def test_it_ends_even_if_there_is_always_night_somewhere() -> None:
    rules = [hours("00:01", "00:00"), hours("00:00", "00:01")]
    found = quiet(rules, "sms", [NEW_YORK], at("2030-01-15T12:00"))
    assert found is not None
    assert found.until < at("2030-01-26T12:00")


def test_the_reason_says_where_and_until_when_by_their_clock() -> None:
    found = quiet([hours()], "sms", [NEW_YORK], at("2030-01-15T12:00"))
    assert found is not None
    assert found.reason == "quiet hours in America/New_York until 08:00"


SECONDS = st.integers(0, 2 * 365 * 24 * 3600)


@given(seconds=SECONDS, zone=st.sampled_from(["America/New_York", "Asia/Kolkata", "Pacific/Apia"]))
def test_when_it_ends_it_is_over_and_not_before(seconds: int, zone: str) -> None:
    now = at("2029-01-01T00:00") + timedelta(seconds=seconds)
    rules = [hours(time_zone=zone)]
    found = quiet(rules, "sms", [LONDON], now)
    local = now.astimezone(ZoneInfo(zone))
    assert (found is not None) == (local.hour >= 21 or local.hour < 8)
    if found is not None:
        assert now < found.until <= now + timedelta(hours=12)
        assert (found.until.second, found.until.microsecond) == (0, 0)
        assert quiet(rules, "sms", [LONDON], found.until) is None
        before = found.until - timedelta(seconds=1)
        assert quiet(rules, "sms", [LONDON], before) is not None


def test_a_sender_says_more_than_its_pool() -> None:
    night = {"start": "21:00", "end": "08:00"}
    made = settings(
        senders=[
            {"address": SMS, "carrier": "lab", "messaging_service": "one"},
            {"address": NEW_YORK, "carrier": "lab", "messaging_service": "one", "quiet_hours": []},
            {"address": LONDON, "carrier": "lab"},
        ],
        messaging_services={"one": {"quiet_hours": [night]}},
    )
    assert [len(of(made, sender)) for sender in made.senders] == [1, 0, 0]


def test_every_zone_of_every_country_is_known() -> None:
    zones = set()
    for region in phonenumbers.SUPPORTED_REGIONS:
        number = phonenumbers.example_number_for_type(region, phonenumbers.PhoneNumberType.MOBILE)
        if number is not None:
            address = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
            assert country(address)
            zones |= {*time_zones(address)}
    assert len(zones) > 200
    assert all(ZoneInfo(zone) for zone in zones)
