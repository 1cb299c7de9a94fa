"""Who may be written to: nobody who opted out, and freely only within an open session.

Asked when a message is fanned out, and again at each attempt: it may have waited in its lane while
the session ended, or while a STOP came in.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from app.channels.facts import FACTS
from app.rules.content import Deliver, Fail

OPTED_OUT = 21610
SESSION_CLOSED = 63016


def expires_at(channel: str, last_inbound_at: datetime | None) -> datetime | None:
    """When the session that their last message opened ends; None when there never was one, or the
    channel knows no sessions. Only what they write opens or extends it."""
    facts = FACTS.get(channel)
    if facts is None or facts.session_s is None or last_inbound_at is None:
        return None
    return last_inbound_at + timedelta(seconds=facts.session_s)


def is_open(channel: str, last_inbound_at: datetime | None, now: datetime) -> bool:
    """Whether they may be written to freely now; always, where the channel knows no sessions."""
    facts = FACTS.get(channel)
    if facts is None or facts.session_s is None:
        return True
    end = expires_at(channel, last_inbound_at)
    return end is not None and now < end


@dataclass(frozen=True, slots=True)
class Approved:
    """A template that needs no session, as far as this carrier can send it as such (`sent`)."""

    carrier: str
    sent: bool


def allowed(
    content: Deliver | Fail, *, opted_out: bool, session: bool, template: Approved | None = None
) -> Deliver | Fail:
    """What becomes of content given how its recipient stands to its sender. `session`: the session
    is open, or whether it is does not matter yet. `template`: what it goes as outside of one."""
    if opted_out:
        return Fail(content.channel, OPTED_OUT, "the recipient opted out of this sender's messages")
    if isinstance(content, Fail) or session:
        return content
    return outside(content) if template is None else _starting(content, template)


def group_opted_out(content: Deliver | Fail) -> Fail:
    """A group text is one send to everybody: when one of them opted out, nobody gets it."""
    reason = "somebody in the group opted out of this sender's messages"
    return Fail(content.channel, OPTED_OUT, reason)


def outside(content: Deliver) -> Fail:
    """What becomes of free words to somebody whose session is closed, where their sender has no
    template for it (app/delivery/templates.py)."""
    reason = "more than the session's time has passed since the recipient last wrote"
    return Fail(content.channel, SESSION_CLOSED, reason)


def _starting(content: Deliver, template: Approved) -> Deliver | Fail:
    """What becomes of an approved template there: by who does not know it, it would go as words."""
    if template.sent:
        return content
    reason = f"the session is over, and carrier {template.carrier} cannot send the template as such"
    return Fail(content.channel, SESSION_CLOSED, reason)
