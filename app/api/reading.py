"""How far somebody has read in a conversation ("Read Horizon"): set on a participant, or by its
user."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from app.api import parameters as kinds
from app.api.forms import Form
from app.model import Participant
from app.settings.models import LimitSettings
from app.store.memberships import Membership

UNREAD_MAX = 1000  # what the original counts up to

LAST_READ_INDEX = kinds.nullable(
    kinds.integer(
        "LastReadMessageIndex",
        kinds.INTEGER_MAX,
        50421,
        "Invalid last read message index format",
    )
)
LAST_READ_TIMESTAMP = kinds.nullable(
    kinds.moment("LastReadTimestamp", 50405, "Invalid last consumption timestamp format")
)


def read(participant: Participant, form: Form, now: datetime) -> None:
    """Move the horizon as a form says: an index that comes without its time was read now; where it
    is cleared, its time goes too."""
    p = participant
    if LAST_READ_INDEX in form:
        p.last_read_message_index = form[LAST_READ_INDEX]
        p.last_read_timestamp = None if form[LAST_READ_INDEX] is None else now
    if LAST_READ_TIMESTAMP in form:
        p.last_read_timestamp = form[LAST_READ_TIMESTAMP]


def unread(membership: Membership, beyond: Mapping[str, int], limits: LimitSettings) -> int | None:
    """How many messages lie `beyond` the horizon; None without one."""
    count = beyond.get(membership.participant.sid)
    if count is None or limits.profile != "twilio":
        return count
    return min(count, UNREAD_MAX)
