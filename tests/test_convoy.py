"""Convoys: order, poison, bounds, closing."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from random import Random

import pytest
import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st

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


class Gated:
    """Walks that arrive when they are let through; `under_way` are those that did not yet."""

    def __init__(self) -> None:
        self.under_way: dict[str, asyncio.Future[None]] = {}
        self.arrived: list[str] = []

    async def __call__(self, items: Sequence[str]) -> Sequence[str | Exception]:
        convoy = " ".join(items)
        gate = self.under_way[convoy] = asyncio.get_running_loop().create_future()
        try:
            await gate
        finally:
            del self.under_way[convoy]
        self.arrived += items
        return [item.upper() for item in items]

    async def departed(self, count: int) -> None:
        """Wait until so many are under way."""
        async with asyncio.timeout(10):
            while len(self.under_way) < count:
                await asyncio.sleep(0)

    def let(self, convoy: str) -> None:
        """This one arrives."""
        self.under_way[convoy].set_result(None)


async def settled() -> None:
    """Everybody who can go on has done so."""
    for _ in range(20):
        await asyncio.sleep(0)


def submitted(convoy: Convoy[str, str], item: str) -> asyncio.Future[str]:
    """What `submit` waits for, by now."""
    step = convoy.submit(item).__await__()
    found = next(step)
    assert isinstance(found, asyncio.Future)
    return found


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
    gone, stays = submitted(convoy, "gone"), convoy.enqueue("stays")
    gone.cancel()
    async with asyncio.TaskGroup() as group:
        group.create_task(convoy.run())
        assert await stays == "STAYS"
        convoy.close()
    assert recorder.convoys == [["stays"]]


async def test_who_was_told_something_else_meanwhile_keeps_its_place() -> None:
    gated = Gated()
    convoy: Convoy[str, str] = Convoy(gated, longest=1, waiting_max=10)
    waiting = [convoy.enqueue(item) for item in "abc"]
    walking = asyncio.ensure_future(convoy.run())
    await gated.departed(1)
    for one in waiting[:2]:  # under way, and still waiting
        one.set_exception(TimeoutError())
        assert isinstance(one.exception(), TimeoutError)
    for item in "abc":
        await gated.departed(1)
        gated.let(item)
        await settled()
    assert (await waiting[2], gated.arrived) == ("C", ["a", "b", "c"])
    convoy.close()
    await walking


async def test_those_who_stopped_waiting_take_nobody_s_place() -> None:
    recorder = Recorder()
    convoy: Convoy[str, str] = Convoy(recorder, longest=2, waiting_max=10)
    gone = [submitted(convoy, item) for item in "abc"]
    stays = [convoy.enqueue(item) for item in "de"]
    for one in gone:
        one.cancel()
    async with asyncio.TaskGroup() as group:
        group.create_task(convoy.run())
        assert await asyncio.gather(*stays) == ["D", "E"]
        submitted(convoy, "f").cancel()
        assert await convoy.submit("g") == "G"
        submitted(convoy, "h").cancel()
        await settled()
        convoy.close()
    assert recorder.convoys == [["d", "e"], ["g"]]


async def test_who_waits_when_it_is_cancelled_is_told_to_try_again() -> None:
    walker = Gated()
    convoy: Convoy[str, str] = Convoy(walker, longest=1, waiting_max=10)
    futures = [convoy.enqueue(item) for item in "abc"]
    running = asyncio.get_running_loop().create_task(convoy.run())
    await walker.departed(1)
    running.cancel()
    results = await asyncio.gather(*futures, running, return_exceptions=True)
    assert [type(result) for result in results] == [*[Unavailable] * 3, asyncio.CancelledError]
    with pytest.raises(Unavailable):
        await convoy.submit("d")


async def test_what_is_of_one_order_waits_and_others_go_beside_it() -> None:
    walker = Gated()
    convoy: Convoy[str, str] = Convoy(
        walker, walker, longest=2, waiting_max=20, order=lambda item: item[0], beside=2
    )
    async with asyncio.TaskGroup() as group:
        first = [convoy.enqueue(item) for item in ("a1", "a2", "a3")]
        group.create_task(convoy.run())
        await walker.departed(1)
        alone = convoy.enqueue("b1")
        await settled()
        assert set(walker.under_way) == {"a1 a2"}  # one is too few for a convoy beside it
        second = convoy.enqueue("c1")
        last = convoy.enqueue("a4")
        await walker.departed(2)
        assert set(walker.under_way) == {"a1 a2", "b1 c1"}
        walker.let("b1 c1")
        assert [await alone, await second] == ["B1", "C1"]
        await settled()
        assert set(walker.under_way) == {"a1 a2"}
        walker.let("a1 a2")
        assert [await one for one in first[:2]] == ["A1", "A2"]
        await walker.departed(1)
        assert set(walker.under_way) == {"a3 a4"}
        walker.let("a3 a4")
        assert [await first[2], await last] == ["A3", "A4"]
        convoy.close()


@given(
    orders=st.lists(st.sampled_from("abcde"), max_size=60),
    walkers=st.integers(1, 4),
    longest=st.integers(1, 5),
    beside=st.integers(1, 6),
    seed=st.integers(0, 2**32),
)
@settings(deadline=None, max_examples=60)
async def test_whatever_waits_each_order_goes_as_it_came_and_all_arrive(
    orders: list[str], walkers: int, longest: int, beside: int, seed: int
) -> None:
    draw = Random(seed).randrange
    arrived: list[str] = []
    under_way: list[str] = []

    async def walk(items: Sequence[str]) -> Sequence[str | Exception]:
        assert not {item[0] for item in items} & {item[0] for item in under_way}
        assert 0 < len(items) <= longest
        assert [int(item[1:]) for item in items] == sorted(int(item[1:]) for item in items)
        under_way.extend(items)
        for _ in range(draw(5)):
            await asyncio.sleep(0)
        for item in items:
            under_way.remove(item)
        arrived.extend(items)
        return list(items)

    convoy: Convoy[str, str] = Convoy(
        *[walk] * walkers, longest=longest, waiting_max=100, order=lambda i: i[0], beside=beside
    )
    items = [f"{order}{number}" for number, order in enumerate(orders)]
    async with asyncio.TaskGroup() as group:
        group.create_task(convoy.run())
        futures = []
        for item in items:
            futures.append(convoy.enqueue(item))
            for _ in range(draw(3)):
                await asyncio.sleep(0)
        assert await asyncio.gather(*futures) == items
        convoy.close()
    assert sorted(arrived) == sorted(items)
    for order in "abcde":
        mine = [item for item in items if item[0] == order]
        assert [item for item in arrived if item[0] == order] == mine


async def test_nobody_waits_long_for_others_while_a_walker_is_free() -> None:
    walker = Gated()
    convoy: Convoy[str, str] = Convoy(
        walker, walker, longest=9, waiting_max=9, order=lambda item: item, beside=5
    )
    async with asyncio.TaskGroup() as group:
        group.create_task(convoy.run())
        held = convoy.enqueue("held")
        await walker.departed(1)
        other = convoy.enqueue("other")
        async with asyncio.timeout(10):
            while "other" not in walker.under_way:
                await asyncio.sleep(0)
        walker.let("other")
        assert await other == "OTHER"
        walker.let("held")
        assert await held == "HELD"
        convoy.close()


async def test_a_walker_that_nobody_wants_rests_until_somebody_comes() -> None:
    recorder, rested = Recorder(), asyncio.Event()

    async def rest() -> None:
        rested.set()

    convoy: Convoy[str, str] = Convoy(recorder, longest=3, waiting_max=10, rests=[rest])
    async with asyncio.TaskGroup() as group, asyncio.timeout(10):
        group.create_task(convoy.run())
        assert await convoy.submit("a") == "A"
        await rested.wait()
        assert await convoy.submit("b") == "B"
        convoy.close()


async def test_who_will_soon_leave_again_is_busy() -> None:
    gated = Gated()
    convoy: Convoy[str, str] = Convoy(gated, gated, longest=2, waiting_max=10, order=str)
    async with asyncio.TaskGroup() as group:
        group.create_task(convoy.run())
        first = convoy.enqueue("a")
        await gated.departed(1)
        assert not convoy.busy()
        second = convoy.enqueue("b")
        await gated.departed(2)
        assert convoy.busy()
        gated.let("a")
        gated.let("b")
        assert (await first, await second) == ("A", "B")
        convoy.close()


def test_nobody_waits_long_for_others_on_the_loop_of_production() -> None:
    """Its clock has milliseconds: who compares times with it may come a moment too early."""

    async def beside(after_s: float) -> None:
        gated = Gated()
        convoy: Convoy[str, str] = Convoy(
            gated, gated, longest=4, waiting_max=10, order=str, beside=3
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(convoy.run())
            first = convoy.enqueue("a")
            await gated.departed(1)
            await asyncio.sleep(after_s)
            second = convoy.enqueue("b")
            await gated.departed(2)
            gated.let("a")
            gated.let("b")
            assert (await first, await second) == ("A", "B")
            convoy.close()

    async def many() -> None:
        for number in range(40):
            await beside(number * 0.00037)

    uvloop.run(many())


async def test_those_who_are_left_behind_are_late_too() -> None:
    gated = Gated()
    convoy: Convoy[str, str] = Convoy(gated, gated, longest=2, waiting_max=10, order=str, beside=2)
    async with asyncio.TaskGroup() as group:
        group.create_task(convoy.run())
        waiting = [convoy.enqueue(item) for item in "abc"]
        await gated.departed(2)
        assert set(gated.under_way) == {"a b", "c"}
        gated.let("a b")
        gated.let("c")
        assert await asyncio.gather(*waiting) == ["A", "B", "C"]
        convoy.close()


async def test_a_walker_rests_while_another_one_is_busy() -> None:
    """It is woken for nothing again and again, and does not begin to wait anew each time."""
    rested: list[str] = []

    async def walk(items: Sequence[str]) -> Sequence[str | Exception]:
        await asyncio.sleep(0.005)
        return items

    async def rest() -> None:
        rested.append("rest")

    convoy: Convoy[str, str] = Convoy(
        walk, walk, longest=1, waiting_max=10, order=str, beside=2, rests=[rest, rest]
    )
    async with asyncio.TaskGroup() as group, asyncio.timeout(30):
        group.create_task(convoy.run())
        first = convoy.enqueue("a")
        await asyncio.sleep(0)
        await asyncio.gather(first, convoy.submit("b"), convoy.submit("c"))  # both have walked
        waiting = deque(convoy.enqueue(item) for item in "de")
        while not rested:
            await waiting.popleft()
            waiting.append(convoy.enqueue("f"))
        await asyncio.gather(*waiting)
        convoy.close()
