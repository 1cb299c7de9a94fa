"""Whether it is a quiet hour where somebody is, and when it ends: what goes to them waits until
then, and is never dropped."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from app.channels.place import country, time_zones
from app.settings.models import SenderSettings, Settings
from app.settings.quiet_hours import QuietHoursSettings

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
ENDS_MAX = 10
"""How many quiet hours that follow one another are waited for: with zones all around the world
there may be no moment that suits everybody."""


@dataclass(frozen=True, slots=True)
class Quiet:
    """They are left alone until then, and why."""

    until: datetime
    reason: str


def of(house: Settings, sender: SenderSettings) -> Sequence[QuietHoursSettings]:
    """The quiet hours of a sender: its own, else those of its messaging service."""
    if sender.quiet_hours is not None:
        return sender.quiet_hours
    pool = house.pool(sender)
    return pool.quiet_hours if pool else ()


def quiet(
    hours: Sequence[QuietHoursSettings], channel: str, addresses: Collection[str], now: datetime
) -> Quiet | None:
    """Until when nothing goes to all of these people (one, or everybody in a group text); None: it
    may go now."""
    places = list(_places(hours, channel, addresses))
    until, where = now, ""
    for _ in range(ENDS_MAX):
        ends = [(end, zone) for one, zone in places if (end := _end(one, zone, until)) is not None]
        if not ends:
            break
        until, where = max(ends)
    if until == now:
        return None
    return Quiet(until, f"quiet hours in {where} until {until.astimezone(_zone(where)):%H:%M}")


def _places(
    hours: Sequence[QuietHoursSettings], channel: str, addresses: Collection[str]
) -> Iterator[tuple[QuietHoursSettings, str]]:
    """Which hours hold for them, and in which time zones."""
    for one in hours:
        if one.channels and channel not in one.channels:
            continue
        zones: set[str] = set()
        for address in addresses:
            if not one.countries or country(address) in one.countries:
                zones |= {one.time_zone} if one.time_zone else {*time_zones(address)}
        yield from ((one, zone) for zone in zones)


def _end(hours: QuietHoursSettings, zone: str, at: datetime) -> datetime | None:
    """When the quiet hour of this moment ends; None: it is none."""
    local = at.astimezone(_zone(zone))
    start, end = time.fromisoformat(hours.start), time.fromisoformat(hours.end)
    clock = local.time()
    within = start <= clock < end if start < end else clock >= start or clock < end
    if not within:
        return None
    day = local.date() if clock < end else local.date() + DAY
    ends = datetime.combine(day, end, local.tzinfo).astimezone(at.tzinfo)
    return ends if ends > at else at + MINUTE  # clocks that are put back may repeat the end


@lru_cache(maxsize=1024)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
