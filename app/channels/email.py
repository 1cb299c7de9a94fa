"""E-mail: text and attachments together, of any type, as chat has them.

Most servers refuse a mail of more than 25 MB; a third of that is what base64 adds to its files.
Nobody is told that a mail was read, and that it did not arrive only by a report.
"""

from __future__ import annotations

from app.channels.channel import ANY_TYPE, MEGABYTE, ChannelFacts

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
