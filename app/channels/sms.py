"""SMS: text to a phone number. A message with media leaves as MMS."""

from __future__ import annotations

from app.channels.channel import ANY_TYPE, ChannelFacts

FACTS = ChannelFacts(
    name="sms",
    binding_type="sms",
    sid_prefix="SM",
    body_chars_max=1600,
    body_chars_max_relaxed=1600,
    media_max=0,
    media_bytes_max=0,
    media_total_bytes_max=0,
    content_types=ANY_TYPE,
    content_types_relaxed=ANY_TYPE,
    caption_types=ANY_TYPE,
    caption_chars_max=0,
    keywords=True,
    statuses=frozenset({"queued", "sent", "delivered", "failed", "undelivered"}),
    body_too_long_code=21617,
    media_too_large_code=11751,
    media_refused_code=12300,
    empty_code=21619,
)
