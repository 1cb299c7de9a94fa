"""A sender that is told to send less waits as a whole, and uses up no attempts by it."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from tests.road.test_pauses import LAB, PHONES, until
from tests.support.clock import AheadClock
from tests.support.house import House, house
from tests.support.settings import WHATSAPP

ANN = "whatsapp:+15551230001"
TOO_MANY: dict[str, Any] = {"refuse": "temporary", "code": 20429, "retry_after_s": 30}
DELIVERY = {"waits_s": [0.02] * 9, "timeout_s": 2}
WAITING = """
SELECT count(*) = $1 FROM lanes WHERE kind = 'delivery' AND due > $2 AND lease IS NULL
"""
ASKED = "SELECT sum(attempts) FROM outbox WHERE kind = 'delivery'"
LEFT = "SELECT count(*) < $1 FROM outbox WHERE kind = 'delivery'"
REASONS = "SELECT DISTINCT detail FROM attempts WHERE outcome = 'postponed'"


async def all_wait(sql: asyncpg.Connection, clock: AheadClock, count: int = len(PHONES)) -> None:
    await until(lambda: sql.fetchval(WAITING, count, clock.now()))


async def written_to(one: House, sql: asyncpg.Connection, clock: AheadClock) -> None:
    """Somebody is written to, and the sender told to send less; then so are all others."""
    chats = [await one.conversation(phone) for phone in PHONES]
    one.world.behave(**TOO_MANY)
    await one.say(chats[0], "hello")
    await all_wait(sql, clock, 1)
    await asyncio.gather(*(one.say(ch, "hello") for ch in chats[1:]))
    await all_wait(sql, clock)


def refusals(one: House) -> int:
    return int(one.world.counts["refuse"])


async def all_got_it(one: House) -> None:
    phones = [one.world.phone(phone) for phone in PHONES]
    await one.world.until(lambda: all(phone.received for phone in phones))
    assert all([got.body for got in phone.received] == ["hello"] for phone in phones)


async def test_who_has_not_been_turned_away_waits_too_and_other_senders_do_not(
    dsn: str, sql: asyncpg.Connection
) -> None:
    clock = AheadClock()
    async with house(dsn, None, clock, delivery=DELIVERY, carriers=LAB) as one:
        await written_to(one, sql, clock)
        assert (refusals(one), await sql.fetchval(ASKED)) == (1, 1)
        reasons = [row[0] for row in await sql.fetch(REASONS)]
        assert reasons == ["lab told the sender to wait"]
        one.world.behave(refuse=None)
        theirs = await one.conversation(ANN, WHATSAPP)
        await one.say(theirs, "hello")
        await one.world.until(lambda: bool(one.world.phone(ANN).received))
        await all_wait(sql, clock)
        clock.ahead_s += 45
        one.service.runtime.wakes.ring("delivery")
        await until(lambda: sql.fetchval(LEFT, len(PHONES)))
        clock.ahead_s += 5  # those that waited for what the first was told
        await all_got_it(one)


async def test_while_it_lasts_one_asks_each_time(dsn: str, sql: asyncpg.Connection) -> None:
    """Only the one that asks uses up an attempt."""
    clock = AheadClock()
    async with house(dsn, None, clock, delivery=DELIVERY, carriers=LAB) as one:
        await written_to(one, sql, clock)
        for count in range(2, 8):
            clock.ahead_s += 45
            one.service.runtime.wakes.ring("delivery")
            await until(lambda count=count: _is(refusals(one) == count))
            await all_wait(sql, clock)
        assert (refusals(one), await sql.fetchval(ASKED)) == (7, 7)
        one.world.behave(refuse=None)
        clock.ahead_s += 45
        one.service.runtime.wakes.ring("delivery")
        await until(lambda: sql.fetchval(LEFT, len(PHONES)))
        clock.ahead_s += 5
        await all_got_it(one)
        assert one.world.records.doubles() == []


async def _is(what: bool) -> bool:
    return what
