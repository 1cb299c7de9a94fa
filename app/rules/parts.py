"""One message as several of its channel, in the `relaxed` profile: what one cannot carry.

A text goes with the first file where that can carry it, else after all files; files that one
message cannot take together go one after the other; a text over the channel's limit goes in pieces.
To us they stay one: one receipt, and one place in the recipient's lane.
"""

from __future__ import annotations

from collections.abc import Sequence

from app.channels.channel import ChannelFacts
from app.channels.facts import FACTS
from app.channels.pieces import pieces
from app.model.parts import Outcome, Part
from app.model.traffic import DeliveryStatus, MediaPart
from app.rules.content import Deliver, Fail, captions, fit, left_out, misfit, named, smaller
from app.rules.receipts import FINAL, RANK

PARTS_MAX = 50
"""More messages than these are sent to nobody at once."""


def in_parts(channel: str, body: str | None, media: Sequence[MediaPart]) -> Deliver | Fail:
    """What a message becomes on this channel, in one message of it or in several; total, never
    raises. What no message can carry is named in `dropped`."""
    whole = fit(channel, body, media, "relaxed")
    facts = FACTS.get("mms" if media and channel == "sms" else channel)
    if facts is None or facts.text_beside_media:
        return whole
    if isinstance(whole, Deliver) and whole.dropped is None:
        return whole
    files, rest = _files(facts, media)
    parts = _with_text(facts, channel, body or "", media, files)
    if len(parts) < 2:
        return whole
    if len(parts) > PARTS_MAX:
        reason = f"the message takes {len(parts)} messages of the channel, {PARTS_MAX} at most"
        return Fail(facts.name, facts.body_too_long_code, reason)
    words, taken = parts[0].of(body, media)
    first = Deliver(parts[0].channel, words, tuple(smaller(facts, one) for one in taken))
    return Deliver(first.channel, first.body, first.media, left_out(None, rest), parts=parts)


def folded(outcomes: Sequence[Outcome]) -> DeliveryStatus:
    """How the whole fares: as far as all its parts are, or failed as soon as one has."""
    statuses: list[DeliveryStatus] = [one["status"] for one in outcomes]
    return next((one for one in statuses if one in FINAL), min(statuses, key=RANK.__getitem__))


def _files(facts: ChannelFacts, media: Sequence[MediaPart]) -> tuple[list[list[int]], list[str]]:
    """The places of the files that fit, those of one message together; the names of the others."""
    groups: list[list[int]] = []
    rest: list[str] = []
    room = 0
    for at, part in enumerate(media):
        part = smaller(facts, part)
        size = part.size or 0
        if misfit(facts, part, relaxed=True) or size > facts.media_total_bytes_max:
            rest.append(named(at + 1, part))
            continue
        if not groups or len(groups[-1]) == facts.media_max or size > room:
            groups.append([])
            room = facts.media_total_bytes_max
        groups[-1].append(at)
        room -= size
    return groups, rest


def _with_text(
    facts: ChannelFacts,
    channel: str,
    body: str,
    media: Sequence[MediaPart],
    files: Sequence[Sequence[int]],
) -> tuple[Part, ...]:
    """The files and the text; where it stands alone, text goes on the channel that was asked for:
    what was made an mms for its files is an sms again."""
    parts = [Part(facts.name, tuple(group)) for group in files]
    if not body:
        return tuple(parts)
    if files and captions(facts, media[files[0][0]], body):
        return (Part(facts.name, tuple(files[0]), 0, len(body)), *parts[1:])
    cut = pieces(body, _chars_max(FACTS[channel], body))
    return (*parts, *(Part(channel, (), start, end) for start, end in cut))


def _chars_max(facts: ChannelFacts, body: str) -> int:
    """How long a piece of this text may be: where bytes count, as if all of it were as wide as its
    widest character."""
    if facts.body_bytes_max is None:
        return facts.body_chars_max_relaxed
    width = max(len(char.encode()) for char in set(body))
    return min(facts.body_chars_max_relaxed, facts.body_bytes_max // width)
