"""What a mail server's replies mean: a table of enhanced status codes (RFC 3463) and, for servers
that give none, one of plain replies (RFC 5321 4.2.3). Reports use the same codes.

4xx: not now; 421: the server itself is down (RFC 5321 3.8). 5xx about the message, its sender or
its recipient: never. What is about us (who may log in, who may relay) the operator mends, so it is
not the end of a message either.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from app.carriers import codes
from app.carriers.exchange import without_numbers
from app.errors import CarrierError, Permanent, Temporary

# Subject and detail of an enhanced code -> the original's number.
ENHANCED: Mapping[str, int] = {
    "1.0": codes.TO_INVALID,
    "1.1": codes.HANDSET_UNKNOWN,
    "1.2": codes.HANDSET_UNKNOWN,  # no such domain
    "1.3": codes.TO_INVALID,
    "1.4": codes.TO_INVALID,
    "1.6": codes.HANDSET_UNKNOWN,  # moved, and nobody knows where
    "1.7": codes.FROM_NOT_OURS,
    "1.8": codes.FROM_NOT_OURS,
    "1.10": codes.HANDSET_UNKNOWN,  # the domain takes no mail
    "2.0": codes.HANDSET_UNREACHABLE,
    "2.1": codes.HANDSET_UNREACHABLE,  # the mailbox is disabled
    "2.2": codes.HANDSET_UNREACHABLE,  # the mailbox is full
    "2.3": codes.CONTENT_TOO_LARGE,
    "3.2": codes.HANDSET_UNREACHABLE,
    "3.4": codes.CONTENT_TOO_LARGE,
    "4.1": codes.HANDSET_UNREACHABLE,
    "4.3": codes.HANDSET_UNREACHABLE,
    "4.4": codes.TO_NOT_ROUTABLE,
    "4.6": codes.TO_NOT_ROUTABLE,  # mail goes in circles
    "4.7": codes.EXPIRED,
    "6.0": codes.CONTENT_NOT_ACCEPTED,
    "6.1": codes.CONTENT_NOT_ACCEPTED,
    "7.0": codes.FILTERED,
    "7.1": codes.FILTERED,
    "7.2": codes.BLOCKED,
    "7.3": codes.BLOCKED,
    "7.20": codes.FILTERED,  # DKIM
    "7.23": codes.FILTERED,  # SPF
    "7.25": codes.FILTERED,
    "7.26": codes.FILTERED,
    "7.27": codes.FROM_NOT_OURS,
}
PLAIN: Mapping[int, int] = {
    550: codes.HANDSET_UNKNOWN,
    551: codes.TO_NOT_ROUTABLE,
    552: codes.CONTENT_TOO_LARGE,
    553: codes.TO_INVALID,
    554: codes.FILTERED,
    555: codes.TO_INVALID,
    556: codes.HANDSET_UNKNOWN,
}
# About us and not about the message: RFC 4954 and 3207. The replies speak of the login that all
# senders share; a code in the words of another reply may be about the sender alone, or be quoted.
OPERATORS = frozenset({530, 534, 535, 538})
OPERATORS_ENHANCED = frozenset({"7.8", "7.9", "7.10", "7.11", "7.30"})
CLOSING = 421
# Not about anything that was said to it.
UNABLE = frozenset({500, 501, 502, 503, 504, 521})

_CODE = re.compile(r"(?<![0-9.])[245]\.([0-9]{1,3}\.[0-9]{1,3})(?![0-9.])")
_ADDRESS = re.compile(r"[^\s<>\"',;:()]+@[^\s<>\"',;:()]+")


def code_of(reply: int | None, text: str) -> int:
    """The original's number for a refusal in these words."""
    match = _CODE.search(text)
    enhanced = ENHANCED.get(match[1]) if match else None
    return enhanced or PLAIN.get(reply or 0, codes.UNKNOWN)


def refusal(reply: int, text: str, *, sender: bool = False) -> CarrierError:
    """What a reply that is no success means for the message. `sender`: it came to MAIL FROM."""
    match = _CODE.search(text)
    said = plainly(reply, text)
    if reply in OPERATORS or (match and match[1] in OPERATORS_ENHANCED):
        return Temporary(said, codes.UNAUTHORISED, down=reply in OPERATORS)
    if reply < 500 or reply in UNABLE:
        code = codes.QUEUE_FULL if reply in (450, 451, 452) else codes.UNAVAILABLE
        return Temporary(said, code, down=reply == CLOSING)
    if sender and match is None:
        return Permanent(said, codes.FROM_NOT_OURS)
    return Permanent(said, code_of(reply, text))


def plainly(reply: int | None, text: str) -> str:
    """The reply for receipts and logs: one line, without addresses and numbers."""
    line = " ".join(_ADDRESS.sub("***", without_numbers(text)).split())
    return f"SMTP {reply} {line}".rstrip() if reply else line
