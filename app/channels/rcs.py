"""RCS: text, or one file of at most 100 MB, to a phone from a registered agent.

Text and file are two kinds of message, so a file carries no caption. Phones take 3,072 characters;
the documented limit is that of all of the original's messages. Agents may write at any time, and
phones tell that a message was read.
"""

from __future__ import annotations

from app.channels.channel import MEGABYTE, ChannelFacts

TYPES = frozenset(
    {
        "image/jpeg",
        "image/jpg",
        "image/png",
        "image/gif",
        "video/mp4",
        "video/mpeg",
        "video/mpeg4",
        "video/webm",
        "video/h263",
        "video/m4v",
        "audio/mpeg",
        "audio/mp3",
        "audio/aac",
        "audio/3gpp",
        "audio/ogg",
        "application/ogg",
        "application/pdf",
    }
)

FACTS = ChannelFacts(
    name="rcs",
    binding_type="rcs",
    sid_prefix="SM",
    body_chars_max=1600,
    body_chars_max_relaxed=3072,
    media_max=1,
    media_bytes_max=100 * MEGABYTE,
    media_total_bytes_max=100 * MEGABYTE,
    content_types=TYPES,
    content_types_relaxed=TYPES,
    caption_types=frozenset(),
    caption_chars_max=0,
    statuses=frozenset({"queued", "sent", "delivered", "read", "failed", "undelivered"}),
    body_too_long_code=21617,
    media_too_large_code=63034,
    media_refused_code=63021,
    empty_code=63021,
)
