"""What operators are shown of texts that may hold addresses, URLs or secrets."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from app.channels.address import masked
from app.model.flows import PLACE

TEXT_CHARS_MAX = 200

_HIDING: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\b(?![A-Z]{2}[0-9a-f]{32}\b)[0-9A-Za-z_-]{32,}\b"), "***"),  # a token, no SID
    (re.compile(r"(?<=://)[^/\s@]+@"), "***@"),  # user and password of a URL
    (re.compile(r"\?[^\s'\"<>)]+"), "?***"),  # its query
    (re.compile(r"[\w.%+-]+@[\w.-]+"), "***@***"),  # an e-mail address
    (re.compile(r"(?<![0-9A-Za-z])\+?\d(?:[ .-]?\d){3,}(?=\d{4}(?!\d))"), "***"),  # a number
)


def hidden(text: str) -> str:
    """The first line of a text, without what looks like an address (a number keeps its
    last four digits), the secret part of a URL, or a token."""
    line = text.partition("\n")[0][: 4 * TEXT_CHARS_MAX]
    for pattern, instead in _HIDING:
        line = pattern.sub(instead, line)
    return line[:TEXT_CHARS_MAX]


def plain_url(url: str) -> str:
    """Where a URL leads, without its query, user and password; a flow that runs here, as it is."""
    if url.startswith(PLACE):
        return url
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def person(text: str) -> str:
    """An identity as it is, an address masked: an author may be either."""
    if text.startswith("+") or ":" in text or "@" in text:
        return masked(text)
    return text
