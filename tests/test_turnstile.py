"""The turnstile: few at once, in order, nobody kept who need not be."""

from __future__ import annotations

import asyncio

import pytest

from app.turnstile import Turnstile


async def test_few_go_through_in_a_turn_and_nobody_overtakes() -> None:
    turnstile, through = Turnstile(2), list[int]()

    async def go(number: int) -> None:
        await turnstile.enter()
        through.append(number)

    tasks = [asyncio.ensure_future(go(number)) for number in range(5)]
    seen: list[int] = []
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0)
        seen.append(len(through))
    assert through == [0, 1, 2, 3, 4]
    assert max(after - before for before, after in zip([0, *seen], seen, strict=False)) == 2


async def test_where_few_are_nobody_waits() -> None:
    turnstile = Turnstile(2)
    for _ in range(2):
        with pytest.raises(StopIteration):
            turnstile.enter().send(None)
    third = turnstile.enter()
    assert third.send(None) is not None
    third.close()


async def test_who_gives_up_takes_nobodys_place() -> None:
    turnstile = Turnstile(1)
    await turnstile.enter()
    waiting = [asyncio.ensure_future(turnstile.enter()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    async with asyncio.timeout(10):
        await asyncio.gather(*waiting[1:])


async def test_it_opens_again_when_all_are_through() -> None:
    turnstile = Turnstile(1)
    async with asyncio.timeout(10):
        for _ in range(20):
            await turnstile.enter()
