"""When a failed attempt is tried again, or that it is not: then it is a dead letter."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta


def next_attempt(
    attempt_number: int,
    now: datetime,
    waits_s: Sequence[float],
    jitter: float,
    random: float,
    retry_after_s: float | None = None,
    retry_after_max_s: float = 3600.0,
) -> datetime | None:
    """When to try again after attempt `attempt_number` (from 1) failed; None: a dead letter.

    The wait is `waits_s[attempt_number - 1]` varied by +-`jitter` (a fraction) as `random` in
    [0, 1) says. Where the other side named a wait (`retry_after_s`, RFC 9110 10.2.3; believed up
    to `retry_after_max_s`) it is not tried before that, but up to `jitter` later, so that what
    was turned away together does not come back together.
    """
    if attempt_number > len(waits_s):
        return None
    wait = waits_s[attempt_number - 1] * (1 + jitter * (2 * random - 1))
    if retry_after_s is not None:
        wait = max(wait, min(retry_after_s, retry_after_max_s) * (1 + jitter * random))
    return now + timedelta(seconds=wait)


def pause_until(
    count: int,
    now: datetime,
    pauses_s: Sequence[float],
    jitter: float,
    random: float,
    retry_after_s: float | None = None,
    retry_after_max_s: float = 3600.0,
) -> datetime:
    """Until when somebody who fails is left alone, for the `count`-th time in a row (from 1); the
    last pause is repeated. Jitter and a named wait as for `next_attempt`."""
    last = min(count, len(pauses_s)) - 1
    wait = pauses_s[last] * (1 + jitter * (2 * random - 1))
    if retry_after_s is not None:
        wait = max(wait, min(retry_after_s, retry_after_max_s) * (1 + jitter * random))
    return now + timedelta(seconds=wait)
