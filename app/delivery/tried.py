"""What an attempt at a recipient came to, and what it says of the carriers that it asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from app.channels.segments import Segments
from app.errors import CarrierError
from app.model.traffic import Accepted
from app.store.outbox import Claimed
from app.values import value


@value(frozen=True, slots=True)
class Heard:
    """Whether a carrier is `well`: it answered, whatever it thinks of this message; or it could not
    be reached, did not answer or failed, for this reason."""

    carrier: str
    well: bool
    reason: str = ""


@value(frozen=True, slots=True)
class Tried:
    """What an attempt came to.

    outcome: accepted, temporary, permanent, unknown; settled (a status callback told us
    meanwhile), gone (the message was deleted), postponed (until `not_before`: a look-up is not to
    be trusted yet, a file is still on its way to us, it would come at a quiet hour, `reason` says
    so; or, where `held` names these, until one of its carriers is paused no more). `carrier` is by
    whom it went, or would have. `segments` is what an SMS was cut into, `instead` names what a
    template went in the place of. Of one that is `broken`, that broke off, only its item tells
    whether it sent one.
    """

    item: Claimed
    outcome: str
    accepted: Accepted | None = None
    error: CarrierError | None = None
    not_before: datetime | None = None
    channel: str = "sms"
    carrier: str = ""
    took_s: float = 0.0
    lag_s: float = 0.0
    segments: Segments | None = None
    instead: str | None = None
    broken: bool = False
    reason: str | None = None
    held: str | None = None
    heard: tuple[Heard, ...] = ()


def told_of(tried: Tried, now: datetime) -> Tried:
    """An attempt, when a carrier told by a status that it has the send: this one where it is in
    doubt, else the one before. What broke off goes on at once, to see what it sent."""
    if tried.broken:
        return replace(tried, outcome="postponed", not_before=now)
    doubtful = tried.outcome in ("settled", "unknown")
    instead = tried.instead if doubtful else tried.item.instead
    return replace(tried, outcome="settled", instead=instead)
