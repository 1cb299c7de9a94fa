"""Addresses as everybody sees them: their one form, the channel that each names, and what of them
may stand in a log."""

from __future__ import annotations

import re

from app.settings.address import PREFIX_NAMED as PREFIX_NAMED
from app.settings.address import PREFIX_NUMBERED as PREFIX_NUMBERED
from app.settings.address import channel_of as channel_of
from app.settings.address import normalise as normalise

_DIGIT = re.compile(r"[0-9]")


def masked(address: str) -> str:
    """The address for a log line: all but its last four digits (or characters) is hidden."""
    prefix, colon, rest = address.rpartition(":")
    if rest[:1] == "+" and rest[1:].isdigit() and len(rest) > 5:
        return f"{prefix}{colon}***{rest[-4:]}"
    digits = _DIGIT.findall(rest)
    shown = "".join(digits[-4:]) if len(digits) > 4 else ""
    return f"{prefix}{colon}***{shown}"
