"""Whatever a customer answers, a lane keeps its order and an event its one token."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg
from aiohttp import web
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from app.observe import DeadLettered, Failed
from app.store.database import Database
from tests.road.hooking import hooking
from tests.support.clock import TurnedClock
from tests.support.customer import customer
from tests.support.settings import TOKEN

HOOKS = {
    "waits_s": [1.0] * 40,
    "jitter": 0,
    "timeout_s": 1,
    "pause_after": 2,
    "pauses_s": [5],
    "retry_after_max_s": 10,
}
ANSWERS = ("200", "204", "302", "400", "404", "410", "429", "500", "503", "reset", "hang", "huge")
ENDS = {"200", "204", "410", "huge"}


@dataclass
class Moody:
    """Answers as its moods say, one after the other; then well."""

    moods: list[str]
    url: str = ""
    calls: list[tuple[str, str, str, str]] = field(default_factory=list)

    async def take(self, request: web.Request) -> web.StreamResponse:
        form = await request.post()
        mood = self.moods.pop(0) if self.moods else "200"
        token = request.headers["I-Twilio-Idempotency-Token"]
        self.calls.append((str(form["Lane"]), str(form["Body"]), token, mood))
        if mood == "reset":
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        if mood == "hang":
            await asyncio.Event().wait()
        if mood == "huge":
            return web.Response(body=b"\x00\xff" * 100_000)
        headers = {"Retry-After": "7", "Location": "http://169.254.169.254/"}
        return web.Response(status=int(mood), headers=headers)


@asynccontextmanager
async def moody(moods: Sequence[str]) -> AsyncIterator[Moody]:
    made = Moody(list(moods))
    application = web.Application()
    application.router.add_post("/{path:.*}", made.take)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield made
    finally:
        await runner.cleanup()


@examples(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    lanes=st.lists(st.sampled_from("abc"), min_size=1, max_size=8),
    moods=st.lists(st.sampled_from(ANSWERS), max_size=12),
)
async def test_whatever_a_customer_answers_order_and_tokens_hold(
    db: Database,
    sql: asyncpg.Connection,
    clock: TurnedClock,
    lanes: Sequence[str],
    moods: Sequence[str],
) -> None:
    await sql.execute("DELETE FROM outbox; DELETE FROM lanes; DELETE FROM hook_endpoints")
    async with moody(moods) as customer, hooking(db, sql, clock, hooks=HOOKS) as one:
        for number, lane in enumerate(lanes):
            await one.tell(lane, customer.url, f"{number}")
        async with asyncio.timeout(30):
            while await sql.fetchval("SELECT count(*) FROM outbox"):
                one.turn(1)
                await asyncio.sleep(0.02)
        assert one.seen(Failed) == []
        gone = sum(mood == "410" for _, _, _, mood in customer.calls)
        assert len(one.seen(DeadLettered)) == gone, "nothing is given up but what is gone"
    for lane in set(lanes):
        calls = [(body, token, mood) for of, body, token, mood in customer.calls if of == lane]
        assert all(body == token for body, token, _ in calls), "one token for each event"
        wanted = [str(number) for number, of in enumerate(lanes) if of == lane]
        for body, _, mood in calls:
            assert body == wanted[0], "nothing overtakes, nothing comes again when it was taken"
            if mood in ENDS:
                wanted.pop(0)
        assert wanted == []
    assert await sql.fetchval("SELECT count(*) FROM lanes") == 0


QUIET = """
SELECT NOT EXISTS (SELECT FROM lanes WHERE lease IS NOT NULL OR kind = 'hook' AND due <= $1)
  AND NOT EXISTS (SELECT FROM hook_endpoints WHERE next_at <= $1)
"""


async def test_a_customer_who_is_away_for_an_hour_misses_nothing(
    db: Database, sql: asyncpg.Connection, clock: TurnedClock
) -> None:
    """As the settings are: in order, each event under its one token, and no dead letters."""
    async with customer(TOKEN) as they, hooking(db, sql, clock) as one:
        they.answer = lambda hook: 503
        told = {f"l{lane}": [f"{lane}-{number}" for number in range(4)] for lane in range(8)}
        for lane, names in told.items():
            await one.tell(lane, f"{they.url}/events", *names)
        for _ in range(3600 // 15):
            await one.until(QUIET, True, clock.now())
            one.turn(15)
        assert they.events() == []
        assert len(they.hooks) > len(told)
        they.answer = lambda hook: 200
        while len(they.events()) < 8 * 4:
            await one.until(QUIET, True, clock.now())
            one.turn(60)
        await one.until("SELECT count(*) FROM outbox", 0)
        for lane, names in told.items():
            assert [hook.token for hook in they.events() if hook.form["Lane"] == lane] == names
        assert await sql.fetchval("SELECT count(*) FROM dead_letters") == 0
