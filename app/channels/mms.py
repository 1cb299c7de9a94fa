"""MMS: media, and text if the profile lets it, to a phone number of a pair or of a group.

One message has at most ten files of 5 MB together ("Conversations Limits"). The documented types
are few; "Accepted Content Types for Media" names what the carriers take besides.
"""

from __future__ import annotations

from app.channels.channel import ANY_TYPE, MEGABYTE, ChannelFacts

DOCUMENTED = frozenset(
    {
        "image/jpeg",
        "image/jpg",
        "image/png",
        "image/gif",
        "audio/mpeg",
        "audio/mp3",
        "audio/amr",
        "video/mp4",
        "application/pdf",
    }
)
ACCEPTED = DOCUMENTED | {
    "image/bmp",
    "image/tiff",
    "image/webp",
    "image/heic",
    "audio/basic",
    "audio/mp4",
    "audio/ogg",
    "audio/vorbis",
    "audio/wav",
    "audio/vnd.wave",
    "audio/webm",
    "audio/ac3",
    "audio/3gpp",
    "audio/3gpp2",
    "audio/amr-nb",
    "video/mpeg",
    "video/quicktime",
    "video/webm",
    "video/3gpp",
    "video/3gpp2",
    "video/h261",
    "video/h263",
    "video/h264",
    "text/plain",
    "text/csv",
    "text/rtf",
    "text/calendar",
    "text/directory",
    "text/vcard",
    "text/x-vcard",
    "application/vcard",
    "application/vnd.apple.pkpass",
}

FACTS = ChannelFacts(
    name="mms",
    binding_type="sms",
    sid_prefix="MM",
    body_chars_max=1600,
    body_chars_max_relaxed=1600,
    media_max=10,
    media_bytes_max=5 * MEGABYTE,
    media_total_bytes_max=5 * MEGABYTE,
    content_types=DOCUMENTED,
    content_types_relaxed=ACCEPTED,
    caption_types=ANY_TYPE,
    caption_chars_max=1600,
    keywords=True,
    statuses=frozenset({"queued", "sent", "delivered", "failed", "undelivered"}),
    body_too_long_code=21617,
    media_too_large_code=11751,
    media_refused_code=12300,
    empty_code=21619,
)
