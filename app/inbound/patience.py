"""How long carriers wait for an answer, and waiting no longer than they do.

Who is told that it takes too long comes again. What it brought keeps its place meanwhile, and goes
on: the next try is a duplicate of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, TypeVar

T = TypeVar("T")

ON_THE_WAY, ON_THE_WAY_MAX_S = 0.25, 1.0
"""How much of a carrier's patience is left for the request's and the answer's way."""


class Late(TimeoutError):
    """It is not known yet what became of it."""

    def __init__(self) -> None:
        super().__init__("not committed in time")


def answer_s(patience_s: float | None) -> float | None:
    """Within what a door answers somebody who waits that long."""
    if patience_s is None:
        return None
    return patience_s - min(patience_s * ON_THE_WAY, ON_THE_WAY_MAX_S)


async def outcomes(
    futures: Sequence[asyncio.Future[T]], left_s: float | None
) -> list[T | Exception]:
    """What became of each, of those that failed the error. Raises Late when that takes longer: then
    every future is settled, and the items of convoys that are still on their way are walked."""
    found: list[T | Exception] = []
    timers: Sequence[asyncio.TimerHandle] = ()
    if left_s is not None and futures:
        later = futures[0].get_loop().call_later  # to ask for the running one is a system call
        timers = [later(left_s, _give_up, one) for one in futures if not one.done()]
    try:
        for one in futures:
            outcome = await _outcome(one)
            found.append(outcome)
    finally:
        for timer in timers:
            timer.cancel()
        for one in futures[len(found) :]:  # we are cancelled
            one.add_done_callback(_unheard)
    late = next((one for one in found if isinstance(one, Late)), None)
    if late is not None:
        raise late
    return found


async def _outcome(future: asyncio.Future[T]) -> T | Exception:
    try:
        return await future
    except Exception as error:
        return error
    finally:
        del future  # else it and its error would keep each other


def _unheard(future: asyncio.Future[Any]) -> None:
    if not future.cancelled():
        future.exception()


def _give_up(future: asyncio.Future[Any]) -> None:
    if not future.done():
        future.set_exception(Late())
