"""How many segments an SMS takes, which is what it costs (3GPP TS 23.038, 23.040 9.2.3.24.1).

A text of the GSM 7-bit alphabet has 160 septets in one segment and 153 in each of several, since
their header takes seven; any other character makes it UCS-2, with 70 and 67 units of 16 bits. What
takes two places (`€`, an emoji) is never cut in half.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
# Two septets each: an escape, and the place of another character.
EXTENDED = frozenset("\f^{}\\[~]|€")
ALPHABET = BASIC | EXTENDED

Encoding = Literal["GSM-7", "UCS-2"]
ROOM: dict[Encoding, tuple[int, int]] = {"GSM-7": (160, 153), "UCS-2": (70, 67)}
"""Places in a message of one segment, and in each segment of a longer one."""


@dataclass(frozen=True, slots=True)
class Segments:
    """What an SMS is cut into."""

    count: int
    encoding: Encoding


ONE = Segments(1, "GSM-7")


def segments(body: str) -> Segments:
    """The segments of a text; an empty one takes one as well."""
    if ALPHABET.issuperset(body):
        if len(body) <= ROOM["GSM-7"][0] // 2:
            return ONE  # nearly always; even if each character took two places
        return Segments(_count("GSM-7", (2 if char in EXTENDED else 1 for char in body)), "GSM-7")
    return Segments(_count("UCS-2", (2 if char > "\uffff" else 1 for char in body)), "UCS-2")


def _count(encoding: Encoding, places: Iterable[int]) -> int:
    alone, shared = ROOM[encoding]
    total, count, used = 0, 1, 0
    for taken in places:
        total += taken
        if used + taken > shared:
            count, used = count + 1, 0
        used += taken
    return 1 if total <= alone else count
