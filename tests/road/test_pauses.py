"""Carriers that fail are left alone; their lanes wait, and nothing is lost or doubled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import asyncpg

from app.observe import CarrierPaused, CarrierResumed, Observation, Observe
from app.store import carrier_pauses
from tests.support.clock import AheadClock
from tests.support.house import House, house

PHONES = [f"+1555123{n:04d}" for n in range(8)]
DELIVERY = {"waits_s": [0.02] * 30, "timeout_s": 2, "pause_after": 3, "pauses_s": [60, 600]}
LAB = {"lab": {"kind": "sandbox", "secret": "s", "look_up_after_s": 0.02}}
HELD = "SELECT count(*) FROM lanes WHERE kind = 'held'"


class Seen:
    """What was observed of carriers."""

    def __init__(self) -> None:
        self.turns: list[CarrierPaused | CarrierResumed] = []
        self.observe = Observe()
        self.observe.to(self._take)

    def _take(self, observation: Observation) -> None:
        if isinstance(observation, CarrierPaused | CarrierResumed):
            self.turns.append(observation)

    @property
    def words(self) -> list[str]:
        return [type(turn).__name__.removeprefix("Carrier") for turn in self.turns]


async def until(found: Callable[[], Any]) -> Any:
    """Ask again until the answer is one."""
    async with asyncio.timeout(15):
        while not (answer := await found()):
            await asyncio.sleep(0.01)
    return answer


async def paused(one: House) -> dict[str, str]:
    """What /readyz says of carriers; the process stays ready."""
    ready = await one.get("/readyz")
    assert ready["ready"] is True
    said: dict[str, str] = ready["paused_carriers"]
    return said


async def fail(one: House, count: int = len(PHONES)) -> None:
    """Nobody gets through to the carrier; so many people are written to, twice."""
    chats = [await one.conversation(phone) for phone in PHONES[:count]]
    one.world.behave(cut="before", statuses=False)
    for body in ("first", "second"):
        await asyncio.gather(*(one.say(ch, body) for ch in chats))


def got(one: House, phone: str) -> list[str]:
    return [received.body or "" for received in one.world.phone(phone).received]


async def all_got_both(one: House, count: int = len(PHONES)) -> None:
    await one.world.until(lambda: all(len(got(one, phone)) == 2 for phone in PHONES[:count]))
    assert all(got(one, phone) == ["first", "second"] for phone in PHONES[:count])
    assert one.world.records.doubles() == []


async def test_a_carrier_that_fails_is_left_alone_until_one_send_is_answered(
    dsn: str, sql: asyncpg.Connection
) -> None:
    clock, seen = AheadClock(), Seen()
    async with house(dsn, seen.observe, clock, delivery=DELIVERY, carriers=LAB) as one:
        await fail(one)
        said = (await until(lambda: paused(one)))["lab"]
        assert said.endswith(": the sandbox's answer was lost")
        await until(lambda: sql.fetchval(f"SELECT ({HELD}) = {len(PHONES)}"))
        attempts = await sql.fetchval("SELECT sum(attempts) FROM outbox")
        sends = one.world.counts["cut_before"]
        one.world.behave(cut=None)
        clock.ahead_s += 30
        one.service.runtime.wakes.ring("delivery")
        await until(lambda: sql.fetchval(f"SELECT ({HELD}) = {len(PHONES)}"))
        assert one.world.counts["cut_before"] == sends
        assert await sql.fetchval("SELECT sum(attempts) FROM outbox") == attempts
        metrics = await text(one, "/metrics")
        assert 'parley_carrier_pauses_total{carrier="lab"} 1.0' in metrics
        clock.ahead_s += 60
        await all_got_both(one)
        assert seen.words == ["Paused", "Resumed"]
        assert await paused(one) == {}


async def test_while_it_still_fails_one_send_is_let_through_after_each_pause(
    dsn: str, sql: asyncpg.Connection
) -> None:
    clock, seen = AheadClock(), Seen()
    async with house(dsn, seen.observe, clock, delivery=DELIVERY, carriers=LAB) as one:
        await fail(one)
        await until(lambda: sql.fetchval(f"SELECT ({HELD}) = {len(PHONES)}"))
        sends = one.world.counts["cut_before"]
        for count in (2, 3):
            clock.ahead_s += 800
            await until(lambda count=count: _is(len(seen.turns) == count))
            assert one.world.counts["cut_before"] == sends + count - 1
        assert [turn.pauses for turn in seen.turns if isinstance(turn, CarrierPaused)] == [1, 2, 3]
        one.world.behave(cut=None)
        clock.ahead_s += 800
        await all_got_both(one)


async def test_a_carrier_that_does_not_let_us_in_is_left_alone_too(
    dsn: str, sql: asyncpg.Connection
) -> None:
    """A token was changed there: everything waits until the new one is written here."""
    clock, seen = AheadClock(), Seen()
    async with house(dsn, seen.observe, clock, delivery=DELIVERY, carriers=LAB) as one:
        chats = [await one.conversation(phone) for phone in PHONES]
        one.world.behave(refuse="temporary", code=20003)
        for body in ("first", "second"):
            await asyncio.gather(*(one.say(ch, body) for ch in chats))
        assert "20003" in (await until(lambda: paused(one)))["lab"]
        await until(lambda: sql.fetchval(f"SELECT ({HELD}) = {len(PHONES)}"))
        one.world.behave(refuse=None)
        clock.ahead_s += 90
        await all_got_both(one)
        assert seen.words == ["Paused", "Resumed"]


async def test_what_is_said_of_single_recipients_is_not_the_carriers_fault(dsn: str) -> None:
    seen = Seen()
    delivery = DELIVERY | {"waits_s": [0.02] * 3}
    async with house(dsn, seen.observe, delivery=delivery, carriers=LAB) as one:
        chats = [await one.conversation(phone) for phone in PHONES]
        for refuse in ("temporary", "permanent"):
            one.world.behave(refuse=refuse, code=30003)
            messages = await asyncio.gather(*(one.say(ch, refuse) for ch in chats))
            for message in messages:
                await until(lambda message=message: failed(one, message))
        assert seen.turns == []


async def test_one_answer_between_keeps_it_going(dsn: str) -> None:
    """Fewer lanes than `pause_after` fail, and what fails again and again is one lane."""
    seen = Seen()
    async with house(dsn, seen.observe, delivery=DELIVERY, carriers=LAB) as one:
        chats = [await one.conversation(phone) for phone in PHONES[:3]]
        for phone in PHONES[:2]:
            one.world.behave(phone, cut="before", statuses=False, times=12)
        for ch in chats:
            await one.say(ch, "first")
            await one.say(ch, "second")
        await all_got_both(one, 3)
        assert seen.turns == []


async def test_a_pause_outlives_the_process_and_so_do_the_lanes_that_wait(
    dsn: str, sql: asyncpg.Connection
) -> None:
    clock, seen = AheadClock(), Seen()
    async with house(dsn, delivery=DELIVERY, carriers=LAB) as one:
        await fail(one, 4)
        await until(lambda: sql.fetchval(f"SELECT ({HELD}) = 4"))
    async with house(dsn, seen.observe, clock, delivery=DELIVERY, carriers=LAB) as one:
        assert "lab" in await paused(one)
        assert one.world.counts["cut_before"] == 0
        clock.ahead_s += 120
        await all_got_both(one, 4)
        assert seen.words == ["Resumed"]


async def test_lanes_that_wait_for_a_route_that_is_declared_no_more_go_on(
    dsn: str, sql: asyncpg.Connection
) -> None:
    """They wait for the carrier that they have by now, if that is paused as well."""
    clock = AheadClock()
    async with house(dsn, None, clock, delivery=DELIVERY, carriers=LAB) as one:
        await fail(one, 4)
        await until(lambda: sql.fetchval(f"SELECT ({HELD}) = 4"))
        await sql.execute("UPDATE lanes SET endpoint = 'd:gone' WHERE kind = 'held'")
        one.world.behave(cut=None)
        await until(lambda: sql.fetchval(f"SELECT ({HELD} AND endpoint = 'd:lab') = 4"))
        clock.ahead_s += 120
        await all_got_both(one, 4)


async def test_questions_of_pauses_are_answered_from_indexes(sql: asyncpg.Connection) -> None:
    await sql.execute(
        "INSERT INTO lanes (lane, kind, due, endpoint)"
        " SELECT 'd:' || n, CASE WHEN n % 10 = 0 THEN 'held' ELSE 'delivery' END, now(),"
        " 'd:lab' || n % 3 FROM generate_series(1, 20000) n"
    )
    await sql.execute("ANALYZE lanes")
    now = datetime.now(UTC)
    given: dict[str, tuple[Any, ...]] = {
        carrier_pauses.ROUTES: (),
        carrier_pauses.FREE: (["d:lab1"], 10),
        carrier_pauses.HOLD: (["d:1", "d:2"], now),
    }
    for statement, values in given.items():
        async with sql.transaction():
            rows = await sql.fetch(f"EXPLAIN {statement}", *values)
        plan = "\n".join(row[0] for row in rows)
        assert "Seq Scan" not in plan, plan
    assert await carrier_pauses.routes(sql) == ["d:lab0", "d:lab1", "d:lab2"]
    freed = await carrier_pauses.free(sql, ["d:lab1", "d:lab2"], 10)
    assert len(freed) == 20


async def failed(one: House, message: dict[str, Any]) -> bool:
    return bool((await one.receipts(message))[0]["status"] == "failed")


async def text(one: House, path: str) -> str:
    async with one.http.get(one.service.url + path) as response:
        return await response.text()


async def _is(what: bool) -> bool:
    return what
