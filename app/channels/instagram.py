"""Instagram: text, or one file, to people who wrote to an account of ours.

https://developers.facebook.com/docs/messenger-platform/instagram/features/send-message: a text has
1,000 bytes of UTF-8 and a file no caption; a picture 8 MB, anything else 25. Whoever wrote may be
answered for a day. It tells which message was read, and of none that it arrived.
"""

from __future__ import annotations

from app.channels.channel import DAY_S, MEGABYTE, ChannelFacts

PICTURES = frozenset({"image/jpeg", "image/jpg", "image/png", "image/gif"})
TYPES = PICTURES | {
    "audio/aac",
    "audio/mp4",
    "audio/wav",
    "audio/x-m4a",
    "video/mp4",
    "video/ogg",
    "video/quicktime",
    "video/webm",
    "video/x-msvideo",
    "application/pdf",
}

FACTS = ChannelFacts(
    name="instagram",
    binding_type="instagram",
    sid_prefix="SM",
    body_chars_max=1000,
    body_chars_max_relaxed=1000,
    body_bytes_max=1000,
    media_max=1,
    media_bytes_max=25 * MEGABYTE,
    media_total_bytes_max=25 * MEGABYTE,
    content_types=TYPES,
    content_types_relaxed=TYPES,
    caption_types=frozenset(),
    caption_chars_max=0,
    type_bytes_max_relaxed=dict.fromkeys(PICTURES, 8 * MEGABYTE),
    session_s=DAY_S,
    statuses=frozenset({"queued", "sent", "read", "failed", "undelivered"}),
    body_too_long_code=21617,
    media_too_large_code=63034,
    media_refused_code=63021,
    empty_code=63021,
)
