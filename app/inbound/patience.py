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
GRAIN_S = 0.05
"""Times are cut down to multiples of this: what is due between two is given up on at the first."""


class Late(TimeoutError):
    """It is not known yet what became of it."""

    def __init__(self) -> None:
        super().__init__("not committed in time")


def answer_s(patience_s: float | None) -> float | None:
    """Within what a door answers somebody who waits that long."""
    if patience_s is None:
        return None
    return patience_s - min(patience_s * ON_THE_WAY, ON_THE_WAY_MAX_S)


class Patience:
    """Waits for futures, but not for ever. One timer is for all that are due at nearly the same
    time: a timer of its own would cost each request as much as its signature does."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()  # to ask for it is a system call
        self._due: dict[int, set[asyncio.Future[Any]]] = {}

    async def outcomes(
        self, futures: Sequence[asyncio.Future[T]], left_s: float | None
    ) -> list[T | Exception]:
        """What became of each, of those that failed the error. Raises Late when that takes longer,
        or up to GRAIN_S sooner (at once, when no more is left): then every future is settled, and
        the items of convoys that are still on their way are walked."""
        found: list[T | Exception] = []
        due = self._due_in(left_s)
        due.update(futures)
        try:
            for one in futures:
                outcome = await _outcome(one)
                found.append(outcome)
        finally:
            due.difference_update(futures)
            for one in futures[len(found) :]:  # we are cancelled
                one.add_done_callback(_unheard)
        late = next((one for one in found if isinstance(one, Late)), None)
        if late is not None:
            raise late
        return found

    def _due_in(self, left_s: float | None) -> set[asyncio.Future[Any]]:
        """Those that are given up on in so many seconds; None: never."""
        if left_s is None:
            return set()
        grain = int((self._loop.time() + left_s) / GRAIN_S)
        due = self._due.get(grain)
        if due is None:
            due = self._due[grain] = set()
            self._loop.call_at(grain * GRAIN_S, self._give_up, grain)
        return due

    def _give_up(self, grain: int) -> None:
        for one in self._due.pop(grain):
            if not one.done():
                one.set_exception(Late())


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
