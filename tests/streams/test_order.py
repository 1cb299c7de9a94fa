"""One order without gaps: late commits are not skipped, and no position is given out twice."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import asyncpg
import pytest

from app.ops import retention
from app.store import stream_log
from app.store.database import Database
from app.store.stream_log import Happened, Logged
from app.streams.reading import Trimmed, read
from app.streams.types import CONVERSATIONS
from tests.support.clock import TurnedClock
from tests.support.database import connected
from tests.support.settings import ACCOUNT

ADDED = CONVERSATIONS + "message.added"
OTHER = "AC" + "b" * 32


def event(name: str, account: str = ACCOUNT, kind: str = ADDED) -> Happened:
    return Happened(account, name, kind, "CH1", "{}")


async def turn(db: Database) -> int:
    """One turn of the sequencer."""
    async with db.begin() as tx:
        return sum((await stream_log.sequence(tx.sql, tx.now)).values())


async def after(db: Database, position: int, account: str = ACCOUNT) -> list[Logged]:
    async with db.begin() as tx:
        return await stream_log.read(tx.sql, account, position, [ADDED], limit=100)


def seen(events: list[Logged]) -> list[tuple[int, str]]:
    return [(one.position, one.id) for one in events]


async def test_a_transaction_that_commits_late_is_read_by_who_read_what_came_after(
    db: Database, dsn: str
) -> None:
    async with connected(dsn) as late:
        holding = late.transaction()
        await holding.start()
        await stream_log.add(late, [event("late")], db.clock.now())  # its serial is drawn: 1
        async with db.begin() as tx:
            await stream_log.add(tx.sql, [event("early")], tx.now)  # 2, and committed
        assert await turn(db) == 1
        assert seen(await after(db, 0)) == [(1, "early")]
        assert await turn(db) == 0, "what is not committed is not there"
        await holding.commit()
    assert await turn(db) == 1
    assert seen(await after(db, 1)) == [(2, "late")], "who went on from 1 finds it"
    assert seen(await after(db, 0)) == [(1, "early"), (2, "late")]


async def test_what_is_rolled_back_leaves_no_gap(db: Database, dsn: str) -> None:
    async with connected(dsn) as undone:
        undoing = undone.transaction()
        await undoing.start()
        await stream_log.add(undone, [event("undone")], db.clock.now())
        async with db.begin() as tx:
            await stream_log.add(tx.sql, [event("a"), event("b")], tx.now)
        await undoing.rollback()
    assert await turn(db) == 2
    assert seen(await after(db, 0)) == [(1, "a"), (2, "b")]


async def test_every_account_counts_for_itself(db: Database) -> None:
    async with db.begin() as tx:
        mixed = [event("a"), event("b", OTHER), event("c"), event("d", OTHER)]
        await stream_log.add(tx.sql, mixed, tx.now)
    assert await turn(db) == 4
    assert seen(await after(db, 0)) == [(1, "a"), (2, "c")]
    assert seen(await after(db, 0, OTHER)) == [(1, "b"), (2, "d")]


async def test_sequencers_take_turns(db: Database) -> None:
    async with db.begin() as tx:
        await stream_log.add(tx.sql, [event(f"{n:03}") for n in range(300)], tx.now)

    async def some() -> int:
        async with db.begin() as tx:
            return sum((await stream_log.sequence(tx.sql, tx.now, limit=50)).values())

    assert sum(await asyncio.gather(*(some() for _ in range(8)))) == 300
    positions = [one.position for one in await after(db, 200)]
    assert positions == list(range(201, 301))
    async with db.begin() as tx:
        ids = await tx.sql.fetch("SELECT id FROM stream_events ORDER BY position")
    assert [row["id"] for row in ids] == [f"{n:03}" for n in range(300)]


async def test_one_reading_is_bounded_in_bytes(db: Database) -> None:
    large = '"' + "x" * 400_000 + '"'
    async with db.begin() as tx:
        rows = [Happened(ACCOUNT, str(n), ADDED, "CH1", large) for n in range(8)]
        await stream_log.add(tx.sql, [*rows, event("unread", kind="other")], tx.now)
    await turn(db)
    assert [one.id for one in await after(db, 0)] == ["0", "1", "2"]
    assert [one.id for one in await after(db, 6)] == ["6", "7", "unread"]
    assert (await after(db, 8))[0].data is None


async def fill(db: Database, names: str) -> None:
    async with db.begin() as tx:
        await stream_log.add(tx.sql, [event(name) for name in names], tx.now)
    await turn(db)


async def trim(db: Database, days: int = 7, events_max: int = 100) -> int:
    async with db.begin() as tx:
        return await retention.stream_events(tx.sql, tx.now, days, events_max=events_max)


async def test_retention_goes_by_age_and_by_count_and_leaves_no_gap(
    db: Database, clock: TurnedClock
) -> None:
    await fill(db, "abc")
    clock.turn(timedelta(days=8).total_seconds())
    await fill(db, "def")
    assert await trim(db) == 3
    assert seen(await after(db, 0)) == [(4, "d"), (5, "e"), (6, "f")]
    assert await trim(db, events_max=1) == 2
    assert await trim(db, events_max=1) == 0
    assert seen(await after(db, 0)) == [(6, "f")]
    clock.turn(timedelta(days=8).total_seconds())
    assert await trim(db) == 1
    async with db.begin() as tx:
        assert await stream_log.extent(tx.sql, ACCOUNT) == stream_log.Extent(6, 6)


async def test_who_comes_too_late_is_told_from_where_on_there_is_something(db: Database) -> None:
    await fill(db, "abc")
    await trim(db, events_max=1)
    async with db.begin() as tx:
        with pytest.raises(Trimmed) as trimmed:
            await read(tx.sql, ACCOUNT, "DG", {ADDED: 2}, 1, 10)
        assert trimmed.value.before == 2
        page = await read(tx.sql, ACCOUNT, "DG", {ADDED: 2}, 2, 10)
        assert ([one.id for one in page.events], page.cursor, page.more) == (["c"], 3, False)


async def test_others_types_are_passed_over_and_the_cursor_goes_on(db: Database) -> None:
    async with db.begin() as tx:
        others = [event(f"{n}", kind="other") for n in range(700)]
        await stream_log.add(tx.sql, [*others, event("wanted"), event("more")], tx.now)
    await turn(db)
    async with db.begin() as tx:
        page = await read(tx.sql, ACCOUNT, "DG", {ADDED: 2}, 0, 1)
        assert ([one.id for one in page.events], page.cursor, page.more) == (["wanted"], 701, True)


async def test_questions_of_the_log_use_its_indexes(sql: asyncpg.Connection) -> None:
    await sql.execute("SET enable_seqscan = off")
    for statement, values in (
        (stream_log.READ, (ACCOUNT, 5, [ADDED], None, 100, 1000)),
        (stream_log.EXTENT, (ACCOUNT,)),
    ):
        plan = await sql.fetch(f"EXPLAIN {statement}", *values)
        assert not any("Seq Scan" in row[0] for row in plan), plan
