"""The shape of a channel's facts: what it carries, and what the receipt says when it cannot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.model.traffic import DeliveryStatus

MEGABYTE = 1_048_576
DAY_S = 86_400
ANY_TYPE: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelFacts:
    """One channel as a table ("Conversations Limits", "Delivery Receipts in Conversations").

    Units: characters (`_chars`) and bytes (`_bytes`; of a text, in UTF-8). `media_bytes_max` holds
    for one file and `media_total_bytes_max` for all files of a message. Content types are lower
    case and without parameters; an empty set means any. What ends in `_relaxed` is what
    the channel itself takes, where the documented limit is lower. A file whose type is in
    `caption_types` can carry a text of `caption_chars_max`; with `text_beside_media` the documented
    limits, too, leave text and several files together. `type_bytes_max_relaxed` is the limit of
    types for which the channel itself has another one. `session_s` is for how long after a message
    of theirs people may be written to freely; None: at any time. With `keywords`, words like STOP
    opt out. `sid_prefix` begins a channel message SID; None where nothing is sent. The codes are
    what a receipt says when a part cannot go.
    """

    name: str
    binding_type: str
    sid_prefix: str | None
    body_chars_max: int
    body_chars_max_relaxed: int
    media_max: int
    media_bytes_max: int
    media_total_bytes_max: int
    content_types: frozenset[str]
    content_types_relaxed: frozenset[str]
    caption_types: frozenset[str]
    caption_chars_max: int
    text_beside_media: bool = False
    body_bytes_max: int | None = None
    type_bytes_max_relaxed: Mapping[str, int] | None = None
    session_s: int | None = None
    keywords: bool = False
    statuses: frozenset[DeliveryStatus]
    body_too_long_code: int
    media_too_large_code: int
    media_refused_code: int
    empty_code: int
