"""Where somebody is, as far as their address tells: the country and the time zones of a number."""

from __future__ import annotations

from functools import lru_cache

import phonenumbers
from phonenumbers import timezone

CACHED_MAX = 65_536
UNKNOWN_ZONE = timezone.UNKNOWN_TIMEZONE


@lru_cache(maxsize=CACHED_MAX)
def country(address: str) -> str | None:
    """The country (ISO 3166, like US) that gave out this number; None: it is no number, or no
    country has given it out."""
    number = _number(address)
    return None if number is None else phonenumbers.region_code_for_number(number)


@lru_cache(maxsize=CACHED_MAX)
def time_zones(address: str) -> tuple[str, ...]:
    """The time zones (like America/New_York) that this number may be in: one for most with an
    area, all of a country for its mobiles; none when it is no number, or nobody knows."""
    number = _number(address)
    found = () if number is None else timezone.time_zones_for_number(number)
    return tuple(name for name in found if name != UNKNOWN_ZONE)


def _number(address: str) -> phonenumbers.PhoneNumber | None:
    bare = address.rpartition(":")[2]
    if not bare.startswith("+"):
        return None
    try:
        return phonenumbers.parse(bare)
    except phonenumbers.NumberParseException:
        return None
