"""WhatsApp's rules for templates: what may go within a session, what only when it was approved,
what never outside one; and what WhatsApp would refuse to approve.

https://www.twilio.com/docs/content/content-types-overview, docs/45. A session is open for 24 hours
after the person last wrote.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from app.channels.templates import (
    CALL_TO_ACTION,
    CARD,
    LIST_PICKER,
    LOCATION,
    MEDIA,
    QUICK_REPLY,
    SESSION_ONLY,
    TEXT,
    richest,
)
from app.settings.content_types import PLACEHOLDER, placeholders

OUTSIDE_SESSION, NOT_APPROVED = 63016, 63021
# What the receipt says of a template that was approved once, or refused.
STATUS_CODES: Mapping[str, int] = {"rejected": 63040, "paused": 63041, "disabled": 63042}

SESSION_REPLIES_MAX = 3

APPROVED, FREE = "approved", "free"

_UNSENDABLE = re.compile(r"[\n\r\t]| {5}")
_ADJACENT = re.compile(r"\}\}\s*\{\{")
_NAME = re.compile(r"[a-z0-9_]{1,512}")


@dataclass(frozen=True, slots=True)
class Refused:
    """It may not go now; `code` is what the receipt says."""

    code: int
    reason: str


def judge(
    kind: str, fields: Mapping[str, Any], status: str, in_session: bool | None
) -> str | Refused:
    """How a type goes to somebody on WhatsApp: APPROVED (as the template with this `status`), FREE
    (within the session), or not. In a session that is known to be open nothing goes as a template
    that may go without; where nobody knows, what is approved does, since it arrives either way."""
    free = is_free(kind, fields)
    approved = status == "approved" and kind not in SESSION_ONLY
    if approved and not (free and in_session is True):
        return APPROVED
    if in_session is False:
        code = OUTSIDE_SESSION if kind in SESSION_ONLY else _code(status, OUTSIDE_SESSION)
        return Refused(code, f"{kind} is {_standing(kind, status)}, and the session is over")
    if free:
        return FREE
    return Refused(_code(status, NOT_APPROVED), f"{kind} is {_standing(kind, status)}")


def is_free(kind: str, fields: Mapping[str, Any]) -> bool:
    """Whether a type needs no approval within a session."""
    actions = fields.get("actions", ())
    kinds = {action.get("type", "QUICK_REPLY") for action in actions}
    if kind in (TEXT, MEDIA, LOCATION, LIST_PICKER):
        return True
    if kind == QUICK_REPLY:
        return len(actions) <= SESSION_REPLIES_MAX
    if kind == CALL_TO_ACTION:
        return kinds == {"URL"}
    if kind == CARD:
        replies = kinds <= {"QUICK_REPLY"} and len(actions) <= SESSION_REPLIES_MAX
        return replies or (kinds == {"URL"} and len(actions) == 1)
    return False


def unfit(names: Iterable[str], variables: Mapping[str, str]) -> str | None:
    """Why an approved template cannot be sent with these variables; None: it can."""
    for name in names:
        value = variables.get(name, "")
        if not value:
            return f"the template needs a value for its variable {name}"
        if _UNSENDABLE.search(value):
            return f"the value of {name} has a line end, a tab or more than four spaces in a row"
    return None


def approvable(types: Mapping[str, Mapping[str, Any]]) -> str:
    """The type that is submitted for approval: the richest, and of those that conversations do not
    take any."""
    others = {one: types[one] for one in types if one not in SESSION_ONLY}
    return richest(others) or next(iter(others or types))


def objection(types: Mapping[str, Mapping[str, Any]]) -> str:
    """Why WhatsApp would not approve this template; empty: nothing is against it."""
    kind = approvable(types)
    if kind in SESSION_ONLY:
        return f"{kind} cannot be approved"
    fields = types[kind]
    text = str(fields.get("body") or fields.get("title") or "").strip()
    if len(text) > 1024:
        return "the text is longer than 1024 characters"
    found = list(PLACEHOLDER.finditer(text))
    if found and (found[0].start() == 0 or found[-1].end() == len(text)):
        return "the text begins or ends with a variable"
    if _ADJACENT.search(text):
        return "two variables stand side by side"
    numbers = sorted({int(name) for name in placeholders(fields) if name.isdigit()})
    if numbers != list(range(1, len(numbers) + 1)):
        return "the numbers of the variables are not 1, 2, 3, ..."
    return ""


def is_template_name(text: str) -> bool:
    """Whether WhatsApp takes this as a template's name."""
    return _NAME.fullmatch(text) is not None


def _code(status: str, otherwise: int) -> int:
    return STATUS_CODES.get(status, otherwise)


def _standing(kind: str, status: str) -> str:
    if kind in SESSION_ONLY:
        return "for sessions only"
    return status if status in STATUS_CODES else "not approved"
