"""Definitions are read once, as far as there is room for them."""

from __future__ import annotations

import asyncio
import json
import threading
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from app.api import flow_definition
from app.beside import Crowded, Waiter
from app.definitions import TEXT_MAX, Definitions, Finder
from app.flows import stack
from app.flows.memory import Trigger
from app.store.database import Database
from app.studio.worker import AGAIN_S, AGAIN_S_MAX, ATTEMPTS_MAX, IN_FLIGHT
from tests.support.settings import ACCOUNT

from .conftest import BOTS, flow, state
from .stage import FLOW_SID, staged

LONG = flow(state("say", "send-message", body="x" * 400_000, _sent=None))
PUT = """
INSERT INTO flow_revisions (flow_sid, revision, friendly_name, status, definition, date_created)
SELECT $1, n, 'f', 'draft', $2, now() FROM generate_series(2, $3::int) n
"""


async def test_what_was_read_is_kept_until_there_is_no_room(
    db: Database, sql: asyncpg.Connection
) -> None:
    async with staged(db, sql, BOTS):
        definitions, me = Definitions(db), Waiter(ACCOUNT, FLOW_SID, 20)
        first = await definitions.of(me, FLOW_SID, 1)
        assert first is not None
        assert await definitions.of(me, FLOW_SID, 1) is first
        count = TEXT_MAX // len(LONG) + 2
        await sql.execute(PUT, FLOW_SID, LONG, count + 1)
        for revision in range(2, count + 2):
            assert await definitions.of(me, FLOW_SID, revision) is not None
        again = await definitions.of(me, FLOW_SID, 1)
        assert again == first
        assert again is not first


async def test_what_many_want_after_a_restart_is_read_once(
    db: Database, sql: asyncpg.Connection
) -> None:
    """However many: none of them is one too many."""
    async with staged(db, sql, BOTS):
        definitions = Definitions(db)
        reading = [
            asyncio.create_task(definitions.of(Waiter(ACCOUNT, FLOW_SID, 20), FLOW_SID, 1))
            for _ in range(IN_FLIGHT)
        ]
        taken = 0
        while not all(task.done() for task in reading):
            await asyncio.sleep(0)
            taken = max(taken, db.taken)
        first, *others = (task.result() for task in reading)
        assert first is not None
        assert all(one is first for one in others)
        assert taken == 1, "connections that read it"


async def test_whoever_waits_for_a_reader_that_gives_up_can_come_again(
    db: Database, sql: asyncpg.Connection
) -> None:
    async with staged(db, sql, BOTS):
        definitions, goes_on = Definitions(db), threading.Event()
        me = Waiter(ACCOUNT, FLOW_SID, 20)
        occupied = asyncio.create_task(
            definitions.beside.make(Waiter("other", "", 20), goes_on.wait)
        )
        await asyncio.sleep(0)
        reader = asyncio.create_task(definitions.of(me, FLOW_SID, 1))
        await asyncio.sleep(0)
        other = asyncio.create_task(definitions.of(me, FLOW_SID, 1))
        await asyncio.sleep(0)
        reader.cancel()
        with pytest.raises(Crowded):
            await other
        goes_on.set()
        assert await definitions.of(me, FLOW_SID, 1) is not None
        assert await occupied


@pytest.mark.parametrize("known", [True, False])
async def test_waiting_for_others_uses_no_attempt(
    db: Database, sql: asyncpg.Connection, known: bool
) -> None:
    """Neither to read a definition, nor to walk one slowly. Who waits long asks seldom."""
    async with staged(db, sql, hostile("templates") if known else BOTS) as stage:
        definitions = stage.definitions = Definitions(db, wait_s=0)
        if known:
            assert await definitions.of(Waiter(ACCOUNT, FLOW_SID, 0), FLOW_SID, 1) is not None
        goes_on = threading.Event()
        occupied = asyncio.create_task(
            definitions.beside.make(Waiter("other", "", 20), goes_on.wait)
        )
        await stage.text("hello")
        waits_s = []
        for _ in range(ATTEMPTS_MAX + 1):
            assert await stage.work(), "it is tried again"
            assert not await stage.work(), "later"
            assert await sql.fetchval("SELECT attempts FROM outbox WHERE kind = 'flow'") == 0
            due = await sql.fetchval("SELECT due FROM lanes WHERE kind = 'flow'")
            waits_s.append((due - stage.clock.now()).total_seconds())
            stage.clock.turn(waits_s[-1])
        assert waits_s[:4] == [AGAIN_S, AGAIN_S, 2 * AGAIN_S, 4 * AGAIN_S]
        assert waits_s[-1] == AGAIN_S_MAX
        goes_on.set()
        assert await occupied
        await stage.finish()
        assert await sql.fetchval("SELECT count(*) FROM executions") == 1
        assert await sql.fetchval("SELECT count(*) FROM dead_letters") == 0


async def test_what_is_not_there_or_not_the_accounts_is_not_found(
    db: Database, sql: asyncpg.Connection
) -> None:
    async with staged(db, sql, BOTS):
        definitions = Definitions(db)
        mine, other = Finder(definitions, ACCOUNT), Finder(definitions, "AC" + "f" * 32)
        for revision in ("LatestPublished", "LatestDraft", "1"):
            found = await mine.read(FLOW_SID.lower().replace("fw", "FW"), revision)
            assert found is not None
            assert found[0] == "1"
            assert await other.read(FLOW_SID, revision) is None
        for revision in ("2", "99999999999999999999"):
            assert await mine.read(FLOW_SID, revision) is None
        assert await mine.read("nothing", "LatestPublished") is None


EVIL = "(x+x+)+y"
COUNTS = "{% for i in (1..100) %}{{ i | plus: 1 }}{% endfor %}"
BIG = flow(*(state(f"s{n}", "send-message", body="{{ a }}" * 4_000) for n in range(5)))


def hostile(kind: str) -> str:
    """A flow that goes in a circle as long as it may."""
    if kind == "templates":
        pairs = [{"key": "k", "value": COUNTS}]
        return flow(state("a", "set-variables", variables=pairs, _next="a"))
    made = json.loads(flow(state("a", "split-based-on", input="x", _noMatch="a")))
    condition = {"friendly_name": "x", "arguments": ["x" * 5_000], "type": "regex", "value": EVIL}
    made["states"][1]["transitions"].append(
        {"event": "match", "next": None, "conditions": [condition]}
    )
    return json.dumps(made)


@pytest.mark.parametrize(
    ("kind", "said"), [("templates", "the templates of one event"), ("patterns", "takes more than")]
)
async def test_a_walk_that_takes_long_holds_nobody_up(
    db: Database, sql: asyncpg.Connection, kind: str, said: str
) -> None:
    """The loop turns meanwhile, and the walk ends as it would have."""
    async with staged(db, sql, hostile(kind)):
        finder = Finder(Definitions(db), ACCOUNT)
        found = await finder.read(FLOW_SID, "1")
        assert found is not None
        trigger = Trigger("incomingMessage", datetime.now(UTC), flow_sid=FLOW_SID)
        walk = asyncio.create_task(finder.walk(lambda find: stack.begin(found, trigger, find)))
        assert await turns(walk) > 3
        ended = walk.result().ended
        assert ended is not None
        assert said in ended.error


async def test_a_large_definition_is_read_beside_everything_else() -> None:
    reading = asyncio.create_task(flow_definition.problems(BIG))
    assert await turns(reading) > 3
    assert reading.result() == []


async def turns(task: asyncio.Task[Any]) -> int:
    """How often the event loop turns while a task works, which waits for nothing outside."""
    count = 0
    while not task.done():
        await asyncio.sleep(0)
        count += 1
    return count
