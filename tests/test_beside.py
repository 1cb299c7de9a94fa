"""Slow work beside the event loop: one piece at a time, accounts in turn, nobody waits for ever."""

from __future__ import annotations

import asyncio
import math
import threading
from collections.abc import Callable
from functools import partial

import pytest

from app.beside import WAITING_MAX, Beside, Crowded, Waiter


class Bench:
    """Work whose first piece stays under way until the test lets it end."""

    def __init__(self) -> None:
        self.beside = Beside()
        self.begun, self.goes_on = threading.Event(), threading.Event()
        self.made: list[str] = []

    def first(self) -> None:
        self.begun.set()
        assert self.goes_on.wait(20)
        self.made.append("first")

    def make(self, account: str, piece: str | None = None) -> asyncio.Task[None]:
        work = self.first if piece is None else partial(self.made.append, piece)
        return asyncio.create_task(self.beside.make(somebody(account), work))


def somebody(account: str, left_s: float = math.inf, name: str = "flow") -> Waiter:
    return Waiter(account, name, left_s)


async def until(said: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not said():
            await asyncio.sleep(0.001)


async def test_what_is_slow_of_one_account_holds_up_anothers_by_one_piece() -> None:
    bench = Bench()
    pieces = [bench.make("a")]
    await until(bench.begun.is_set)
    pieces += [bench.make("a", f"a{n}") for n in range(WAITING_MAX)]
    await asyncio.sleep(0)
    pieces += [bench.make("b", "b0"), bench.make("b", "b1")]
    await asyncio.sleep(0)
    bench.goes_on.set()
    await asyncio.gather(*pieces)
    assert bench.made[:5] == ["first", "b0", "a0", "b1", "a1"]
    assert len(bench.made) == len(pieces)


async def test_a_thread_that_nobody_waits_for_is_not_joined_by_another() -> None:
    bench = Bench()
    abandoned = bench.make("a")
    await until(bench.begun.is_set)
    abandoned.cancel()
    next_one = bench.make("a", "next")
    await asyncio.wait([abandoned])
    with pytest.raises(Crowded):
        await bench.beside.make(somebody("b", left_s=0), list)
    bench.goes_on.set()
    await next_one
    assert bench.made == ["first", "next"]


async def test_whoever_cannot_wait_any_more_is_told_so_and_takes_no_place() -> None:
    bench = Bench()
    assert await bench.beside.make(somebody("a", left_s=0), lambda: 1) == 1, "nobody is waited for"
    occupied = bench.make("a")
    await until(bench.begun.is_set)
    patient = somebody("b", left_s=0.02)
    for _ in range(2 * WAITING_MAX):
        with pytest.raises(Crowded):
            await bench.beside.make(patient, lambda: 1)
    assert patient.left_s == 0
    assert not bench.beside.full(patient)
    bench.goes_on.set()
    await occupied
    assert await bench.beside.make(patient, lambda: 1) == 1


async def test_so_many_of_an_account_wait_and_the_next_is_refused_at_once() -> None:
    bench = Bench()
    pieces = [bench.make("a")]
    await until(bench.begun.is_set)
    for n in range(WAITING_MAX):
        assert not bench.beside.full(somebody("a"))
        pieces.append(bench.make("a", str(n)))
        await asyncio.sleep(0)
    assert bench.beside.full(somebody("a"))
    assert not bench.beside.full(somebody("a", name="another flow, which may be quick"))
    assert not bench.beside.full(somebody("b"))
    with pytest.raises(Crowded):
        await bench.beside.make(somebody("a"), lambda: 1)
    bench.goes_on.set()
    await asyncio.gather(*pieces)
    assert not bench.beside.full(somebody("a"))


async def test_what_the_work_raises_is_raised_and_the_next_is_made() -> None:
    beside = Beside()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            await beside.make(somebody("a"), lambda: 1 // 0)
