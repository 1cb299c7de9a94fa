"""The timers' sweep against the rule it implements, alone and with others."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

import asyncpg
import orjson
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from app import ids
from app.model.conversations import State
from app.observe import TimerFired
from app.ops.jobs import Jobs
from app.rules.timers import next_timer
from app.store import timers
from app.store.database import Database
from tests.ops.conftest import SERVICE, House
from tests.support.clock import TurnedClock
from tests.support.database import connected
from tests.support.settings import ACCOUNT

EXAMPLES = hypothesis_settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
INSERT = """
INSERT INTO conversations (sid, account_sid, chat_service_sid, state, inactive_timer_s,
  closed_timer_s, active_at, state_at, next_timer_at, date_created, date_updated)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $7, $7)
"""
TOLD = """
SELECT conversation_sid, params FROM outbox WHERE event = 'onConversationStateUpdated' ORDER BY seq
"""


@pytest.fixture
def jobs(house: House) -> Jobs:
    return Jobs(house.runtime, _nobody)


async def _nobody(_: Any) -> bool:
    return False


async def test_an_active_conversation_becomes_inactive_and_then_closes(
    house: House, jobs: Jobs, clock: TurnedClock
) -> None:
    due = house.now + timedelta(seconds=60)
    sid = await house.conversation(inactive_timer_s=60, closed_timer_s=600, next_timer_at=due)
    clock.turn(59.9)
    await jobs.sweep()
    assert (await house.row(sid))["state"] == "active"
    clock.turn(2.1)
    await jobs.sweep()
    row = await house.row(sid)
    assert (row["state"], row["state_at"], row["revision"]) == ("inactive", clock.now(), 1)
    assert row["next_timer_at"] == clock.now() + timedelta(seconds=600)
    clock.turn(600)
    await jobs.sweep()
    row = await house.row(sid)
    assert (row["state"], row["next_timer_at"], row["revision"]) == ("closed", None, 2)
    assert [(one.state, round(one.lag_s, 3)) for one in house.seen(TimerFired)] == [
        ("inactive", 2.0),
        ("closed", 0.0),
    ]


async def test_what_the_timer_did_is_told_in_the_same_transaction(
    house: House, jobs: Jobs, clock: TurnedClock
) -> None:
    sid = await house.conversation(closed_timer_s=600, next_timer_at=house.now)
    clock.turn(700)
    rung: list[str] = []
    house.runtime.db.ring = rung.append
    await jobs.sweep()
    told = await house.sql.fetch(TOLD)
    params = orjson.loads(told[0]["params"])
    assert (params["StateFrom"], params["StateTo"]) == ("active", "closed")
    assert (params["Reason"], params["Source"]) == ("TIMER", "TIMER")
    assert (params["ConversationSid"], len(told), rung) == (sid, 1, ["hook"])


async def test_after_a_downtime_a_conversation_overdue_for_both_closes_by_its_own_time(
    house: House, jobs: Jobs, clock: TurnedClock
) -> None:
    sid = await house.conversation(
        inactive_timer_s=60, closed_timer_s=600, next_timer_at=house.now + timedelta(seconds=60)
    )
    clock.turn(30 * 86_400)
    await jobs.sweep()
    await jobs.sweep()
    assert (await house.row(sid))["state"] == "inactive"
    clock.turn(599)
    await jobs.sweep()
    assert (await house.row(sid))["state"] == "inactive"
    clock.turn(1)
    await jobs.sweep()
    assert (await house.row(sid))["state"] == "closed"


async def test_a_message_since_it_was_armed_only_arms_the_timer_anew(
    house: House, jobs: Jobs, clock: TurnedClock
) -> None:
    sid = await house.conversation(
        inactive_timer_s=60, next_timer_at=house.now + timedelta(seconds=60)
    )
    clock.turn(40)
    await house.sql.execute("UPDATE conversations SET active_at = $1", clock.now())
    clock.turn(30)
    await jobs.sweep()
    row = await house.row(sid)
    assert (row["state"], row["revision"]) == ("active", 0)
    assert row["next_timer_at"] == clock.now() + timedelta(seconds=30)


async def test_closing_frees_the_pairs(house: House, jobs: Jobs, clock: TurnedClock) -> None:
    closing = await house.conversation(closed_timer_s=600, next_timer_at=house.now)
    staying = await house.conversation(inactive_timer_s=60, next_timer_at=house.now)
    await house.pair(closing, "+15551230001")
    await house.pair(closing, "+15551230002")
    await house.pair(staying, "+15551230003")
    clock.turn(600)
    await jobs.sweep()
    rows = await house.sql.fetch("SELECT address FROM bindings WHERE open")
    assert [row["address"] for row in rows] == ["+15551230003"]


async def test_somebody_who_takes_a_pair_away_is_not_waited_for(
    house: House, jobs: Jobs, clock: TurnedClock, dsn: str
) -> None:
    sid = await house.conversation(closed_timer_s=600, next_timer_at=house.now)
    other = await house.conversation(closed_timer_s=600, next_timer_at=house.now)
    await house.pair(sid, "+15551230001")
    await house.pair(sid, "+15551230002")
    clock.turn(600)
    async with connected(dsn) as remover, remover.transaction():
        await remover.execute("DELETE FROM bindings WHERE address = '+15551230001'")
        await jobs.sweep()  # they hold a pair and would wait for the conversation: no deadlock
        assert (await house.row(sid))["state"] == "active"
        assert (await house.row(other))["state"] == "closed"
        await remover.execute("UPDATE conversations SET revision = 5 WHERE sid = $1", sid)
    assert await house.sql.fetchval("SELECT count(*) FROM bindings WHERE open") == 1
    await jobs.sweep()
    assert (await house.row(sid))["state"] == "closed"
    assert await house.sql.fetchval("SELECT count(*) FROM bindings WHERE open") == 0


async def test_a_pair_that_came_before_the_lock_is_freed_too(
    house: House, clock: TurnedClock, db: Database
) -> None:
    sid = await house.conversation(closed_timer_s=600, next_timer_at=house.now)
    clock.turn(600)
    async with db.begin() as tx:
        due = await tx.sql.fetch(timers.DUE, tx.now, 10)
        await house.pair(sid, "+15551230001")  # committed between the two statements
        await tx.sql.fetch(timers.MOVE, [row["sid"] for row in due], tx.now)
    assert await house.sql.fetchval("SELECT count(*) FROM bindings WHERE open") == 0


async def test_a_conversation_that_somebody_works_on_waits_for_the_next_turn(
    house: House, jobs: Jobs, clock: TurnedClock, dsn: str
) -> None:
    sid = await house.conversation(inactive_timer_s=60, next_timer_at=house.now)
    clock.turn(60)
    async with connected(dsn) as road, road.transaction():
        await road.execute("SELECT FROM conversations WHERE sid = $1 FOR NO KEY UPDATE", sid)
        await jobs.sweep()
        await road.execute("UPDATE conversations SET active_at = $1", clock.now())
    await jobs.sweep()
    row = await house.row(sid)
    assert (row["state"], row["next_timer_at"]) == ("active", clock.now() + timedelta(seconds=60))


async def test_a_full_step_is_followed_by_another(
    house: House, jobs: Jobs, clock: TurnedClock
) -> None:
    await house.sql.execute(
        "INSERT INTO conversations (sid, account_sid, chat_service_sid, state, inactive_timer_s,"
        " active_at, state_at, next_timer_at, date_created, date_updated)"
        " SELECT 'CH' || lpad(n::text, 32, '0'), $1, $2, 'active', 60, $3, $3, $3, $3, $3"
        " FROM generate_series(1, 1200) n",
        ACCOUNT,
        SERVICE,
        clock.now(),
    )
    clock.turn(60)
    await jobs.sweep()
    counted = "SELECT count(*) FROM conversations WHERE state = 'inactive'"
    assert await house.sql.fetchval(counted) == 1200
    assert await house.sql.fetchval("SELECT count(*) FROM outbox") == 1200


async def test_the_sweep_finds_what_is_due_by_the_partial_index(house: House) -> None:
    await house.sql.execute(
        "INSERT INTO conversations (sid, account_sid, chat_service_sid, state, active_at,"
        " state_at, next_timer_at, date_created, date_updated)"
        " SELECT 'CH' || lpad(n::text, 32, '0'), $1, $2, 'active', $3::timestamptz, $3,"
        " CASE WHEN n % 3 = 0 THEN $3::timestamptz + make_interval(secs => n) END, $3, $3"
        " FROM generate_series(1, 20000) n",
        ACCOUNT,
        SERVICE,
        house.now,
    )
    await house.sql.execute("ANALYZE conversations")
    plan = await house.sql.fetch(f"EXPLAIN {timers.DUE}", house.now, 500)
    text = "\n".join(row[0] for row in plan)
    assert "Index Scan using conversations_next_timer" in text
    assert "Sort" not in text
    async with house.sql.transaction():  # whatever the statistics of an empty table say
        await house.sql.execute("SET LOCAL enable_seqscan = off")
        move = await house.sql.fetch(f"EXPLAIN {timers.MOVE}", ["CH" + "0" * 32], house.now)
    assert "Seq Scan" not in "\n".join(row[0] for row in move)


@dataclass
class Row:
    """A conversation as the rule sees it."""

    sid: str
    state: State
    active_at: datetime
    state_at: datetime
    inactive_s: int | None
    closed_s: int | None
    changes: int = 0

    def due(self) -> tuple[datetime, State] | None:
        return next_timer(self.state, self.active_at, self.state_at, self.inactive_s, self.closed_s)

    def turn(self, now: datetime) -> None:
        """What one turn of the sweep does to it."""
        due = self.due()
        if due is not None and due[0] <= now:
            self.state, self.state_at = due[1], now
            self.changes += 1


states = st.sampled_from(["active", "active", "inactive", "closed", "initializing"])
wait = st.one_of(st.none(), st.just(0), st.integers(1, 400))
rows = st.lists(
    st.tuples(states, st.integers(0, 500), st.integers(0, 500), wait, wait),
    min_size=10,
    max_size=16,
)


async def _insert(house: House, drawn: list[Any], *, overdue: bool) -> list[Row]:
    made = [
        Row(
            ids.new(ids.CONVERSATION),
            state,
            house.ago(active),
            house.ago(changed),
            inactive_s,
            closed_s,
        )
        for state, active, changed, inactive_s, closed_s in drawn
    ]
    for row in made:
        due = row.due()
        armed = house.now if overdue else due[0] if due else None
        times = row.active_at, row.state_at, armed
        limits = row.inactive_s, row.closed_s
        await house.sql.execute(INSERT, row.sid, ACCOUNT, SERVICE, row.state, *limits, *times)
    return made


async def _empty(sql: asyncpg.Connection) -> None:
    await sql.execute("DELETE FROM outbox; DELETE FROM lanes; DELETE FROM conversations")


@EXAMPLES
@given(drawn=rows)
async def test_the_statement_and_the_rule_agree(
    house: House, jobs: Jobs, clock: TurnedClock, drawn: list[Any]
) -> None:
    await _empty(house.sql)
    expected = await _insert(house, drawn, overdue=True)
    await jobs.sweep_step()
    for row in expected:
        row.turn(clock.now())
        due = row.due()
        found = await house.row(row.sid)
        assert found["state"] == row.state
        assert found["state_at"] == row.state_at
        assert found["revision"] == row.changes
        assert found["next_timer_at"] == (due[0] if due else None)


@EXAMPLES
@given(
    drawn=rows,
    steps=st.lists(
        st.tuples(st.integers(1, 300), st.lists(st.integers(0, 15), max_size=4)),
        min_size=1,
        max_size=6,
    ),
)
async def test_two_sweepers_make_each_transition_once(
    house: House, clock: TurnedClock, drawn: list[Any], steps: list[tuple[int, list[int]]]
) -> None:
    await _empty(house.sql)
    house.observed.clear()
    expected = await _insert(house, drawn, overdue=False)
    sweepers = [Jobs(house.runtime, _nobody) for _ in range(2)]
    for seconds, spoken in steps:
        clock.turn(seconds)
        for row in (expected[at] for at in spoken if at < len(expected)):
            if row.state in ("active", "inactive"):
                row.active_at = clock.now()
                await house.sql.execute(
                    "UPDATE conversations SET active_at = $1 WHERE sid = $2",
                    clock.now(),
                    row.sid,
                )
        for row in expected:
            row.turn(clock.now())
        await _until_quiet(house, sweepers)
    for row in expected:
        found = await house.row(row.sid)
        assert (found["state"], found["state_at"]) == (row.state, row.state_at)
        assert found["revision"] == row.changes
    told = [row["conversation_sid"] for row in await house.sql.fetch(TOLD)]
    fired = [one.conversation_sid for one in house.seen(TimerFired)]
    assert sorted(told) == sorted(fired)
    assert {row.sid: fired.count(row.sid) for row in expected} == {
        row.sid: row.changes for row in expected
    }


async def _until_quiet(house: House, sweepers: list[Jobs]) -> None:
    """Sweep in small steps from both sides until nothing is due."""
    due = "SELECT count(*) FROM conversations WHERE next_timer_at <= $1"
    while cast(int, await house.sql.fetchval(due, house.now)):
        await asyncio.gather(
            *(sweeper.sweep_step(limit=3) for sweeper in sweepers for _ in range(2))
        )
