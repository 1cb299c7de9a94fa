"""WhatsApp: text, or one file of at most 16 MB ("Using WhatsApp with Conversations").

"Conversations Limits" says which file types are *included*; the rest of this table is what the
WhatsApp Cloud API takes. Images, videos and documents can carry a caption; audio and stickers
cannot. Pictures may be smaller than the documented limit only, documents far larger. Whoever wrote
may be answered freely for a day; outside of it only approved templates are let through.
"""

from __future__ import annotations

from app.channels.channel import DAY_S, MEGABYTE, ChannelFacts

PICTURES = frozenset(
    {"image/jpeg", "image/jpg", "image/png", "video/mp4", "video/3gp", "video/3gpp"}
)
DOCUMENTS = frozenset(
    {
        "application/pdf",
        "application/msword",
        "application/vnd.ms-excel",
        "application/vnd.ms-powerpoint",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/vnd.openxmlformats-officedocument.presentationml.presentation",
        "text/plain",
    }
)
WITHOUT_CAPTION = frozenset(
    {"audio/mpeg", "audio/mp3", "audio/amr", "audio/aac", "audio/mp4", "audio/ogg", "image/webp"}
)
TYPES_BYTES_MAX = {
    **dict.fromkeys(("image/jpeg", "image/jpg", "image/png"), 5 * MEGABYTE),
    **dict.fromkeys(DOCUMENTS, 100 * MEGABYTE),
    "image/webp": 500 * 1024,  # a sticker, which may move
}
TYPES = PICTURES | DOCUMENTS | WITHOUT_CAPTION

FACTS = ChannelFacts(
    name="whatsapp",
    binding_type="whatsapp",
    sid_prefix="WA",
    body_chars_max=1600,
    body_chars_max_relaxed=4096,
    media_max=1,
    media_bytes_max=16 * MEGABYTE,
    media_total_bytes_max=100 * MEGABYTE,
    content_types=TYPES,
    content_types_relaxed=TYPES,
    caption_types=PICTURES | DOCUMENTS,
    caption_chars_max=1024,
    type_bytes_max_relaxed=TYPES_BYTES_MAX,
    session_s=DAY_S,
    statuses=frozenset({"queued", "sent", "delivered", "read", "failed", "undelivered"}),
    body_too_long_code=21617,
    media_too_large_code=63034,
    media_refused_code=63021,
    empty_code=63021,
)
