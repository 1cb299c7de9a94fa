"""What of a message fits one recipient's channel: deliver these parts, or fail with this code.

The `twilio` profile does what "Conversations Limits" and "Media Support in Conversations" say:
an external recipient gets one file and no text beside it. `relaxed` sends what the channel can
carry in one message (app/rules/parts.py: or in several), pictures that we keep made smaller where
they must be. In both, what was left out is named in
`Deliver.dropped`; nothing is dropped silently.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from app.channels.facts import FACTS, ChannelFacts
from app.model.parts import Part
from app.model.traffic import MediaPart, Template

Profile = Literal["twilio", "relaxed"]

# "Channel did not accept given content": a channel of which we know no facts.
CHANNEL_UNKNOWN = 63005

SCALABLE = frozenset({"image/jpeg", "image/jpg", "image/png", "image/webp"})
SCALED, SCALED_BYTES_MAX = "image/jpeg", 33_554_432
"""Pictures up to this size are made smaller for a channel that takes no such large ones."""


@dataclass(frozen=True, slots=True)
class Deliver:
    """What goes to the recipient. `dropped` names what does not, like `body, media 2 image/png`.
    With a `template`, text and media are what it is to a carrier that knows no templates. Where it
    takes several messages of the channel, `parts` are all of them, and this the first."""

    channel: str
    body: str | None
    media: tuple[MediaPart, ...] = ()
    dropped: str | None = None
    template: Template | None = None
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True, slots=True)
class Fail:
    """Nothing goes; the receipt becomes failed with the original's error `code`."""

    channel: str
    code: int
    reason: str


def fit(
    channel: str, body: str | None, media: Sequence[MediaPart], profile: Profile
) -> Deliver | Fail:
    """What a message becomes on this channel; total, never raises.

    Media make an sms an mms. A size that is not known (None) counts as fitting, and so does an
    empty content type: the carrier will know.
    """
    if media and channel == "sms":
        channel = "mms"
    facts = FACTS.get(channel)
    if facts is None:
        return Fail(channel, CHANNEL_UNKNOWN, f"the channel {channel} is not supported")
    if not media:
        return _text(facts, body, relaxed=profile == "relaxed")
    if profile == "relaxed" or facts.text_beside_media:
        return _relaxed(facts, body, media)
    return _twilio(facts, body, media)


def _text(facts: ChannelFacts, body: str | None, *, relaxed: bool) -> Deliver | Fail:
    chars_max = facts.body_chars_max_relaxed if relaxed else facts.body_chars_max
    if not body:
        return Fail(facts.name, facts.empty_code, "the message has neither text nor media")
    if facts.body_bytes_max is not None and len(body.encode()) > facts.body_bytes_max:
        reason = f"the text is longer than {facts.body_bytes_max} bytes"
        return Fail(facts.name, facts.body_too_long_code, reason)
    if len(body) > chars_max:
        reason = f"the text is longer than {chars_max} characters"
        return Fail(facts.name, facts.body_too_long_code, reason)
    return Deliver(facts.name, body)


def _twilio(facts: ChannelFacts, body: str | None, media: Sequence[MediaPart]) -> Deliver | Fail:
    fault = misfit(facts, media[0], relaxed=False)
    if fault is not None:
        return fault
    rest = [named(at, part) for at, part in enumerate(media[1:], 2)]
    return Deliver(facts.name, None, (media[0],), left_out(body, rest))


def _relaxed(facts: ChannelFacts, body: str | None, media: Sequence[MediaPart]) -> Deliver | Fail:
    taken, rest, fault = _taken(facts, media)
    if not taken:
        return _without_media(facts, body, rest, fault)
    if body and not captions(facts, taken[0], body):
        return Deliver(facts.name, None, taken, left_out(body, rest))
    return Deliver(facts.name, body or None, taken, left_out(None, rest))


def _taken(
    facts: ChannelFacts, media: Sequence[MediaPart]
) -> tuple[tuple[MediaPart, ...], list[str], Fail | None]:
    """The files that fit, in order; the names of the others; why the first of those did not."""
    taken: list[MediaPart] = []
    rest: list[str] = []
    first_fault: Fail | None = None
    room = facts.media_total_bytes_max
    for at, part in enumerate(media, 1):
        part = smaller(facts, part)
        fault = misfit(facts, part, relaxed=True)
        first_fault = first_fault or fault
        if fault is None and len(taken) < facts.media_max and (part.size or 0) <= room:
            taken.append(part)
            room -= part.size or 0
        else:
            rest.append(named(at, part))
    return tuple(taken), rest, first_fault


def smaller(facts: ChannelFacts, part: MediaPart) -> MediaPart:
    """A picture of ours that is too large, as what it is made for this channel."""
    most = facts.media_bytes_max
    large = part.size is not None and most < part.size <= SCALED_BYTES_MAX
    if part.sid is None or not large or _plain(part.content_type) not in SCALABLE:
        return part
    return replace(part, content_type=SCALED, size=most, filename=None, bytes_max=most)


def _without_media(
    facts: ChannelFacts, body: str | None, rest: list[str], fault: Fail | None
) -> Deliver | Fail:
    """No file fits: the text alone, on the channel that carries text; else the first fault."""
    text = _text(FACTS["sms"] if facts.name == "mms" else facts, body, relaxed=True)
    if isinstance(text, Fail):
        return fault or text
    return Deliver(text.channel, text.body, (), left_out(None, rest))


def misfit(facts: ChannelFacts, part: MediaPart, *, relaxed: bool) -> Fail | None:
    """Why the channel does not take this file; None when it does."""
    kind = _plain(part.content_type)
    types = facts.content_types_relaxed if relaxed else facts.content_types
    own = facts.type_bytes_max_relaxed if relaxed else None
    bytes_max = (own or {}).get(kind, facts.media_bytes_max)
    if part.size is not None and part.size > bytes_max:
        reason = f"the file has {part.size} bytes, the channel takes {bytes_max}"
        return Fail(facts.name, facts.media_too_large_code, reason)
    if types and kind and kind not in types:
        reason = f"the channel does not take {kind}"
        return Fail(facts.name, facts.media_refused_code, reason)
    return None


def captions(facts: ChannelFacts, part: MediaPart, body: str) -> bool:
    """Whether this file can carry this text on the channel."""
    fits = len(body) <= facts.caption_chars_max
    return fits and (not facts.caption_types or _plain(part.content_type) in facts.caption_types)


def _plain(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def named(position: int, part: MediaPart) -> str:
    """A file as `Deliver.dropped` names it, by its place from 1."""
    return f"media {position} {_plain(part.content_type)}".rstrip()


def left_out(body: str | None, rest: list[str]) -> str | None:
    """What `Deliver.dropped` says of a text and of files, by their names."""
    names = ["body", *rest] if body else rest
    return ", ".join(names) or None
