"""Lanes on a real database: order, leases, fences, turns of rated senders."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st

from app.store import outbox, settling
from app.store.outbox import Claimed, NewItem
from app.store.settling import Settled
from tests.support.database import connected

ACCOUNT = "AC" + "a" * 32
NOW = datetime(2030, 1, 1, tzinfo=UTC)
RATES = {f"{ACCOUNT} +1": 2.0}


def item(lane: str, name: str, **more: str) -> NewItem:
    return NewItem(lane=lane, kind="hook", token=name, account_sid=ACCOUNT, **more)


def test_an_item_has_the_columns_that_are_read_of_it() -> None:
    """What is called otherwise would be lost without a word."""
    listed = re.search(
        r"json_to_recordset\(\$1::text::json\) AS \((.*?)\)\)", outbox.ADD, re.DOTALL
    )
    assert listed
    assert set(NewItem.__annotations__) == {one.split()[0] for one in listed[1].split(",")}


async def add(sql: asyncpg.Connection, *items: NewItem) -> None:
    async with sql.transaction():
        await outbox.add(sql, items, NOW)


async def claim(
    sql: asyncpg.Connection,
    lease: str = "a",
    *,
    at: datetime = NOW,
    limit: int = 10,
    rates: dict[str, float] | None = None,
) -> list[Claimed]:
    async with sql.transaction():
        claimed = await outbox.claim(
            sql, "hook", limit=limit, lease=lease, now=at, lease_s=30, rates=rates or {}
        )
    return sorted(claimed, key=lambda one: one.seq)


async def rated_sender(sql: asyncpg.Connection) -> None:
    await sql.execute(
        "INSERT INTO accounts (sid, default_chat_service_sid, date_created, date_updated)"
        " VALUES ($1, '', now(), now())",
        ACCOUNT,
    )
    await sql.execute(
        "INSERT INTO senders (account_sid, address, carrier) VALUES ($1, '+1', 'lab')", ACCOUNT
    )


async def settle(sql: asyncpg.Connection, *settled: Settled, at: datetime = NOW) -> set[int]:
    async with sql.transaction():
        ours = await outbox.fence(sql, [one.item for one in settled])
        await settling.settle(sql, [one for one in settled if one.item.seq in ours], at)
    return ours


async def test_only_the_head_of_a_lane_is_claimed_and_lanes_go_in_parallel(
    sql: asyncpg.Connection,
) -> None:
    await add(sql, item("b", "b1"), item("a", "a1"), item("b", "b2"))
    first = await claim(sql)
    assert [(one.lane, one.token, one.attempts) for one in first] == [
        ("b", "b1", 1),
        ("a", "a1", 1),
    ]
    assert await claim(sql) == []
    await settle(sql, *(Settled(one, "delivered") for one in first))
    assert [one.token for one in await claim(sql)] == ["b2"]
    assert await sql.fetchval("SELECT array_agg(lane) FROM lanes") == ["b"]


async def test_a_lane_whose_items_are_done_has_no_row(sql: asyncpg.Connection) -> None:
    await add(sql, item("a", "1"))
    await settle(sql, Settled((await claim(sql))[0], "delivered"))
    assert await sql.fetchval("SELECT count(*) FROM lanes") == 0
    assert await sql.fetchval("SELECT count(*) FROM outbox") == 0
    assert await sql.fetchval("SELECT outcome FROM attempts") == "delivered"


async def test_a_retry_waits_for_its_time_and_keeps_its_place(sql: asyncpg.Connection) -> None:
    await add(sql, item("a", "1"), item("a", "2"))
    later = NOW + timedelta(seconds=60)
    await settle(sql, Settled((await claim(sql))[0], "refused", due=later))
    assert await claim(sql) == []
    again = (await claim(sql, at=later))[0]
    assert (again.token, again.attempts, again.unknown_since) == ("1", 2, None)


async def test_a_lease_that_ran_out_is_taken_over_and_its_holder_is_fenced_off(
    sql: asyncpg.Connection,
) -> None:
    await add(sql, item("a", "1"))
    late = (await claim(sql, "late"))[0]
    after = NOW + timedelta(seconds=31)
    new = (await claim(sql, "new", at=after))[0]
    assert new.unknown_since == NOW, "nobody knows what the first attempt did"
    assert await settle(sql, Settled(late, "delivered")) == set()
    assert await sql.fetchval("SELECT count(*) FROM outbox") == 1
    assert await settle(sql, Settled(new, "delivered"), at=after) == {new.seq}


async def test_an_unknown_outcome_keeps_the_time_of_its_first_attempt(
    sql: asyncpg.Connection,
) -> None:
    await add(sql, item("a", "1"))
    for step in range(3):
        at = NOW + timedelta(seconds=step)
        again = (await claim(sql, at=at))[0]
        assert again.unknown_since == (NOW if step else None)
        await settle(sql, Settled(again, "unknown", due=at, unknown=True), at=at)


async def test_the_dead_are_buried_whole_and_the_lane_goes_on(sql: asyncpg.Connection) -> None:
    await add(sql, item("a", "1", event="onMessageAdded", url="https://x"), item("a", "2"))
    await settle(sql, Settled((await claim(sql))[0], "refused", dead="given up"))
    buried = await sql.fetchrow("SELECT token, event, url, reason, attempts FROM dead_letters")
    assert tuple(buried) == ("1", "onMessageAdded", "https://x", "given up", 1)
    assert [one.token for one in await claim(sql)] == ["2"]


async def test_given_back_leases_can_be_claimed_at_once(sql: asyncpg.Connection) -> None:
    await add(sql, item("a", "1"))
    left = await claim(sql, "left")
    async with sql.transaction():
        await outbox.release(sql, left, NOW)
    assert (await claim(sql, "next"))[0].unknown_since == NOW


async def test_a_rated_senders_lanes_get_turns_and_others_do_not_wait(
    sql: asyncpg.Connection,
) -> None:
    await rated_sender(sql)
    rated = [item(f"r{n}", f"r{n}", sender=f"{ACCOUNT} +1") for n in range(5)]
    await add(sql, *rated, item("free", "free"))
    first = await claim(sql, rates=RATES)
    assert sorted(one.lane for one in first) == ["free", "r0"]
    taken = []
    for step in range(1, 5):
        at = NOW + timedelta(seconds=step * 0.5)
        turn = await claim(sql, at=at, rates=RATES)
        taken += [one.lane for one in turn]
        assert len(turn) == 1
    assert sorted(taken) == ["r1", "r2", "r3", "r4"]


async def test_who_is_due_longest_is_claimed_first(sql: asyncpg.Connection) -> None:
    """Whoever has fewer places than lanes gives them to the first ones (app/inbound/asking.py)."""
    for lane, seconds in {"a": 3, "b": 2, "c": 0, "d": 1}.items():
        async with sql.transaction():
            await outbox.add(sql, [item(lane, lane)], NOW + timedelta(seconds=seconds))
    at = NOW + timedelta(seconds=10)
    async with sql.transaction():
        lanes = await outbox.due(sql, "hook", limit=3, lease="x", now=at, lease_s=30)
        heads = await outbox.begin(sql, lanes, lease="x", now=at, rates={})
    assert [one.lane for one in lanes] == ["c", "d", "b"]
    assert [one.lane for one in heads] == ["c", "d", "b"]


async def test_who_was_due_first_has_the_first_turn(sql: asyncpg.Connection) -> None:
    await rated_sender(sql)
    for lane, seconds in {"a": 1, "b": 2, "c": 0}.items():
        async with sql.transaction():
            one = item(lane, lane, sender=f"{ACCOUNT} +1")
            await outbox.add(sql, [one], NOW + timedelta(seconds=seconds))
    turns = [
        [one.lane for one in await claim(sql, at=NOW + timedelta(seconds=at), rates=RATES)]
        for at in (10, 10.5, 11)
    ]
    assert turns == [["c"], ["a"], ["b"]]


async def test_turns_that_nobody_took_are_given_out_again(sql: asyncpg.Connection) -> None:
    """After an hour without a worker a rated sender does not send everything at once."""
    await rated_sender(sql)
    await add(sql, *(item(f"r{n}", f"r{n}", sender=f"{ACCOUNT} +1") for n in range(10)))
    rates = {f"{ACCOUNT} +1": 1.0}
    assert len(await claim(sql, rates=rates)) == 1
    hour = NOW + timedelta(hours=1)
    assert len(await claim(sql, at=hour, limit=20, rates=rates)) <= 2
    later = hour + timedelta(seconds=1)
    assert len(await claim(sql, at=later, limit=20, rates=rates)) == 1


async def test_lanes_of_a_sender_that_is_gone_do_not_wait(sql: asyncpg.Connection) -> None:
    await add(sql, *(item(f"r{n}", f"r{n}", sender=f"{ACCOUNT} +1") for n in range(3)))
    assert len(await claim(sql, rates={f"{ACCOUNT} +1": 1.0})) == 3


async def test_people_of_a_country_get_turns_of_their_own(sql: asyncpg.Connection) -> None:
    lanes = [item(f"gb{n}", f"gb{n}", sender=f"{ACCOUNT} +1 GB") for n in range(4)]
    await add(sql, *lanes, item("us", "us", sender=f"{ACCOUNT} +1 US"))
    rates = {f"{ACCOUNT} +1 GB": 2.0, f"{ACCOUNT} +1 US": 1.0}
    assert sorted(one.lane for one in await claim(sql, rates=rates)) == ["gb0", "us"]
    for step in range(1, 4):
        at = NOW + timedelta(seconds=step * 0.5)
        assert len(await claim(sql, at=at, rates=rates)) == 1
    turn = await sql.fetchval("SELECT next_slot_at FROM sender_paces WHERE country = 'GB'")
    assert turn == NOW + timedelta(seconds=2)


async def test_two_workers_never_hold_the_same_lane(dsn: str, sql: asyncpg.Connection) -> None:
    await add(sql, *(item(f"l{n % 20}", f"{n}") for n in range(200)))
    seen: dict[str, list[int]] = {}

    async def work(name: str) -> None:
        async with connected(dsn) as own:
            while claimed := await claim(own, name, limit=7):
                for one in claimed:
                    seen.setdefault(one.lane, []).append(int(one.token))
                await asyncio.sleep(0)
                assert len(await settle(own, *(Settled(one, "ok") for one in claimed))) == len(
                    claimed
                )

    await asyncio.gather(*(work(f"w{n}") for n in range(4)))
    while claimed := await claim(sql):
        for one in claimed:
            seen[one.lane].append(int(one.token))
        await settle(sql, *(Settled(one, "ok") for one in claimed))
    assert sum(map(len, seen.values())) == 200
    assert all(tokens == sorted(tokens) for tokens in seen.values())


@examples(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    lanes=st.lists(st.sampled_from("abc"), min_size=1, max_size=12),
    fates=st.lists(st.sampled_from(["done", "again", "dead", "lost"]), max_size=30),
)
async def test_whatever_becomes_of_attempts_a_lane_keeps_its_order(
    sql: asyncpg.Connection, lanes: Sequence[str], fates: Sequence[str]
) -> None:
    await sql.execute("DELETE FROM outbox; DELETE FROM lanes; DELETE FROM dead_letters")
    await add(sql, *(item(lane, f"{n}") for n, lane in enumerate(lanes)))
    ended: dict[str, list[int]] = {}
    at, fate = NOW, iter(fates)
    for _ in range(200):
        at += timedelta(seconds=31)
        claimed = await claim(sql, f"{at}", at=at)
        if not claimed:
            break
        for one in claimed:
            what = next(fate, "done")
            if what == "lost":
                continue
            if what == "again":
                await settle(sql, Settled(one, "refused", due=at), at=at)
                continue
            await settle(sql, Settled(one, "x", dead="d" if what == "dead" else None), at=at)
            ended.setdefault(one.lane, []).append(int(one.token))
    assert sum(map(len, ended.values())) == len(lanes)
    assert all(tokens == sorted(tokens) for tokens in ended.values())
    assert await sql.fetchval("SELECT count(*) FROM lanes") == 0


async def test_who_settles_lanes_and_begins_others_locks_all_in_their_order(
    dsn: str, sql: asyncpg.Connection
) -> None:
    """Two transactions that answer the one lane and begin to wait in the other, crosswise."""
    now = datetime(2030, 1, 1, tzinfo=UTC)
    names = ("a:A", "a:Z")
    added = [NewItem(lane=one, kind="ask", token="t", account_sid="AC", params={}) for one in names]
    await outbox.add(sql, added, now)
    claimed = await outbox.claim(sql, "ask", limit=9, lease="L", now=now, lease_s=30, rates={})
    by_lane = {item.lane: item for item in claimed}
    met = asyncio.Barrier(2)

    async def walk(answers: str, begins: str) -> None:
        async with connected(dsn) as own, own.transaction():
            await met.wait()
            await outbox.lock_lanes(own, "ask", sorted([answers, begins]), now)
            assert await outbox.fence(own, [by_lane[answers]]) == {by_lane[answers].seq}
            one = NewItem(lane=begins, kind="ask", token="t", account_sid="AC", params={})
            await outbox.add(own, [one], now)

    await asyncio.gather(walk("a:Z", "a:A"), walk("a:A", "a:Z"))
    assert await sql.fetchval("SELECT count(*) FROM outbox") == 4
