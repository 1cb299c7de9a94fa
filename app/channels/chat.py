"""Chat: identities who read through the API and the SDKs. Nothing is sent and nobody receipts.

Any media of up to 150 MB each and a body of 32 KB ("Conversations Limits").
"""

from __future__ import annotations

from app.channels.channel import ANY_TYPE, MEGABYTE, ChannelFacts

UNLIMITED = 2**63

FACTS = ChannelFacts(
    name="chat",
    binding_type="chat",
    sid_prefix=None,
    body_chars_max=32_768,
    body_chars_max_relaxed=32_768,
    media_max=10,
    media_bytes_max=150 * MEGABYTE,
    media_total_bytes_max=UNLIMITED,
    content_types=ANY_TYPE,
    content_types_relaxed=ANY_TYPE,
    caption_types=ANY_TYPE,
    caption_chars_max=32_768,
    text_beside_media=True,
    statuses=frozenset(),
    body_too_long_code=50504,
    media_too_large_code=50512,
    media_refused_code=50511,
    empty_code=50503,
)
