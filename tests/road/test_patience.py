"""A carrier gives up waiting after a while: its door answers before, whatever the database does."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg
import pytest
from aiohttp import web

from app.convoy import Convoy
from app.inbound import patience
from tests.carriers.cases import KINDS, Wire, case
from tests.road.test_doors import Door, at_the_door
from tests.support.database import connected
from tests.support.serving import serving

PATIENCE_S = 1.0
WAITING = """
SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = 'parley'
"""


@asynccontextmanager
async def stalled(dsn: str, statement: str) -> AsyncIterator[None]:
    """Another connection holds a lock while the block runs."""
    async with connected(dsn) as sql, sql.transaction():
        await sql.execute(statement)
        yield


async def late(door: Door, wire: Wire) -> None:
    """The door does not know; the carrier is asked to come again."""
    async with door.knocked(wire) as response:
        assert (response.status, response.headers["Retry-After"]) == (503, "1")


def test_what_the_providers_document_is_known() -> None:
    known = {kind: case(kind).carrier().patience_s for kind in KINDS}
    assert known == {
        "bandwidth": 10,
        "email": None,
        "http": None,
        "meta": 5,
        "sandbox": 15,
        "telnyx": 2,
        "twilio": 15,
        "vonage": 15,
    }


async def test_one_of_several_that_takes_too_long_makes_all_of_them_late() -> None:
    loop = asyncio.get_running_loop()
    known, late, broken = (loop.create_future() for _ in range(3))
    known.set_result("known")
    broken.set_exception(ValueError("broken"))
    with pytest.raises(patience.Late):
        await patience.Patience().outcomes([known, late, broken], 0.01)
    assert isinstance(late.exception(), patience.Late)


async def test_what_fails_is_an_outcome_and_whatever_comes_in_time_is_waited_for() -> None:
    loop = asyncio.get_running_loop()
    known, broken = loop.create_future(), loop.create_future()
    loop.call_later(0.01, known.set_result, "known")
    loop.call_soon(broken.set_exception, ValueError("broken"))
    for left_s in (None, 30.0):
        first, second = await patience.Patience().outcomes([known, broken], left_s)
        assert (first, type(second)) == ("known", ValueError)
    assert await patience.Patience().outcomes([], 0.0) == []


async def test_it_is_up_to_a_grain_sooner_that_they_are_late_and_each_for_itself() -> None:
    loop, waiting = asyncio.get_running_loop(), patience.Patience()
    left_s = 4 * patience.GRAIN_S
    late, known, cancelled = (loop.create_future() for _ in range(3))
    began = loop.time()
    together = [asyncio.ensure_future(waiting.outcomes([one], left_s)) for one in (late, known)]
    leaving = asyncio.ensure_future(waiting.outcomes([cancelled], left_s))
    await asyncio.sleep(0)
    known.set_result("known")
    leaving.cancel()
    with pytest.raises(patience.Late):
        await together[0]
    assert loop.time() - began > left_s - 1.1 * patience.GRAIN_S
    assert await together[1] == ["known"]
    assert leaving.cancelled()


async def test_whose_time_is_over_is_late_at_once_however_many_were_before() -> None:
    waiting = patience.Patience()
    for _ in range(3):
        with pytest.raises(patience.Late):
            await waiting.outcomes([asyncio.get_running_loop().create_future()], 0.0)


async def test_nothing_is_kept_of_what_came_in_time() -> None:
    known = asyncio.get_running_loop().create_future()
    known.set_result("known")
    kept = weakref.ref(known)
    waiting = patience.Patience()
    assert await waiting.outcomes([known], 30.0) == ["known"]
    del known
    assert kept() is None


async def test_what_waits_keeps_its_place_when_its_request_is_cancelled() -> None:
    free, walked = asyncio.Event(), list[str]()

    async def walk(items: Sequence[str]) -> Sequence[str]:
        await free.wait()
        walked.extend(items)
        return items

    convoy: Convoy[str, str] = Convoy(walk, longest=1, waiting_max=10)
    under_way, first, second, last = (convoy.enqueue(one) for one in "abcd")
    walking = asyncio.ensure_future(convoy.run())
    request = asyncio.ensure_future(patience.Patience().outcomes([first, second], None))
    await asyncio.sleep(0)
    request.cancel()
    with pytest.raises(asyncio.CancelledError):
        await request
    free.set()
    assert [await under_way, await last] == ["a", "d"]
    assert walked == ["a", "b", "c", "d"]
    convoy.close()
    await walking


async def test_telnyx_is_answered_before_its_two_seconds_are_over(
    dsn: str, sql: asyncpg.Connection
) -> None:
    async with at_the_door("telnyx", dsn, sql) as door:
        wire = door.case.inbound(door.case.new_id(1))
        async with stalled(dsn, "LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE"):
            await late(door, wire)
        [seen] = door.seen
        assert seen.outcome == "late"
        assert seen.ack_s > 1.4
        assert (await door.knock(wire))[0] == 200  # what a provider does when it heard 503
        assert await door.count("messages") == 1


@pytest.mark.parametrize("kind", KINDS)
async def test_what_commits_after_the_answer_is_one_message_when_it_comes_again(
    kind: str, dsn: str, sql: asyncpg.Connection
) -> None:
    """The first was under way when its carrier was told to come again; so is the second."""
    async with at_the_door(kind, dsn, sql, patience_s=PATIENCE_S) as door:
        known, wire = (door.case.inbound(door.case.new_id(number)) for number in (1, 2))
        assert (await door.knock(known))[0] == 200
        async with stalled(dsn, "SELECT FROM conversations FOR UPDATE"):
            await late(door, wire)
            await late(door, wire)
            assert await door.count("messages") == 1
            assert await sql.fetchval(WAITING) == 1
        assert (await door.knock(wire))[0] == 200
        assert await door.count("messages") == 2
        outcomes = [one.outcome for one in door.seen]
        assert outcomes == ["accepted", "late", "late", "duplicate"]


async def test_what_waits_keeps_its_place_when_its_carrier_gives_up(
    dsn: str, sql: asyncpg.Connection
) -> None:
    """Also where it is brought again in another order, or never."""
    road = {"walkers": 1}
    async with at_the_door("telnyx", dsn, sql, patience_s=PATIENCE_S, road=road) as door:
        known, stuck, *behind = (door.case.inbound(door.case.new_id(n)) for n in range(1, 6))
        assert (await door.knock(known))[0] == 200
        async with stalled(dsn, "SELECT FROM conversations FOR UPDATE"):
            first = asyncio.get_running_loop().create_task(late(door, stuck))
            async with asyncio.timeout(10), connected(dsn) as eyes:
                while not await eyes.fetchval(WAITING):
                    await asyncio.sleep(0.01)
            for wire in behind:
                await late(door, wire)
            await first
        for wire in (behind[1], behind[0]):
            assert (await door.knock(wire))[0] == 200
        stored = await sql.fetch(
            "SELECT external_id FROM messages m JOIN inbox i ON message_sid = m.sid ORDER BY index"
        )
        assert [row[0] for row in stored] == [door.case.new_id(n) for n in range(1, 6)]
        outcomes = [one.outcome for one in door.seen]
        assert outcomes == ["accepted", *["late"] * 4, "duplicate", "duplicate"]


async def test_a_customer_who_decides_slowly_does_not_keep_the_carrier_waiting(
    dsn: str, sql: asyncpg.Connection
) -> None:
    """What is asked about first is set aside, and acknowledged when that is committed."""
    decides = asyncio.Event()

    async def slow(_: web.Request) -> web.Response:
        await decides.wait()
        return web.json_response({})

    app = web.Application()
    app.router.add_post("/before", slow)
    async with serving(app) as url:
        hooks = {"pre_url": f"{url}/before", "filters": ["onConversationAdd"]}
        async with at_the_door("telnyx", dsn, sql, webhooks=hooks) as door:
            wire = door.case.inbound(door.case.new_id(1))
            for _ in range(2):
                assert (await door.knock(wire))[0] == 200
            assert await door.count("messages") == 0
            assert [one.decision for one in door.seen] == ["asked", "duplicate"]
            decides.set()
            async with asyncio.timeout(10):
                while not await door.count("messages"):
                    await asyncio.sleep(0.01)


@pytest.mark.parametrize("kind", ["twilio", "telnyx"])
async def test_a_status_is_answered_in_time_too(
    kind: str, dsn: str, sql: asyncpg.Connection
) -> None:
    async with at_the_door(kind, dsn, sql, patience_s=PATIENCE_S) as door:
        wire = door.case.status(door.case.new_id(7), receipt_sid=None)
        async with stalled(dsn, "LOCK TABLE early_statuses IN ACCESS EXCLUSIVE MODE"):
            await late(door, wire)
        assert (await door.knock(wire))[0] == 200
        assert await door.count("early_statuses") == 1
