"""Files on their way out: carriers fetch them from us, by a URL that opens that one file for a
while.

A file of an inbound message that is still being fetched is waited for a little: its carrier's URL
may be of no use to another one. After that, it is given all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from app.media import links
from app.model.traffic import MediaPart
from app.runtime import Runtime

FETCHED_WITHIN_S = 60.0
SHORTEST_S, LONGEST_S = 0.5, 15.0


def wait_s(parts: Sequence[MediaPart], age_s: float) -> float:
    """How long to wait for what is being fetched; 0: no longer. `age_s` is how old the delivery
    is."""
    if age_s >= FETCHED_WITHIN_S or not any(part.pending for part in parts):
        return 0.0
    return min(LONGEST_S, max(SHORTEST_S, age_s))


def given(runtime: Runtime, parts: Sequence[MediaPart]) -> tuple[MediaPart, ...]:
    """These files as a carrier is given them. Raises Forbidden when there is no key to sign with:
    then there are no files of ours either."""
    return tuple(_given(runtime, part) for part in parts)


def _given(runtime: Runtime, part: MediaPart) -> MediaPart:
    if part.sid is None or part.pending:
        return part
    life = timedelta(seconds=runtime.settings.media.carrier_url_s)
    path = links.path(
        runtime.vault,
        part.sid,
        part.content_type,
        part.filename,
        until=runtime.clock.now() + life,
        bytes_max=part.bytes_max,
    )
    return replace(part, url=runtime.public_url + path)
