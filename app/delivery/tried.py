"""What an attempt at a recipient came to, and what it says of the carriers that it asked."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from app.channels.segments import Segments
from app.errors import CarrierError
from app.model.traffic import Accepted
from app.observe import DeliveryTried
from app.store.outbox import Claimed
from app.values import value

DETAIL_CHARS_MAX = 500


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


def observation(tried: Tried) -> DeliveryTried:
    """What logs and metrics hear of it."""
    error = tried.error
    return DeliveryTried(
        channel=tried.channel,
        outcome=tried.outcome,
        reason=_reason(error),
        attempt=tried.item.attempts,
        took_s=tried.took_s,
        lag_s=tried.lag_s,
        receipt_sid=tried.item.receipt_sid or "",
        message_sid=tried.item.message_sid or "",
        conversation_sid=tried.item.conversation_sid or "",
    )


def detail(tried: Tried) -> str | None:
    """What is written down of an attempt: the error, and by whom it went if not by the first."""
    said = [tried.error.message if tried.error else None, tried.reason]
    return "; ".join(filter(None, said))[:DETAIL_CHARS_MAX] or None


def _reason(error: CarrierError | None) -> str:
    """The code, or else the class of the error, or nothing."""
    if error is None:
        return "none"
    return str(error.code or type(error).__name__.lower())
