"""When people are left alone."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from app.settings.opt_outs import Country
from app.settings.section import Model
from app.settings.types import PLAIN, DayTime, TimeZone

Channel = Literal["sms", "mms", "whatsapp", "messenger", "instagram", "rcs", "email"]
DAY_MINUTES = 24 * 60


class QuietHoursSettings(Model):
    """What would go to people of these `countries` on these `channels` (without any: of all) from
    `start` until `end`, by the clock where they are, waits for the end. `time_zone` is where they
    are taken to be; without it their number tells."""

    channels: tuple[Channel, ...] = ()
    countries: tuple[Country, ...] = ()
    start: DayTime
    end: DayTime
    time_zone: TimeZone | None = None

    @model_validator(mode="after")
    def _ends(self) -> QuietHoursSettings:
        if self.start == self.end:
            raise PydanticCustomError(PLAIN, "start and end should be two times")
        return self


def _leave_time(
    hours: tuple[QuietHoursSettings, ...],
) -> tuple[QuietHoursSettings, ...]:
    """Some of the day is left to everybody."""
    for one in hours:
        quiet: set[int] = set()
        for other in hours:
            if _holds_where(other, one):
                quiet |= _minutes(other)
        if len(quiet) == DAY_MINUTES:
            raise PydanticCustomError(PLAIN, "cover the whole day together: nothing would ever go")
    return hours


def _holds_where(one: QuietHoursSettings, other: QuietHoursSettings) -> bool:
    """Whether these hours hold for everything that the others hold for."""
    channels = not one.channels or (other.channels and {*other.channels} <= {*one.channels})
    countries = not one.countries or (other.countries and {*other.countries} <= {*one.countries})
    return bool(channels and countries) and one.time_zone == other.time_zone


def _minutes(hours: QuietHoursSettings) -> set[int]:
    """The minutes of a day that are quiet."""
    start, end = (int(at[:2]) * 60 + int(at[3:]) for at in (hours.start, hours.end))
    if start < end:
        return {*range(start, end)}
    return {*range(start, DAY_MINUTES), *range(end)}


QuietHours = Annotated[
    tuple[QuietHoursSettings, ...], Field(max_length=20), AfterValidator(_leave_time)
]
