"""Messenger: text, or one file of at most 25 MB, to people who wrote to a page of ours.

A file carries no caption; the text limit is that of all of the original's messages, and Messenger's
own 2,000 characters when relaxed. That somebody read is only told for a whole thread up to a
moment, so no receipt of one message says it. Whoever wrote to the page may be answered for a day.
"""

from __future__ import annotations

from app.channels.channel import ANY_TYPE, DAY_S, MEGABYTE, ChannelFacts

FACTS = ChannelFacts(
    name="messenger",
    binding_type="messenger",
    sid_prefix="SM",
    body_chars_max=1600,
    body_chars_max_relaxed=2000,
    media_max=1,
    media_bytes_max=25 * MEGABYTE,
    media_total_bytes_max=25 * MEGABYTE,
    content_types=ANY_TYPE,
    content_types_relaxed=ANY_TYPE,
    caption_types=ANY_TYPE,
    caption_chars_max=0,
    session_s=DAY_S,
    statuses=frozenset({"queued", "sent", "delivered", "failed", "undelivered"}),
    body_too_long_code=21617,
    media_too_large_code=63034,
    media_refused_code=63021,
    empty_code=63021,
)
