"""E-mail: text and attachments together, of any type, as chat has them.

Most servers refuse a mail of more than 25 MB; a third of that is what base64 adds to its files.
Nobody is told that a mail was read, and that it did not arrive only by a report.
"""

from __future__ import annotations

import mimetypes
import re

from app.channels.channel import ANY_TYPE, MEGABYTE, ChannelFacts
from app.model.traffic import Thread

FACTS = ChannelFacts(
    name="email",
    binding_type="email",
    sid_prefix="SM",
    body_chars_max=32_768,
    body_chars_max_relaxed=32_768,
    media_max=10,
    media_bytes_max=18 * MEGABYTE,
    media_total_bytes_max=18 * MEGABYTE,
    content_types=ANY_TYPE,
    content_types_relaxed=ANY_TYPE,
    caption_types=ANY_TYPE,
    caption_chars_max=32_768,
    text_beside_media=True,
    statuses=frozenset({"queued", "sent", "delivered", "failed", "undelivered"}),
    body_too_long_code=21617,
    media_too_large_code=30019,
    media_refused_code=63021,
    empty_code=63021,
)

SUBJECT_CHARS_MAX = 256
_ANSWER = re.compile(r"(?:re|aw|sv|antw|r|odp|vs) ?(?:\[\d+\])?:", re.IGNORECASE)


def subject(thread: Thread, otherwise: str) -> str:
    """The subject of a mail: the message's own; that of the mail which it answers, since mail
    programs keep threads by it; the conversation's friendly name; what is configured."""
    if thread.subject:
        return _line(thread.subject)
    if thread.answered_subject:
        answered = _line(thread.answered_subject)
        return answered if _ANSWER.match(answered) else _line(f"Re: {answered}")
    return _line(thread.topic or "") or otherwise


def filename(content_type: str, position: int) -> str:
    """What a file without a name is called."""
    ending = mimetypes.guess_extension(content_type, strict=True) or ".bin"
    return f"file-{position}{ending}"


def _line(text: str) -> str:
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())[
        :SUBJECT_CHARS_MAX
    ]
