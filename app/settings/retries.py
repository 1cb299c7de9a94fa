"""How what did not work is tried again."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from app.settings.section import Model

PausesS = Annotated[tuple[Annotated[float, Field(gt=0, le=86_400)], ...], Field(min_length=1)]


class RetrySettings(Model):
    """A retry schedule: waits in seconds after the 1st, 2nd, ... failure; then a dead letter.

    Each wait varies by +-`jitter` (a fraction) so that failures do not come back together.
    `lease_s` is how long an attempt belongs to one worker (never less than 3 x `timeout_s`): what a
    killed worker had in hand is taken up again after it. None: what the loop takes for its work.
    """

    waits_s: tuple[Annotated[float, Field(gt=0, le=86_400)], ...]
    jitter: Annotated[float, Field(ge=0, le=0.5)] = 0.2
    timeout_s: Annotated[float, Field(gt=0, le=60)]
    retry_after_max_s: Annotated[float, Field(gt=0)] = 3600.0
    in_flight: Annotated[int, Field(ge=1, le=1000)] = 128
    lease_s: Annotated[float, Field(gt=0, le=3600)] | None = None

    def effective_lease_s(self, usual_s: float) -> float:
        """How long a lane is leased: what is set, else what is usual for this work."""
        if self.lease_s is None:
            return usual_s
        return max(self.lease_s, 3 * self.timeout_s)


class DeliverySettings(RetrySettings):
    """How a message that a carrier did not take is tried again, and when the carrier is left alone.

    A carrier is paused when `pause_after` lanes of it met no connection, no answer, an error of its
    server or were not let in, and nothing was answered between (0: never), for `pauses_s` as with
    webhooks.
    """

    waits_s: tuple[Annotated[float, Field(gt=0, le=86_400)], ...] = (
        *(1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0),
    )
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 15.0
    pause_after: Annotated[int, Field(ge=0, le=1000)] = 10
    pauses_s: PausesS = (5.0, 15.0, 30.0, 60.0)


class HookSettings(RetrySettings):
    """How a webhook that did not answer 2xx is called again, and when its target is left alone.

    A target is paused when `pause_after` lanes of it failed and nothing succeeded between (0:
    never), for `pauses_s` the first time, the second ...; the last of them again and again.
    """

    waits_s: tuple[Annotated[float, Field(gt=0, le=86_400)], ...] = (
        *(1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 1800.0, 3600.0, 7200.0, 14_400.0, 28_800.0),
    )
    timeout_s: Annotated[float, Field(gt=0, le=60)] = 5.0
    pause_after: Annotated[int, Field(ge=0, le=1000)] = 5
    pauses_s: PausesS = (10.0, 30.0, 60.0, 300.0, 600.0)
