"""Convoys: order, poison, bounds, closing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from app.convoy import Convoy
from app.errors import Invalid, Unavailable


class Recorder:
    """A walk that remembers its convoys; strings beginning with ! are poison."""

    def __init__(self) -> None:
        self.convoys: list[list[str]] = []
        self.away = False

    async def __call__(self, items: Sequence[str]) -> Sequence[str | Exception]:
        self.convoys.append(list(items))
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable("away")
        if any(item.startswith("!") for item in items):
            raise RuntimeError("poison")
        return [Invalid(1, item) if item.startswith("?") else item.upper() for item in items]


async def walked(
    items: Sequence[str], recorder: Recorder, longest: int = 3
) -> list[str | BaseException]:
    convoy: Convoy[str, str] = Convoy(recorder, longest=longest, waiting_max=100)
    futures = [convoy.enqueue(item) for item in items]
    async with asyncio.TaskGroup() as group:
        group.create_task(convoy.run())
        results = await asyncio.gather(*futures, return_exceptions=True)
        convoy.close()
    return results


async def test_all_that_wait_go_together_in_their_order() -> None:
    recorder = Recorder()
    assert await walked("abcde", recorder) == ["A", "B", "C", "D", "E"]
    assert recorder.convoys == [["a", "b", "c"], ["d", "e"]]


async def test_poison_is_found_by_walking_one_by_one() -> None:
    recorder = Recorder()
    good, bad, other = await walked(["a", "!", "c"], recorder)
    assert (good, other) == ("A", "C")
    assert isinstance(bad, RuntimeError)
    assert recorder.convoys == [["a", "!", "c"], ["a"], ["!"], ["c"]]


async def test_a_refusal_concerns_its_item_alone() -> None:
    first, refused, last = await walked(["a", "?b", "c"], Recorder())
    assert (first, last) == ("A", "C")
    assert isinstance(refused, Invalid)


async def test_when_the_database_is_away_nobody_walks_again() -> None:
    recorder = Recorder()
    recorder.away = True
    results = await walked(["a", "b"], recorder)
    assert all(isinstance(result, Unavailable) for result in results)
    assert len(recorder.convoys) == 1


async def test_a_full_or_closed_convoy_takes_nothing() -> None:
    convoy: Convoy[str, str] = Convoy(Recorder(), longest=3, waiting_max=1)
    waiting = convoy.enqueue("a")
    with pytest.raises(Unavailable):
        convoy.enqueue("b")
    waiting.cancel()
    convoy.close()
    with pytest.raises(Unavailable):
        await convoy.submit("c")
    await convoy.run()


async def test_who_stopped_waiting_is_left_behind() -> None:
    recorder = Recorder()
    convoy: Convoy[str, str] = Convoy(recorder, longest=3, waiting_max=10)
    gone, stays = convoy.enqueue("gone"), convoy.enqueue("stays")
    gone.cancel()
    async with asyncio.TaskGroup() as group:
        group.create_task(convoy.run())
        assert await stays == "STAYS"
        convoy.close()
    assert recorder.convoys == [["stays"]]


async def test_who_waits_when_it_is_cancelled_is_told_to_try_again() -> None:
    recorder = Recorder()
    convoy: Convoy[str, str] = Convoy(recorder, longest=1, waiting_max=10)
    futures = [convoy.enqueue(item) for item in "abc"]
    running = asyncio.get_running_loop().create_task(convoy.run())
    while not recorder.convoys:
        await asyncio.sleep(0)
    running.cancel()
    results = await asyncio.gather(*futures, running, return_exceptions=True)
    assert [type(result) for result in results] == [*[Unavailable] * 3, asyncio.CancelledError]
    with pytest.raises(Unavailable):
        await convoy.submit("d")
