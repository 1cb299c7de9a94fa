"""Where somebody is, as far as their address tells: the country and the time zones of a number."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import phonenumbers
from phonenumbers import timezone

CACHED_MAX = 16_384
UNKNOWN_ZONE = timezone.UNKNOWN_TIMEZONE
# What is said of calling codes that no country has, like +800.
NOWHERE = ("001", "ZZ")
NORTH_AMERICA = 1
# With an area before it, a number that may be given out.
SOMEBODY = "2345678"


@lru_cache(maxsize=CACHED_MAX)
def country(address: str) -> str | None:
    """The country (ISO 3166, like US) that gave out this number or, when no country has, whose
    calling code it begins with: the main one of several, but for +1, where the area tells (US: no
    area does). None: it is no number, or one of no country."""
    number = _number(address)
    if number is None:
        return None
    found = phonenumbers.region_code_for_number(number) or _of_area(number)
    found = found or phonenumbers.region_code_for_country_code(number.country_code or 0)
    return None if found in NOWHERE else found


@lru_cache(maxsize=CACHED_MAX)
def time_zones(address: str) -> tuple[str, ...]:
    """The time zones (like America/New_York) that this number may be in: one for most with an
    area, all of a country for its mobiles, all of a calling code where no country has given it
    out; none when it is no number, or one of no country."""
    number = _number(address)
    if number is None:
        return ()
    found = _known(timezone.time_zones_for_number(number))
    return found or _known(timezone.time_zones_for_geographical_number(number))


def _known(zones: Iterable[str]) -> tuple[str, ...]:
    return tuple(name for name in zones if name != UNKNOWN_ZONE)


def _of_area(number: phonenumbers.PhoneNumber) -> str | None:
    """The country of a number's area, where countries share a calling code and its areas."""
    if number.country_code != NORTH_AMERICA:
        return None
    area = str(number.national_number)[:3]
    return phonenumbers.region_code_for_number(
        phonenumbers.PhoneNumber(NORTH_AMERICA, int(area + SOMEBODY))
    )


def _number(address: str) -> phonenumbers.PhoneNumber | None:
    bare = address.rpartition(":")[2]
    if not bare.startswith("+"):
        return None
    try:
        return phonenumbers.parse(bare)
    except phonenumbers.NumberParseException:
        return None
