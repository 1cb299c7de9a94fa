"""A process may die between any two steps: no message is lost, none is said twice, and there is one
execution in one state."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlmodel import col, select

from app.model import Receipt
from app.ops import retention
from app.rules import executions as rules
from app.store import outbox, running
from app.store.database import Database
from app.studio.worker import ATTEMPTS_MAX
from tests.support.clock import TurnedClock
from tests.support.database import Reused

from .conftest import ALIEN, BOTS, GHOST, HI, ROBOT, flow, state
from .stage import Stage, staged

ANSWERS = {"yes": ROBOT, "no": ALIEN, "maybe": GHOST}
CHATTY = flow(
    state("one", "send-message", body="1", _sent="two", _failed="two"),
    state("two", "send-message", body="2", _sent="ask", _failed="ask"),
    state(
        "ask",
        "send-and-wait-for-reply",
        body="3?",
        timeout="60",
        _incomingMessage="thanks",
        _timeout="bye",
    ),
    state("thanks", "send-message", body="4 {{widgets.ask.inbound.Body}}", _sent=None),
    state("bye", "send-message", body="5", _sent=None),
)


async def once(stage: Stage, fuse: int) -> None:
    """Two messages, and a process that dies after so many steps in each."""
    await stage.text("hello")
    await stage.work(fuse)
    await stage.finish()
    await stage.text("yes")
    await stage.work(fuse)
    await stage.finish()


@pytest.mark.parametrize("fuse", range(12))
async def test_a_death_after_any_step_repeats_nothing(
    db: Database, sql: asyncpg.Connection, fuse: int
) -> None:
    async with staged(db, sql, CHATTY) as stage:
        await once(stage, fuse)
        assert await stage.said() == ["1", "2", "3?", "4 yes"]
        rows = await sql.fetch("SELECT status, reason FROM executions")
        assert [tuple(row) for row in rows] == [("ended", "completed")]
        assert await sql.fetchval("SELECT count(*) FROM outbox WHERE kind = 'flow'") == 0


@pytest.mark.parametrize("fuse", range(6))
async def test_the_documented_flow_survives_a_death_after_any_step(
    db: Database, sql: asyncpg.Connection, fuse: int
) -> None:
    async with staged(db, sql, BOTS) as stage:
        await once(stage, fuse)
        assert await stage.said() == [HI, ROBOT]


async def test_nobody_replies_in_time(db: Database, sql: asyncpg.Connection) -> None:
    async with staged(db, sql, CHATTY) as stage:
        await stage.text("hello")
        await stage.finish()
        stage.clock.turn(59)
        await stage.sweep()
        assert not await stage.work()
        stage.clock.turn(2)
        await stage.sweep()
        await stage.sweep()  # of another process, or after a crash
        await stage.finish()
        assert await stage.said() == ["1", "2", "3?", "5"]


@pytest.mark.parametrize("fuse", [None, *range(4)])
async def test_what_did_not_arrive_is_told_once_after_a_death_too(
    db: Database, sql: asyncpg.Connection, fuse: int | None
) -> None:
    """And who has replied meanwhile is told no more."""
    ask = state(
        "ask", "send-and-wait-for-reply", body="?", _deliveryFailure="on", _incomingMessage="on"
    )
    async with staged(db, sql, flow(ask, state("on", "send-message", body="on", _sent=None))) as it:
        await it.text("hello")
        await it.finish()
        for _ in range(2):
            await lose(it)
        await it.work(fuse)
        await it.finish()
        assert await it.said() == ["?", "on"]
        assert await sql.fetchval("SELECT count(*) FROM outbox WHERE kind = 'flow'") == 0


async def lose(stage: Stage) -> None:
    """The carrier says that the flow's first message did not arrive."""
    async with stage.runtime.db.begin() as tx:
        [receipt] = await tx.every(Receipt, select(Receipt).order_by(col(Receipt.sid)).limit(1))
        receipt.status = "undelivered"
        await outbox.add(tx.sql, await running.undelivered(tx.sql, [receipt]), tx.now)


async def test_a_reply_that_came_before_the_time_was_up_counts(
    db: Database, sql: asyncpg.Connection
) -> None:
    """Although the worker was away then: the lane keeps the order."""
    async with staged(db, sql, CHATTY) as stage:
        await stage.text("hello")
        await stage.finish()
        await stage.text("here I am")
        stage.clock.turn(61)
        await stage.sweep()
        await stage.finish()
        assert await stage.said() == ["1", "2", "3?", "4 here I am"]


async def test_what_is_written_while_the_flow_is_busy_is_the_reply(
    db: Database, sql: asyncpg.Connection
) -> None:
    async with staged(db, sql, CHATTY) as stage:
        await stage.text("hello")
        await stage.text("quick")
        await stage.work(3)
        await stage.finish()
        assert await stage.said() == ["1", "2", "3?", "4 quick"]


DEEDS = st.lists(
    st.one_of(
        st.tuples(st.just("text"), st.sampled_from([*ANSWERS, "hello"])),
        st.tuples(st.just("turn"), st.sampled_from(["1", "30", "61"])),
        st.tuples(st.just("work"), st.sampled_from(["0", "1", "2", "3", "5", "whole"])),
        st.tuples(st.just("close"), st.just("")),
    ),
    min_size=1,
    max_size=12,
)


async def test_any_sequence_leaves_one_execution_in_one_state_and_no_message_twice(
    reused_database: Reused,
) -> None:
    """Of replies, waits that are over, deaths and conversations that close."""

    async def play(deeds: list[tuple[str, str]]) -> None:
        await reused_database.empty()
        db = Database(reused_database.dsn, TurnedClock())
        sql = await asyncpg.connect(reused_database.dsn)
        try:
            async with staged(db, sql, CHATTY) as stage:
                await _play(stage, deeds)
        finally:
            await sql.close()
            await db.close()

    @settings(
        max_examples=40,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(deeds=DEEDS)
    def attempt(deeds: list[tuple[str, str]]) -> None:
        played.append(deeds)

    played: list[list[tuple[str, str]]] = []
    attempt()
    for deeds in played:
        await play(deeds)


async def _play(stage: Stage, deeds: list[tuple[str, str]]) -> None:
    texts: list[str] = []
    for deed, how in deeds:
        match deed:
            case "text":
                await stage.text(how)
                texts.append(how)
            case "turn":
                stage.clock.turn(float(how))
                await stage.sweep()
            case "work":
                await stage.work(None if how == "whole" else int(how))
            case "close":
                await stage.close()
    await stage.finish()
    stage.clock.turn(61)
    await stage.sweep()
    await stage.finish()
    await _judge(stage, len(texts))


async def _judge(stage: Stage, texts: int) -> None:
    """Each execution has said a beginning of what a flow says, once each; all have ended; what was
    asked for was said as often as it was done."""
    sql = stage.sql
    assert await sql.fetchval("SELECT count(*) FROM executions WHERE status = 'active'") == 0
    assert await sql.fetchval("SELECT count(*) FROM outbox WHERE kind = 'flow'") == 0
    assert await sql.fetchval("SELECT count(*) FROM dead_letters") == 0
    for row in await sql.fetch("SELECT DISTINCT conversation_sid FROM executions"):
        sid = row["conversation_sid"]
        ran = await sql.fetchval("SELECT count(*) FROM executions WHERE conversation_sid = $1", sid)
        said = [
            one["body"]
            for one in await sql.fetch(
                "SELECT body FROM messages WHERE conversation_sid = $1 AND author LIKE 'FW%'"
                " ORDER BY index",
                sid,
            )
        ]
        runs: list[list[str]] = []
        for body in said:
            if body == "1":
                runs.append([])
            runs[-1].append(body[0])
        assert all(
            run == ["1", "2", "3", "4"][: len(run)] or run == ["1", "2", "3", "5"] for run in runs
        ), said
        assert len(runs) <= ran
        steps = await sql.fetchval(
            "SELECT count(*) FROM execution_steps s JOIN executions e ON e.sid = s.execution_sid"
            " WHERE e.conversation_sid = $1 AND s.name = 'sent'",
            sid,
        )
        assert steps == sum(body in ("1", "2") or body[0] in "45" for body in said), (steps, said)
    assert await sql.fetchval("SELECT count(*) FROM messages WHERE author NOT LIKE 'FW%'") == texts
    heard = [sid for row in await sql.fetch("SELECT memory FROM executions") for sid in _heard(row)]
    assert len(set(heard)) == len(heard), "a message was taken in twice"


def _heard(row: Any) -> list[str]:
    """The messages that an execution took in: the one that began it, and the reply."""
    context = rules.read(row["memory"]).frames[0].memory.context
    said = (context["trigger"]["message"], context["widgets"].get("ask", {}).get("inbound", {}))
    return [one["MessageSid"] for one in said if "MessageSid" in one]


async def test_what_has_ended_is_kept_for_a_while(db: Database, sql: asyncpg.Connection) -> None:
    async with staged(db, sql, BOTS) as stage:
        await stage.text("hello")
        await stage.finish()
        stage.clock.turn(40 * 86_400)
        await retention.executions(sql, stage.clock.now(), 30)
        assert await sql.fetchval("SELECT count(*) FROM executions") == 1  # it waits still
        await stage.text("yes")
        await stage.finish()
        await retention.executions(sql, stage.clock.now(), 30)
        assert await sql.fetchval("SELECT count(*) FROM execution_steps") == 4
        stage.clock.turn(31 * 86_400)
        await retention.executions(sql, stage.clock.now(), 30)
        assert await sql.fetchval("SELECT count(*) FROM executions") == 0
        assert await sql.fetchval("SELECT count(*) FROM execution_steps") == 0


async def test_what_breaks_again_and_again_is_given_up_and_the_lane_goes_on(
    db: Database, sql: asyncpg.Connection
) -> None:
    async with staged(db, sql, BOTS) as stage:
        await stage.text("hello")
        await stage.finish()
        await sql.execute("UPDATE executions SET memory = 'no memory at all'")
        await stage.text("yes")
        for tries in range(ATTEMPTS_MAX):
            assert await sql.fetchval("SELECT count(*) FROM dead_letters") == 0, tries
            assert await stage.work()
            assert not await stage.work()
            stage.clock.turn(61)
        row = await sql.fetchrow("SELECT kind, attempts, reason FROM dead_letters")
        assert (row["kind"], row["attempts"]) == ("flow", ATTEMPTS_MAX)
        [ended] = await sql.fetch("SELECT status, reason FROM executions")
        assert ended["status"] == "ended"
        assert ended["reason"].startswith("failed: given up after 20 attempts")
        await stage.text("hello again")
        await stage.finish()
        assert await stage.said() == [HI, HI]
