"""Places in flight and pauses: a target that fails takes nothing from the others, and keeps
everything that waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from aiohttp import web

from app.model.outbox import HOOK, endpoint
from app.observe import DeadLettered, Failed, TargetPaused, TargetResumed
from app.store import gauges
from app.store import hook_endpoints as store
from app.store.database import Database
from app.store.outbox import NewItem
from tests.road.hooking import Hooking, hooking
from tests.support.clock import TurnedClock
from tests.support.customer import Customer, Hook, customer
from tests.support.settings import ACCOUNT, TOKEN

HOOKS = {"timeout_s": 30, "pause_after": 3, "pauses_s": [10, 60], "jitter": 0, "in_flight": 16}
HELD = "SELECT count(*) FROM lanes WHERE kind = 'held'"
QUEUES = "SELECT count(*) FROM hook_endpoints"


@pytest.fixture
async def one(db: Database, sql: asyncpg.Connection, clock: TurnedClock) -> AsyncIterator[Hooking]:
    async with hooking(db, sql, clock, hooks=HOOKS) as made:
        yield made
        assert made.seen(Failed) == []


@pytest.fixture
async def they() -> AsyncIterator[Customer]:
    async with customer(TOKEN) as made:
        yield made


class Hanging:
    """A server that takes calls and answers none until it is let."""

    def __init__(self) -> None:
        self.url = ""
        self.calls = 0
        self.answers = asyncio.Event()

    async def called(self, times: int) -> None:
        """Wait until so many calls have come, and no more."""
        async with asyncio.timeout(20):
            while self.calls < times:
                await asyncio.sleep(0.01)
        assert self.calls == times

    async def take(self, request: web.Request) -> web.Response:
        self.calls += 1
        await self.answers.wait()
        return web.Response()


@pytest.fixture
async def hanging() -> AsyncIterator[Hanging]:
    made = Hanging()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", made.take)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield made
    made.answers.set()
    await runner.cleanup()


def item(lane: str, url: str) -> NewItem:
    return NewItem(
        lane=f"h:{lane}",
        kind=HOOK,
        token=lane,
        account_sid=ACCOUNT,
        event="onMessageAdded",
        scope="scoped",
        url=url,
        method="POST",
        params={"EventType": "onMessageAdded", "Lane": lane},
    )


async def known(one: Hooking, they: Customer, path: str = "/well") -> str:
    """A target that has answered before."""
    url = they.url + path
    await one.tell(f"first{path}", url, f"first{path}")
    await one.until("SELECT count(*) FROM attempts WHERE outcome = 'delivered'", 1)
    return url


async def test_a_thousand_targets_that_hang_delay_nobody_who_answers(
    one: Hooking, they: Customer, hanging: Hanging
) -> None:
    well = await known(one, they)
    dead = [item(f"dead{n}", f"{hanging.url}/{n}") for n in range(1000)]
    await one.tell_all(dead)
    await one.until(HELD, 988)
    await hanging.called(12)  # three quarters of the places
    await one.tell_all([item(f"well{n}", well) for n in range(300)])
    await they.until(lambda: len(they.hooks) == 301)
    assert hanging.calls == 12
    assert one.clock.now() == (await one.sql.fetchval("SELECT max(finished_at) FROM attempts"))


async def test_a_thousand_lanes_of_one_target_that_hangs_leave_half_of_the_rest(
    one: Hooking, they: Customer, hanging: Hanging
) -> None:
    await one.tell_all([item(f"dead{n}", f"{hanging.url}/same") for n in range(1000)])
    await one.until(HELD, 994)
    await hanging.called(6)
    fresh = they.url + "/nobody-knows-it-yet"
    await one.tell_all([item(f"new{n}", fresh) for n in range(100)])
    await they.until(lambda: len(they.hooks) == 100)
    hanging.answers.set()
    await one.until(QUEUES, 0)
    await one.until("SELECT count(*) FROM lanes", 0)
    assert hanging.calls == 1000


async def fail(one: Hooking, url: str, lanes: int = 50) -> None:
    """So many lanes lead to a target that fails: it is paused."""
    await one.tell_all([item(f"l{n:03}", url) for n in range(lanes)])
    await one.until("SELECT count(*) FROM hook_endpoints WHERE paused_at IS NOT NULL", 1)
    await one.until("SELECT count(*) FROM lanes WHERE lease IS NOT NULL", 0)


async def told(one: Hooking, kind: type) -> list[Any]:
    """What was observed of this kind: it is told after the commit."""
    async with asyncio.timeout(20):
        while not (seen := one.seen(kind)):
            await asyncio.sleep(0.01)
    return seen


async def test_a_target_that_fails_is_left_alone_and_keeps_all_that_waits(
    one: Hooking, they: Customer
) -> None:
    they.answer = lambda hook: 503
    url = they.url + "/down"
    await fail(one, url)
    calls = len(they.hooks)
    assert calls <= 16
    assert await gauges.targets_paused(one.sql) == 1
    one.turn(9)  # the retries of those that were tried are due, and wait with the others
    await one.until(HELD, 50)
    assert len(they.hooks) == calls
    one.turn(1)
    await they.until(lambda: len(they.hooks) == calls + 1)
    await one.until("SELECT pauses FROM hook_endpoints", 2)
    one.turn(59)
    await one.until(HELD, 50)
    assert len(they.hooks) == calls + 1, "one probe, whatever is due"
    attempts = "SELECT sum(attempts) FROM outbox"
    assert await one.sql.fetchval(attempts) == calls + 1, "a pause is no attempt"
    they.answer = lambda hook: 200
    one.turn(1)
    await one.until("SELECT count(*) FROM outbox", 0)
    assert {hook.form["Lane"] for hook in they.events()} == {f"l{n:03}" for n in range(50)}
    assert [one_pause.pauses for one_pause in one.seen(TargetPaused)] == [1, 2]
    assert [back.paused_s for back in await told(one, TargetResumed)] == [70]
    assert one.seen(DeadLettered) == []
    await one.until(QUEUES, 0)


async def test_what_waits_for_a_paused_target_keeps_its_order(one: Hooking, they: Customer) -> None:
    they.answer = lambda hook: 500
    url = they.url + "/down"
    await fail(one, url, 10)
    await one.tell("l003", url, "second", "third")
    await one.tell("new", url, "a", "b")
    they.answer = lambda hook: 200
    one.turn(10)
    await one.until("SELECT count(*) FROM outbox", 0)
    tokens = [hook.token for hook in they.events() if hook.form["Lane"] in ("l003", "new")]
    assert [token for token in tokens if token in ("l003", "second", "third")] == [
        *("l003", "second", "third")
    ]
    assert tokens.index("a") < tokens.index("b")


async def test_a_probe_whose_process_died_is_sent_again(
    one: Hooking, they: Customer, hanging: Hanging
) -> None:
    they.answer = lambda hook: 500
    url = they.url + "/down"
    await fail(one, url, 10)
    await one.sql.execute(
        "UPDATE hook_endpoints SET probe = 'h:of another process', paused_until = $1, next_at = $1",
        one.clock.now(),
    )
    calls = len(they.hooks)
    they.answer = lambda hook: 200
    one.turn(5)
    await one.until("SELECT count(*) FROM outbox", 0)
    assert len(they.hooks) == calls + 10


async def test_one_lane_alone_never_pauses_its_target(one: Hooking, they: Customer) -> None:
    they.answer = lambda hook: 500
    await one.tell("alone", they.url + "/x", "a")
    for count in range(1, 6):
        await one.settled(count)
        one.turn(3600)
    assert await one.sql.fetchval(QUEUES) == 0


async def test_a_customer_that_refuses_is_not_one_that_fails(one: Hooking, they: Customer) -> None:
    they.answer = lambda hook: 404
    await one.tell_all([item(f"l{n}", they.url + "/x") for n in range(30)])
    await one.settled(30)
    assert (
        await one.sql.fetchval("SELECT count(*) FROM hook_endpoints WHERE paused_at > now()") == 0
    )


async def test_a_named_wait_is_the_least_that_a_pause_lasts(one: Hooking, they: Customer) -> None:
    they.answer = lambda hook: web.Response(status=429, headers={"Retry-After": "300"})
    await fail(one, they.url + "/x", 10)
    (pause,) = await told(one, TargetPaused)
    assert pause.wait_s == pytest.approx(300)


async def test_a_lane_whose_webhook_leads_elsewhere_leaves_the_queue(
    one: Hooking, they: Customer
) -> None:
    def answer(hook: Hook) -> int:
        return 500 if hook.path == "/old" else 200

    they.answer = answer
    await fail(one, they.url + "/old", 10)
    await one.tell("l009", they.url + "/new", "moved")
    named = "SELECT endpoint FROM lanes WHERE lane = 'h:l009'"
    assert await one.sql.fetchval(named) == endpoint(ACCOUNT, they.url + "/new")
    they.answer = lambda hook: 200
    one.turn(10)
    await one.until("SELECT count(*) FROM outbox", 0)
    assert they.events()[-1].path in ("/old", "/new")
    tokens = [hook.token for hook in they.events() if hook.form["Lane"] == "l009"]
    assert tokens == ["l009", "moved"]


async def test_claims_are_as_cheap_with_a_hundred_thousand_lanes_held(
    sql: asyncpg.Connection,
) -> None:
    """Every question of the loop walks an index, however many lanes wait for whom."""
    await sql.execute(
        "INSERT INTO lanes (lane, kind, due, endpoint) SELECT 'h:' || n, 'held', now(), 'dead'"
        " FROM generate_series(1, 100000) n"
    )
    await sql.execute(
        "INSERT INTO hook_endpoints (endpoint, account_sid, url, next_at, paused_until, paused_at)"
        " VALUES ('dead', 'AC', 'http://x', now() + interval '1 hour',"
        " now() + interval '1 hour', now())"
    )
    await sql.execute("ANALYZE lanes, hook_endpoints")
    now = await sql.fetchval("SELECT now()")
    asked: list[tuple[str, tuple[Any, ...]]] = [
        (store.DUE, (now, 128)),
        (store.QUEUES, (now, 64, None)),
        (store.TAKE, (["dead"], [1])),
        (store.NEXT, (now,)),
        (store.END, (["dead"],)),
    ]
    await sql.execute("SET enable_seqscan = off")
    for statement, given in asked:
        async with sql.transaction():
            plan = await sql.fetch(f"EXPLAIN (ANALYZE, BUFFERS, TIMING OFF) {statement}", *given)
        lines = "\n".join(row[0] for row in plan).partition("Planning:")[0]
        assert "Seq Scan" not in lines, lines
        buffers = [int(word[4:]) for word in lines.split() if word.startswith("hit=")]
        assert max(buffers, default=0) < 60, lines
