"""Event streams: how events are sent to sinks, and how long they can be fetched."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.settings.retries import RetrySettings
from app.settings.types import WebUrl


class StreamSettings(RetrySettings):
    """How sinks are called, and what is kept. A batch that failed for the whole schedule (as it is,
    4 hours) is given up.

    `readers_max` are those who wait for events at one process; `kinesis_url` stands in for AWS.
    """

    waits_s: tuple[Annotated[float, Field(gt=0, le=86_400)], ...] = (
        *(1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 3600.0, 3600.0),
    )
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    in_flight: Annotated[int, Field(ge=1, le=1000)] = 32
    batch_max: Annotated[int, Field(ge=1, le=500)] = 100
    sinks_max: Annotated[int, Field(ge=1, le=1000)] = 100
    subscriptions_max: Annotated[int, Field(ge=1, le=1000)] = 100
    readers_max: Annotated[int, Field(ge=1)] = 100
    retention_days: Annotated[int, Field(ge=1)] = 7
    retention_events: Annotated[int, Field(ge=1)] = 10_000_000
    kinesis_url: WebUrl | None = None
