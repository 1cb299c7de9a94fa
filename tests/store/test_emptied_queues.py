"""A queue that was empty when it was vacuumed: until the next time it has no rows for the planner,
to which every way through it is as short. What is asked of it goes along the right index all the
same."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from app.model.traffic import Status
from app.store import (
    carrier_pauses,
    deliveries,
    gaps,
    gauges,
    hook_endpoints,
    outbox,
    paces,
    road,
    schema,
    settling,
)
from app.store.held import PINNED
from app.store.hook_endpoints import Look
from app.store.outbox import NewItem
from app.store.settling import Settled

ACCOUNT = "AC" + "a" * 32
SENDER = f"{ACCOUNT} +15550001000"
NOW = datetime(2030, 1, 1, tzinfo=UTC)
LATER = NOW + timedelta(minutes=5)
PAST, LANES = 20_000, 60
APP = Path(outbox.__file__).parents[1]

LEADING = {
    "outbox_lane": "lane",
    "outbox_pkey": "seq",
    "lanes_pkey": "lane",
    "lanes_due": "kind",
    "lanes_held": "endpoint",
    "hook_endpoints_pkey": "endpoint",
    "hook_endpoints_next": "next_at",
    "hook_endpoints_account": "account_sid",
    "early_statuses_pkey": "carrier",
}
"""The first column of each index: who does not say it reads all of the index."""
KEYS = r"\b(lane|seq|external_id)\b\S* ="
"""What is asked of an index, not looked at in each row."""
TABLES = {"outbox", "lanes", "hook_endpoints", "early_statuses"}
SHORT = {"hook_endpoints"}
"""Of those that fail: read as a whole once in a statement, but not for each row of another."""

# As lanes are called: their index is a level higher than that of the numbers.
CAME = """
WITH lane AS (
  INSERT INTO lanes (lane, kind, due)
  SELECT 'h:WH' || md5(n::text) || ':CH' || md5(n::text), 'hook', $2
  FROM generate_series(1, $1::int) n RETURNING lane, due)
INSERT INTO outbox (lane, kind, token, account_sid, attempts, created_at)
SELECT lane, 'hook', 't', 'AC', 0, due FROM lane
"""
EARLY = """
INSERT INTO early_statuses (carrier, external_id, status, received_at)
SELECT 'lab', 'SM' || md5(n::text), 'sent', $2 FROM generate_series(1, $1::int) n
"""
ENDPOINTS = """
INSERT INTO hook_endpoints (endpoint, account_sid, url, next_at)
SELECT left(md5(n::text), 20), 'AC', 'http://x', $2 FROM generate_series(1, $1::int) n
"""


@pytest.fixture
async def sql(bare_dsn: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection as the loops have it, to queues that had much and were vacuumed when empty."""
    await schema.migrate(bare_dsn, lambda _: None)
    connection = await asyncpg.connect(bare_dsn, server_settings=PINNED)
    for table in sorted(TABLES):
        await connection.execute(f"ALTER TABLE {table} SET (autovacuum_enabled = off)")
    for statement in (CAME, EARLY, ENDPOINTS):
        await connection.execute(statement, PAST, NOW)
    for table in sorted(TABLES):
        await connection.execute(f"DELETE FROM {table}")
        await connection.execute(f"VACUUM (TRUNCATE off) {table}")
    sizes = "SELECT reltuples, relpages > 0 FROM pg_class WHERE relname = ANY ($1)"
    assert {tuple(row) for row in await connection.fetch(sizes, [*TABLES])} == {(0.0, True)}
    yield connection
    await connection.close()


async def fill(sql: asyncpg.Connection) -> None:
    """Work of every kind, two items in each lane."""
    items = [
        NewItem(
            lane=f"{kind[0]}:{n}:{ACCOUNT}",
            kind=kind,
            token=f"{kind}{n}{part}",
            account_sid=ACCOUNT,
            **({"url": f"https://x/{n % 4}"} if kind == "hook" else {"sender": SENDER}),
        )
        for part in range(2)
        for n in range(LANES)
        for kind in ("hook", "delivery")
    ]
    async with sql.transaction():
        await outbox.add(sql, items, NOW)
    await sql.execute(EARLY, LANES, NOW)


async def work(sql: asyncpg.Connection) -> None:
    """What the loops and the gauges ask and do, each of it once."""
    leased: dict[str, Any] = {"lease": "me", "now": NOW, "lease_s": 30.0}
    locked = await hook_endpoints.due(sql, NOW, LANES)
    assert len(locked) == LANES and not any(lane.apart for lane in locked)
    begun = await outbox.start(sql, [lane.lane for lane in locked[:20]], **leased)
    held = [lane for lane in locked[20:40] if lane.endpoint is not None]
    assert len(begun) == len(held) == 20
    await hook_endpoints.hold(sql, held, NOW)
    names = sorted({lane.endpoint or "" for lane in held})
    assert len(await hook_endpoints.queues(sql, NOW, 10, None)) == len(names) == 4
    taken = await hook_endpoints.take(sql, dict.fromkeys(names, 2))
    assert {lane.endpoint for lane in taken} == set(names) and len(taken) == 8
    await hook_endpoints.look_again(sql, [Look(name, LATER) for name in names])
    await hook_endpoints.standing(sql, names)
    await hook_endpoints.end(sql, names)
    again = await hook_endpoints.queues(sql, LATER, 10, names)
    assert list(again) == names, "they have lanes"
    assert await hook_endpoints.next_due(sql, NOW) == NOW

    assert len(await outbox.fence(sql, begun)) == 20
    ends = [
        *(Settled(one, "delivered") for one in begun[:10]),
        *(Settled(one, "refused", dead="no") for one in begun[10:12]),
        *(Settled(one, "refused", due=LATER) for one in begun[12:16]),
    ]
    await settling.settle(sql, ends, NOW)
    assert await sql.fetchval("SELECT count(*) FROM dead_letters") == 2
    await outbox.unbegin(sql, begun[16:18], LATER)
    await outbox.release(sql, begun[18:], NOW)
    await outbox.lock_lanes(sql, "hook", [one.lane for one in begun], NOW)

    lanes = await outbox.due(sql, "delivery", limit=30, **leased)
    assert len(lanes) == 30
    await paces.heads(sql, [lane.lane for lane in lanes])
    await carrier_pauses.hold(sql, [lane.lane for lane in lanes[:5]], NOW)
    await carrier_pauses.routes(sql)
    await carrier_pauses.free(sql, ["d:lab"], 10)
    one_now = await outbox.begin(sql, lanes[5:25], lease="me", now=NOW, rates={SENDER: 10})
    assert len(one_now) == 20, "nobody keeps this pace"
    assert await deliveries.note_instead(sql, one_now[0], "text")
    early = [("lab", f"SM{n}") for n in range(4)]
    await deliveries.keep_early(sql, [Status("lab", name, "sent") for _, name in early], NOW)
    assert len(await deliveries.take_early(sql, early)) == 4
    await outbox.next_due(sql, "delivery")
    await gaps.ask_now(sql, [one.lane for one in one_now], NOW)
    await road.facts(sql, [(ACCOUNT, "+15550001000", "+15550002000", "")])
    assert (await gauges.oldest(sql, ("hook", "delivery"), LATER))["hook"] == 300


async def test_nothing_is_read_that_is_not_asked_for(sql: asyncpg.Connection) -> None:
    """Before, one lane's head was looked for among all items that ever were since the vacuum, once
    for each of them: minutes of a locked road."""
    await fill(sql)
    asked: dict[str, int] = {}
    with sql.query_logger(lambda query: asked.update({query.query: len(query.args)})):
        transaction = sql.transaction()
        await transaction.start()
        await work(sql)
        await transaction.rollback()
    about = [(query, given) for query, given in asked.items() if any(t in query for t in TABLES)]
    assert len(about) > 25
    wrong = {}
    for query, given in about:
        plan = await explained(sql, query, given)
        if bad := [told for node in nodes(plan) if (told := whole(node))]:
            wrong[query] = bad
    assert not wrong, json.dumps(wrong, indent=1)


def test_what_is_locked_and_limited_is_asked_for_once() -> None:
    """Joined with, it may be asked for once for each row of the other side, and what the statement
    has changed by then is passed over: in the end it changes all there is."""
    found = [
        (file.name, before.split()[-1].lstrip("("))
        for file in sorted(APP.rglob("*"))
        if file.suffix in (".py", ".sql")
        for before in openings(file.read_text())
    ]
    assert len(found) > 20
    assert {word for _, word in found} <= {"ARRAY", "AS", "LATERAL"}, found


def openings(text: str) -> Iterator[str]:
    """What stands before each subselect that is limited and passes over what others have locked."""
    for match in re.finditer(r"LIMIT [^()]*SKIP LOCKED", text):
        depth, at = 1, match.start()
        while depth and at and not text.startswith('"""', at - 1):
            at -= 1
            depth += {")": 1, "(": -1}.get(text[at], 0)
        if not depth:
            yield text[:at]


async def explained(sql: asyncpg.Connection, query: str, given: int) -> dict[str, Any]:
    """The plan of a statement with so many parameters, as the loops have it: for any values."""
    await sql.execute(f"PREPARE asked AS {query}")
    values = f"({', '.join(['NULL'] * given)})" if given else ""
    plan = json.loads(await sql.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE asked{values}"))
    await sql.execute("DEALLOCATE asked")
    root: dict[str, Any] = plan[0]["Plan"]
    return root


def nodes(plan: dict[str, Any], above: str = "") -> Iterator[dict[str, Any]]:
    """Every node, with the type of the one above it."""
    yield plan | {"Above": above}
    for one in plan.get("Plans", ()):
        yield from nodes(one, plan["Node Type"])


def whole(node: dict[str, Any]) -> str | None:
    """What is wrong with a node: it may read a whole queue, or all of an index."""
    kind, table = node["Node Type"], node.get("Relation Name")
    if table not in TABLES or "Scan" not in kind or kind == "Tid Scan":
        return None
    if table in SHORT and node.get("Parent Relationship") not in ("SubPlan", "Inner"):
        return None
    index, asked, passed = (node.get(name, "") for name in ("Index Name", "Index Cond", "Filter"))
    if node["Above"] == "Limit" and index and not passed:
        return None  # the first ones of all
    first = LEADING.get(index)
    said = re.search(rf"\b{first}\b\S* [<>=]|ROW\({first},", asked)
    if said and (index == "outbox_pkey" or not re.search(KEYS, passed)):
        return None
    return f"{kind} of {index or table}: {asked or 'all of it'}; passing over {passed or 'nothing'}"
