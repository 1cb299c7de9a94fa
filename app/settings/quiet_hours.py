"""When people are left alone."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from app.settings.opt_outs import Country
from app.settings.section import Model
from app.settings.types import PLAIN, DayTime, TimeZone

Channel = Literal["sms", "mms", "whatsapp", "messenger", "rcs", "email"]


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


QuietHours = Annotated[tuple[QuietHoursSettings, ...], Field(max_length=20)]
