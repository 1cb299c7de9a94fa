"""Jobs: what they do when they are rung, and that nothing stops the ringing."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import asyncpg
import pytest
from sqlmodel import SQLModel

from app import ids
from app.clock import Clock
from app.errors import Unavailable
from app.model import Credential
from app.model.traffic import Status
from app.observe import Failed, Measured, Observation, Said, TimerFired
from app.ops import retention
from app.ops.jobs import Jobs
from app.store import credentials, gauges, outbox
from app.store.database import Database
from app.store.outbox import NewItem
from app.vault import Vault
from tests.ops.conftest import SERVICE, Build, House
from tests.support.clock import TurnedClock
from tests.support.settings import ACCOUNT, SMS

EARLY = """
INSERT INTO early_statuses (carrier, external_id, status, received_at) VALUES ($1, $2, $3, $4)
"""


class Reports:
    """Takes statuses as the settler does."""

    def __init__(self, *, found: bool = True) -> None:
        self.statuses: list[Status] = []
        self.found = found

    async def __call__(self, status: Status) -> bool:
        self.statuses.append(status)
        return self.found


async def receipt(house: House, sid: str, external_id: str) -> None:
    """A receipt that knows its carrier's id."""
    conversation_sid = await house.conversation()
    await house.sql.execute(
        "INSERT INTO messages (sid, account_sid, chat_service_sid, conversation_sid, index, author,"
        " source, date_created, date_updated) VALUES ($1, $2, $3, $4, 0, 'a', 'API', $5, $5)",
        "IM" + sid[2:],
        ACCOUNT,
        SERVICE,
        conversation_sid,
        house.now,
    )
    await house.sql.execute(
        "INSERT INTO receipts (sid, account_sid, chat_service_sid, conversation_sid, message_sid,"
        " participant_sid, channel, address, proxy_address, carrier, external_id, status,"
        " date_created, date_updated)"
        " VALUES ($1, $2, $3, $4, $5, 'MB', 'sms', '+15551230001', $6, 'lab', $7, 'sent', $8, $8)",
        sid,
        ACCOUNT,
        SERVICE,
        conversation_sid,
        "IM" + sid[2:],
        SMS,
        external_id,
        house.now,
    )


async def test_an_early_status_is_settled_when_its_send_is_known_and_then_forgotten(
    house: House,
) -> None:
    await house.sql.execute(EARLY, "lab", "SM1", "delivered", house.now)
    await house.sql.execute(EARLY, "lab", "SM2", "delivered", house.now)
    await receipt(house, "DY" + "1" * 32, "SM1")
    reports = Reports()
    await Jobs(house.runtime, reports).settle_early()
    assert reports.statuses == [Status("lab", "SM1", "delivered")]
    left = await house.sql.fetch("SELECT external_id FROM early_statuses")
    assert [row["external_id"] for row in left] == ["SM2"]


async def test_a_later_status_that_took_the_place_of_the_settled_one_stays(house: House) -> None:
    await house.sql.execute(EARLY, "lab", "SM1", "sent", house.now)
    await receipt(house, "DY" + "1" * 32, "SM1")

    async def report(status: Status) -> bool:
        await house.sql.execute("UPDATE early_statuses SET status = 'delivered'")
        return True

    await Jobs(house.runtime, report).settle_early()
    assert await house.sql.fetchval("SELECT status FROM early_statuses") == "delivered"


async def test_a_status_that_could_not_be_settled_is_kept(house: House) -> None:
    await house.sql.execute(EARLY, "lab", "SM1", "sent", house.now)
    await receipt(house, "DY" + "1" * 32, "SM1")
    await Jobs(house.runtime, Reports(found=False)).settle_early()
    assert await house.sql.fetchval("SELECT count(*) FROM early_statuses") == 1


async def test_gauges_tell_the_oldest_item_and_the_dead_letters(
    house: House, clock: TurnedClock
) -> None:
    items = [
        NewItem(lane=f"lane {kind}", kind=kind, token="t", account_sid=ACCOUNT)
        for kind in ("delivery", "hook")
    ]
    async with house.runtime.db.begin() as tx:
        await outbox.add(tx.sql, items[:1], tx.now)
    clock.turn(40)
    async with house.runtime.db.begin() as tx:
        await outbox.add(tx.sql, items, tx.now)
        await tx.sql.execute(
            "INSERT INTO dead_letters (lane, kind, account_sid, token, created_at, seq, reason,"
            " died_at) SELECT 'l', 'hook', $1, 't', $2, n, 'r', $2 FROM generate_series(1, 3) n",
            ACCOUNT,
            tx.now,
        )
    clock.turn(2)
    await Jobs(house.runtime, Reports()).measure()
    measured = {(one.name, one.label): one.value for one in house.seen(Measured)}
    assert measured.pop(("db_pool_wait_seconds", None)) == 0  # the clock stands still
    assert measured == {
        ("carrier_paused", "lab"): False,
        ("outbox_oldest_seconds", "delivery"): 42.0,
        ("outbox_oldest_seconds", "hook"): 2.0,
        ("outbox_oldest_seconds", "ask"): 0.0,
        ("outbox_oldest_seconds", "media"): 0.0,
        ("outbox_oldest_seconds", "flow"): 0.0,
        ("dead_letters", "flow"): 0,
        ("dead_letters", "ask"): 0,
        ("dead_letters", "media"): 0,
        ("dead_letters", "delivery"): 0,
        ("dead_letters", "hook"): 3,
        ("hook_targets_paused", None): 0,
        ("dead_letters", "stream"): 0,
        ("stream_intake_oldest_seconds", None): 0,
        ("stream_lag_seconds", "webhook"): 0,
        ("stream_lag_seconds", "kinesis"): 0,
    }


async def test_the_oldest_of_a_kind_is_found_behind_any_number_of_the_other(
    house: House, clock: TurnedClock
) -> None:
    many = [
        NewItem(lane=f"d:{n % 7}", kind="delivery", token="t", account_sid=ACCOUNT)
        for n in range(2 * gauges.LOOKED_AT)
    ]
    hooks = [NewItem(lane=f"h:{n}", kind="hook", token="t", account_sid=ACCOUNT) for n in range(3)]
    async with house.runtime.db.begin() as tx:
        await outbox.add(tx.sql, many, tx.now)
    for hook in hooks:
        clock.turn(10)
        async with house.runtime.db.begin() as tx:
            await outbox.add(tx.sql, [hook], tx.now)
    async with house.runtime.db.begin() as tx:
        found = await gauges.oldest(tx.sql, ("delivery", "hook", "other"), tx.now)
    assert found == {"delivery": 30.0, "hook": 20.0, "other": 0.0}


async def test_secrets_under_an_older_key_are_sealed_by_the_first_one(house: House) -> None:
    new, old, lost = "n" * 32, "o" * 32, "l" * 32
    made = []
    for key in (old, lost):
        credential = Credential(
            sid=ids.new(ids.CREDENTIAL),
            account_sid=ACCOUNT,
            type="fcm",
            date_created=house.now,
            date_updated=house.now,
        )
        credentials.seal(credential, Vault([key]), "secret", "s")
        async with house.runtime.db.begin() as tx:
            await tx.add(credential)
        made.append(credential.sid)
    jobs = Jobs(house.runtime, Reports())
    await jobs.reseal()
    assert house.seen(Said) == []
    house.runtime.vault = Vault([new, old])
    await jobs.reseal()
    async with house.runtime.db.begin() as tx:
        kept = [await credentials.find(tx, ACCOUNT, sid) for sid in made]
    assert kept[0] is not None
    assert credentials.reveal(kept[0], Vault([new])) == {"secret": "s"}
    lost, files = house.seen(Said)
    assert (lost.level, lost.detail.partition(" ")[0]) == ("warning", "1")
    assert (files.level, files.detail) == ("info", "files no longer need the keys after the first")


async def test_an_empty_outbox_has_no_age(house: House) -> None:
    await Jobs(house.runtime, Reports()).measure()
    oldest = [one for one in house.seen(Measured) if one.name == "outbox_oldest_seconds"]
    assert [one.value for one in oldest] == [0.0] * 5


async def test_retention_deletes_what_is_too_old_and_nothing_else(
    house: House, clock: TurnedClock
) -> None:
    many = retention.BATCH_MAX + 50
    await house.sql.execute(
        "INSERT INTO attempts (kind, seq, number, outcome, started_at, finished_at)"
        " SELECT 'hook', n, 1, 'delivered', $1::timestamptz + make_interval(days => n / $2),"
        " $1::timestamptz + make_interval(days => n / $2) FROM generate_series(0, 2 * $2 - 1) n",
        house.now,
        many,
    )
    await house.sql.execute(
        "INSERT INTO decisions (sid, account_sid, carrier, external_id, address, proxy_address,"
        " signature, rule, outcome, steps, received_at) SELECT 'RD' || n, $1, 'lab', n, 'a', 'p',"
        " 'valid', 'none', 'dropped', '[]', $2::timestamptz + make_interval(days => n)"
        " FROM generate_series(0, 1) n",
        ACCOUNT,
        house.now,
    )
    await house.sql.execute(
        "INSERT INTO changes (conversation_sid, revision, thing_sid, chat_service_sid, kind, stamp)"
        " SELECT 'CH', n, 'MB', 'IS', 'updated',"
        " (extract(epoch FROM $1::timestamptz + make_interval(days => n)) * 1000000)::bigint"
        " FROM generate_series(0, 1) n",
        house.now,
    )
    await house.sql.execute(EARLY, "lab", "old", "sent", house.now)
    await house.sql.execute(EARLY, "lab", "new", "sent", house.now + timedelta(days=85))
    clock.turn(30.5 * 86_400)
    jobs = Jobs(house.runtime, Reports())
    await jobs.retain()
    assert await house.sql.fetchval("SELECT count(*) FROM attempts") == many
    assert await house.sql.fetchval("SELECT count(*) FROM decisions") == 2
    assert [row[0] for row in await house.sql.fetch("SELECT revision FROM changes")] == [1]
    clock.turn(60 * 86_400)
    await jobs.retain()
    assert await house.sql.fetchval("SELECT count(*) FROM attempts") == 0
    assert [row["sid"] for row in await house.sql.fetch("SELECT sid FROM decisions")] == ["RD1"]
    early = await house.sql.fetch("SELECT external_id FROM early_statuses")
    assert [row["external_id"] for row in early] == ["new"]


async def test_what_was_given_up_or_dropped_is_forgotten_by_age_but_not_that_it_came(
    house: House, clock: TurnedClock
) -> None:
    many = retention.BATCH_MAX + 10
    await house.sql.execute(
        "INSERT INTO dead_letters (lane, kind, account_sid, token, created_at, seq, reason,"
        " died_at) SELECT 'l', 'hook', 'AC', 't', $1, n, 'r', $1::timestamptz +"
        " make_interval(days => n / $2) FROM generate_series(0, $2) n",
        house.now,
        many,
    )
    await house.sql.execute(
        "INSERT INTO inbox (carrier, external_id, account_sid, payload, received_at)"
        " SELECT 'lab', n, 'AC', '{\"body\": \"hi\"}', $1::timestamptz +"
        " make_interval(days => n / $2) FROM generate_series(0, $2) n",
        house.now,
        many,
    )
    clock.turn(90.5 * 86_400)
    await Jobs(house.runtime, Reports()).retain()
    assert [row["seq"] for row in await house.sql.fetch("SELECT seq FROM dead_letters")] == [many]
    kept = await house.sql.fetch("SELECT external_id FROM inbox WHERE payload IS NOT NULL")
    assert [row["external_id"] for row in kept] == [str(many)]
    assert await house.sql.fetchval("SELECT count(*) FROM inbox") == many + 1


@pytest.fixture
async def ringing(dsn: str, build: Build) -> Any:
    """A house with a real clock: jobs are rung by it."""
    db = Database(dsn, Clock())
    yield await build(db)
    await db.close()


class Waiting:
    """Set when an observation is the one waited for."""

    def __init__(self, house: House, wanted: Callable[[Observation], bool]) -> None:
        self._came = asyncio.Event()
        house.runtime.observe.to(lambda seen: self._came.set() if wanted(seen) else None)

    async def come(self) -> None:
        await asyncio.wait_for(self._came.wait(), 15)


async def test_the_jobs_are_rung_by_the_clock(ringing: House) -> None:
    due = ringing.now - timedelta(seconds=5)
    sid = await ringing.conversation(
        closed_timer_s=600,
        active_at=due - timedelta(seconds=600),
        state_at=due - timedelta(seconds=600),
        next_timer_at=due,
    )
    fired = Waiting(ringing, lambda seen: isinstance(seen, TimerFired))
    measured = Waiting(ringing, lambda seen: isinstance(seen, Measured))
    jobs = Jobs(ringing.runtime, Reports())
    jobs.start()
    await fired.come()
    await measured.come()
    await jobs.stop()
    (one,) = ringing.seen(TimerFired)
    assert (one.conversation_sid, one.state) == (sid, "closed")
    assert 5 <= one.lag_s < 15
    assert ringing.seen(Failed) == []


async def test_a_job_that_fails_is_rung_again(ringing: House) -> None:
    await ringing.sql.execute(EARLY, "lab", "SM1", "sent", ringing.now)
    await receipt(ringing, "DY" + "1" * 32, "SM1")
    tries = 0

    async def report(status: Status) -> bool:
        nonlocal tries
        tries += 1
        raise ValueError("broken") if tries == 1 else Unavailable("away")

    failed = Waiting(ringing, lambda seen: isinstance(seen, Failed))
    jobs = Jobs(ringing.runtime, report)
    jobs.start()
    await failed.come()
    async with asyncio.timeout(10):
        while tries < 3:
            await asyncio.sleep(0.05)
    await jobs.stop()
    assert [one.where for one in ringing.seen(Failed)] == ["early statuses"]


async def test_stop_waits_for_what_is_under_way(ringing: House) -> None:
    await ringing.sql.execute(EARLY, "lab", "SM1", "sent", ringing.now)
    await receipt(ringing, "DY" + "1" * 32, "SM1")
    began, may_end = asyncio.Event(), asyncio.Event()

    async def report(status: Status) -> bool:
        began.set()
        await may_end.wait()
        return True

    jobs = Jobs(ringing.runtime, report)
    jobs.start()
    await asyncio.wait_for(began.wait(), 10)
    async with asyncio.TaskGroup() as group:
        stopping = group.create_task(jobs.stop())
        await asyncio.sleep(0.05)
        assert not stopping.done()
        may_end.set()
    assert await ringing.sql.fetchval("SELECT count(*) FROM early_statuses") == 0


async def test_jobs_that_were_never_started_stop_at_once(house: House) -> None:
    await Jobs(house.runtime, Reports()).stop()


async def test_who_wrote_long_ago_is_forgotten(house: House, clock: TurnedClock) -> None:
    many = retention.BATCH_MAX + 10
    await house.sql.execute(
        "INSERT INTO messaging_windows (account_sid, proxy_address, address, last_inbound_at)"
        " SELECT $1, 'whatsapp:a', 'whatsapp:' || n,"
        " $2::timestamptz + make_interval(days => n / $3)"
        " FROM generate_series(0, $3) n",
        ACCOUNT,
        house.now,
        many,
    )
    clock.turn(30.5 * 86_400)
    await Jobs(house.runtime, Reports()).retain()
    left = await house.sql.fetch("SELECT address FROM messaging_windows")
    assert [row["address"] for row in left] == [f"whatsapp:{many}"]


def test_every_table_says_when_its_rows_go() -> None:
    listed = [line.split("|")[1] for line in (retention.__doc__ or "").splitlines() if "|" in line]
    said = [word for cell in listed for word in re.findall(r"[a-z_]+", cell)][1:]
    assert sorted(said) == sorted(SQLModel.metadata.tables)


async def test_retention_reads_no_more_than_a_batch(house: House, sql: asyncpg.Connection) -> None:
    for statement in (retention.ATTEMPTS, retention.DECISIONS, retention.SESSIONS):
        await sql.execute("SET enable_seqscan = off")
        plan = await sql.fetch(f"EXPLAIN {statement}", house.now, 10)
        assert "Seq Scan" not in "\n".join(row[0] for row in plan)
