"""The parts of a message that takes several of a recipient's channel: what is in each, what is
known of each, and what a carrier is given to tell us which one it speaks of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from app.model.traffic import MediaPart

_REFERENCE = re.compile(r"DY[0-9a-fA-F]{32}(?:\.[1-9][0-9]?)?")


@dataclass(frozen=True, slots=True)
class Part:
    """One part: files by their places in the message, and its text from `start` to `end` (both 0:
    none)."""

    channel: str
    media: tuple[int, ...] = ()
    start: int = 0
    end: int = 0

    def of(
        self, body: str | None, media: Sequence[MediaPart]
    ) -> tuple[str | None, tuple[MediaPart, ...]]:
        """Its text and its files."""
        words = (body or "")[self.start : self.end]
        return words or None, tuple(media[at] for at in self.media if at < len(media))


Outcome = Mapping[str, Any]
"""A part as its receipt keeps it: what is in it, its `id` at the carrier (null: not known to be
sent) and its `status`."""


def stored(parts: Sequence[Part]) -> list[dict[str, Any]] | None:
    """Parts as their receipt keeps them at first; None for no parts."""
    return [
        {
            "channel": one.channel,
            "media": one.media,
            "text": [one.start, one.end],
            "id": None,
            "status": "queued",
        }
        for one in parts
    ] or None


def restored(kept: Outcome) -> Part:
    """What is in a part that a receipt keeps."""
    return Part(kept["channel"], tuple(kept["media"]), *kept["text"])


def reference(receipt_sid: str, part: int) -> str:
    """The reference of a part: the receipt's SID, with `.1`, `.2` ... behind it but for the first.
    What has no parts is called like the first."""
    return f"{receipt_sid}.{part}" if part else receipt_sid


def is_reference(text: str | None) -> bool:
    """Whether the text has the form of a reference."""
    return text is not None and _REFERENCE.fullmatch(text) is not None


def referred(text: str) -> tuple[str, int]:
    """The receipt's SID and the number of the part that a reference names."""
    sid, _, part = text.partition(".")
    return sid, int(part or 0)
