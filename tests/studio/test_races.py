"""What happens to a run while a worker is busy with it: it ends with its conversation, it never
begins twice, and nobody waits for one another in a circle."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

from app.delivery.pauses import Pauses
from app.delivery.settle import Settler
from app.delivery.tried import Tried
from app.errors import Permanent
from app.model.flows import FLOW, flow_lane
from app.model.outbox import ASK, DELIVERY, ask_lane
from app.model.traffic import Inbound
from app.road.items import Arrival, Draft
from app.road.walk import Walker
from app.store import executions, outbox, running
from app.store.database import Database
from app.studio.worker import ATTEMPTS_MAX
from tests.support.database import connected
from tests.support.settings import ACCOUNT, SMS

from .conftest import BOTS, HI, MARIA, flow, state
from .stage import FLOW_SID, LEASE_S, Stage, staged

NOWHERE = "http://127.0.0.1:9/"
# Nobody is there to answer the request: it fails at once.
CALLS = flow(
    state("look", "make-http-request", url=NOWHERE, _success="ask", _failed="ask"),
    state("ask", "send-and-wait-for-reply", body="well?", timeout="60", _incomingMessage="bye"),
    state("bye", "send-message", body="bye", _sent=None),
)
ASKS = {"pre_url": NOWHERE, "filters": ["onMessageAdd"]}
ACTIVE = "SELECT count(*) FROM executions WHERE status = 'active'"
ITEMS = "SELECT count(*) FROM outbox WHERE kind = 'flow'"
WAITS = """
SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'
  AND datname = current_database()
"""


@dataclass
class Shared:
    """The road, when what a flow says shares its convoy with an inbound."""

    walker: Walker
    inbound: Inbound

    async def submit(self, item: Draft) -> Any:
        _, posted = await self.walker([Arrival(ACCOUNT, self.inbound), item])
        return posted


async def blocked(sql: asyncpg.Connection, task: asyncio.Task[Any]) -> None:
    """Wait until somebody waits for a lock, or the task has ended without waiting."""
    async with asyncio.timeout(20):
        while not task.done() and not await sql.fetchval(WAITS):
            await asyncio.sleep(0.02)


async def nothing_left(stage: Stage) -> None:
    """Whatever comes again has come, nothing runs, and that is because the conversation closed."""
    for _ in range(3):
        stage.clock.turn(61)
        await stage.sweep()
        await stage.finish()
    assert await stage.sql.fetchval(ACTIVE) == 0
    assert await stage.sql.fetchval(ITEMS) == 0
    assert await stage.said() == []
    outcomes = await stage.sql.fetch("SELECT outcome, detail FROM attempts ORDER BY finished_at")
    assert tuple(outcomes[-1]) == ("ignored", "the conversation is closed")


@pytest.mark.parametrize("fuse", [None, *range(4)])
async def test_nothing_begins_in_a_conversation_that_was_closed_meanwhile(
    db: Database, sql: asyncpg.Connection, fuse: int | None
) -> None:
    """Nor when the process dies then: nobody would end it."""
    async with staged(db, sql, CALLS) as stage:
        await stage.text("hello")
        await stage.work(fuse, meanwhile=stage.close)
        assert await sql.fetchval(ACTIVE) == 0
        await nothing_left(stage)


async def test_what_begins_waits_for_who_closes_the_conversation(
    db: Database, sql: asyncpg.Connection, dsn: str
) -> None:
    async with staged(db, sql, CALLS) as stage, connected(dsn) as closer:
        ch = await stage.text("hello")
        async with asyncio.TaskGroup() as group, closer.transaction():
            await closer.execute("UPDATE conversations SET state = 'closed'")
            await running.close(closer, [ch], stage.clock.now())
            work = group.create_task(stage.work(1))
            await blocked(sql, work)
        assert await sql.fetchval(ACTIVE) == 0
        await nothing_left(stage)


async def test_what_still_runs_in_a_closed_conversation_ends_with_its_next_item(
    db: Database, sql: asyncpg.Connection
) -> None:
    async with staged(db, sql, BOTS) as stage:
        await stage.text("hello")
        await stage.finish()
        await stage.text("yes")
        await sql.execute("UPDATE conversations SET state = 'closed'")
        await stage.finish()
        [ended] = await sql.fetch("SELECT status, reason, due FROM executions")
        assert tuple(ended) == ("ended", running.CLOSED, None)
        assert await sql.fetchval(ITEMS) == 0


async def test_a_message_whose_run_was_deleted_begins_no_other(
    db: Database, sql: asyncpg.Connection
) -> None:
    """Although the worker died while a request was under way: the message was taken in."""
    async with staged(db, sql, CALLS) as stage:
        await stage.text("hello")
        await stage.work(1)
        async with db.begin() as tx:
            assert await executions.remove(tx, await sql.fetchval("SELECT sid FROM executions"))
        await stage.finish()
        assert await sql.fetchval("SELECT count(*) FROM executions") == 0
        assert await sql.fetchval(ITEMS) == 0
        assert await stage.said() == []
        await stage.text("hello again")
        await stage.finish()
        assert await stage.said() == ["well?"]


async def test_who_ends_a_run_locks_it_before_its_lane(
    db: Database, sql: asyncpg.Connection, dsn: str
) -> None:
    """As everybody does: the clock's job holds runs while it adds to their lanes."""
    async with staged(db, sql, BOTS) as stage, connected(dsn) as other:
        await stage.text("hello")
        await stage.finish()
        await stage.text("yes")
        await sql.execute("UPDATE executions SET memory = 'no memory at all'")
        await sql.execute("UPDATE outbox SET attempts = $1", ATTEMPTS_MAX - 1)
        async with asyncio.TaskGroup() as group, other.transaction():
            await other.execute("SELECT FROM executions FOR UPDATE")
            work = group.create_task(stage.work())
            await blocked(sql, work)
            assert not work.done()
            await other.execute("SELECT FROM lanes WHERE kind = 'flow' FOR UPDATE NOWAIT")
        assert await sql.fetchval(ACTIVE) == 0
        assert await sql.fetchval("SELECT count(*) FROM dead_letters") == 1


async def test_the_lanes_of_questions_are_locked_before_those_of_flows(
    db: Database, sql: asyncpg.Connection, dsn: str
) -> None:
    """When a convoy only sets somebody aside, too: others settle both in this order."""
    async with staged(db, sql, BOTS, webhooks=ASKS) as stage, connected(dsn) as other:
        await stage.text("hello")
        walker = Walker(stage.runtime)
        stage.road = Shared(walker, Inbound("lab", "IM1", "sms", MARIA, SMS, body="yes"))  # type: ignore[assignment]
        async with asyncio.TaskGroup() as group, other.transaction():
            lane = ask_lane(ACCOUNT, SMS, MARIA)
            await outbox.lock_lanes(other, ASK, [lane], stage.clock.now())
            work = group.create_task(stage.work())
            await blocked(sql, work)
            assert not work.done()
            await other.execute("SELECT FROM lanes WHERE kind = 'flow' FOR UPDATE NOWAIT")
        await walker.close()
        assert await stage.said() == [HI]
        assert await sql.fetchval("SELECT count(*) FROM outbox WHERE lane = $1", lane) == 1


async def test_the_lanes_of_flows_are_locked_before_those_of_recipients(
    db: Database, sql: asyncpg.Connection, dsn: str
) -> None:
    """When a flow hears that its message did not arrive, too: one that speaks in another
    conversation locks both in this order, and knows nothing of the locks of this one."""
    ask = state(
        "ask", "send-and-wait-for-reply", body="?", _deliveryFailure="on", _incomingMessage="on"
    )
    definition = flow(ask, state("on", "send-message", body="on", _sent=None))
    async with staged(db, sql, definition) as stage, connected(dsn) as other:
        lane, now = flow_lane(FLOW_SID, await stage.text("hello")), stage.clock.now()
        await stage.finish()
        async with db.begin() as tx:
            lease = {"lease": "l", "now": now, "lease_s": LEASE_S}
            [item] = await outbox.claim(tx.sql, DELIVERY, limit=9, rates={}, **lease)
        settler = Settler(stage.runtime, Pauses(stage.runtime.settings.delivery))
        lost = Tried(item, "permanent", error=Permanent("nobody is there", 30003))
        async with asyncio.TaskGroup() as group, other.transaction():
            await outbox.lock_lanes(other, FLOW, [lane], now)
            work = group.create_task(settler([lost]))
            await blocked(sql, work)
            assert not work.done()
            await other.execute("SELECT FROM lanes WHERE kind = 'delivery' FOR UPDATE NOWAIT")
        await settler.close()
        assert list(work.result()) == [True]
        assert await sql.fetchval("SELECT count(*) FROM attempts WHERE kind = 'delivery'") == 1
        await stage.finish()
        assert await stage.said() == ["?", "on"]
