"""Turns: order, bounds, names that do not mind each other."""

from __future__ import annotations

import asyncio

import pytest

from app.errors import Unavailable
from app.turns import Turns


class Room:
    """Somebody comes in for each turn and stays until the door opens."""

    def __init__(self, turns: Turns) -> None:
        self.turns = turns
        self.door = asyncio.Event()
        self.inside: list[str] = []

    async def visit(self, who: str, name: str = "a", at_once: int = 2, waiting: int = 2) -> None:
        async with self.turns.take(name, at_once, waiting):
            self.inside.append(who)
            await self.door.wait()


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_so_many_go_at_once_and_the_others_follow_in_order() -> None:
    room = Room(Turns())
    async with asyncio.TaskGroup() as group:
        for who in "abcd":
            group.create_task(room.visit(who))
        await settle()
        assert room.inside == ["a", "b"]
        room.door.set()
    assert room.inside == ["a", "b", "c", "d"]


async def test_who_finds_too_many_waiting_is_told_so() -> None:
    room = Room(Turns())
    async with asyncio.TaskGroup() as group:
        for who in "abcd":
            group.create_task(room.visit(who))
        await settle()
        with pytest.raises(Unavailable):
            await room.visit("e")
        room.door.set()
    assert "e" not in room.inside


async def test_names_do_not_mind_each_other() -> None:
    room = Room(Turns())
    async with asyncio.TaskGroup() as group:
        for name in "ab":
            group.create_task(room.visit(name, name, at_once=1))
        await settle()
        assert room.inside == ["a", "b"]
        room.door.set()


async def test_who_gives_up_leaves_the_line() -> None:
    turns = Turns()
    room = Room(turns)
    async with asyncio.TaskGroup() as group:
        group.create_task(room.visit("a", at_once=1, waiting=1))
        await settle()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await room.visit("b", at_once=1, waiting=1)
        late = group.create_task(room.visit("c", at_once=1, waiting=1))
        await settle()
        assert not late.done()
        room.door.set()
    assert room.inside == ["a", "c"]


async def test_a_line_that_nobody_stands_in_is_forgotten() -> None:
    turns = Turns()
    for at_once in (1, 3):  # the second one finds a line of its own kind
        room = Room(turns)
        async with asyncio.TaskGroup() as group:
            for who in "abc":
                group.create_task(room.visit(who, at_once=at_once))
            await settle()
            assert len(room.inside) == at_once
            room.door.set()
