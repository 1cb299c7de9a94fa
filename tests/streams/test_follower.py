"""The edges of a follower: it dies between sending and settling, it comes back too late, it sleeps
while something happens."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import pytest
from aiohttp import web

from app import egress, ids
from app.model import Account, Service, Sink, Subscription
from app.model.streams import ACTIVE, VALIDATING, WEBHOOK
from app.observe import Observation, Observe, StreamLost, StreamTried
from app.ops.metrics import Metrics
from app.runtime import Runtime
from app.store import gauges, sinks, stream_log, subscriptions
from app.store.database import Database
from app.store.stream_log import Happened
from app.streams.follower import Followers
from app.streams.sending import Sent
from app.streams.types import CONVERSATIONS
from tests.streams.conftest import names
from tests.support.clock import TurnedClock
from tests.support.customer import Customer, customer
from tests.support.settings import ACCOUNT, TOKEN, settings

ADDED = CONVERSATIONS + "message.added"
SERVICE = "IS" + "b" * 32
FAR = 1e9
LEASE_S = 30.0


@dataclass
class Stage:
    """One subscription to a customer's webhook, and nobody who follows it but the test."""

    runtime: Runtime
    customer: Customer
    clock: TurnedClock
    sink: Sink
    subscription: Subscription
    observed: list[Observation]

    def follower(self) -> Followers:
        """The followers of one process."""
        return Followers(self.runtime)

    async def happen(self, *about: str) -> None:
        """Events, in the log."""
        async with self.runtime.db.begin() as tx:
            happened = [
                Happened(ACCOUNT, ids.new(ids.STREAM_EVENT), ADDED, one, json.dumps({"Index": n}))
                for n, one in enumerate(about)
            ]
            await stream_log.add(tx.sql, happened, tx.now)
        async with self.runtime.db.begin() as tx:
            await stream_log.sequence(tx.sql, tx.now)

    def got(self) -> list[list[dict[str, Any]]]:
        """What the customer was sent, call by call."""
        return [hook.json for hook in self.customer.hooks]

    async def position(self) -> tuple[int, bool]:
        """How far the subscription came, and whether it sleeps."""
        async with self.runtime.db.begin() as tx:
            row = await tx.sql.fetchrow("SELECT position, due FROM stream_followers")
        return row["position"], row["due"] is None


@pytest.fixture
async def stage(db: Database, clock: TurnedClock) -> AsyncIterator[Stage]:
    given = settings(streams={"batch_max": 2, "waits_s": [10, 20]})
    observed: list[Observation] = []
    observe = Observe()
    observe.to(observed.append)
    async with customer(TOKEN) as one, egress.client(given.egress, limit=8) as client:
        runtime = Runtime(given, db, client, client, clock, observe, {}, "http://parley.test")
        async with db.begin() as tx:
            dates = {"date_created": tx.now, "date_updated": tx.now}
            owned = {"account_sid": ACCOUNT, "description": "d", **dates}
            await tx.add(Account(sid=ACCOUNT, default_chat_service_sid=SERVICE, **dates))
            await tx.add(Service(sid=SERVICE, account_sid=ACCOUNT, friendly_name="s", **dates))
            there = {"destination": f"{one.url}/stream", "method": "POST", "batch_events": True}
            sink = Sink(
                sid=ids.new("DG"), type=WEBHOOK, status=ACTIVE, configuration=there, **owned
            )
            await tx.add(sink)
            subscription = Subscription(sid=ids.new("DF"), sink_sid=sink.sid, **owned)
            await tx.add(subscription)
            await subscriptions.want(tx, subscription.sid, {ADDED: 2})
            await subscriptions.follow(tx, subscription)
        yield Stage(runtime, one, clock, sink, subscription, observed)


async def test_who_dies_between_sending_and_settling_is_followed_by_the_same_events(
    stage: Stage,
) -> None:
    await stage.happen("CH1", "CH2", "CH3")
    dying, heir = stage.follower(), stage.follower()
    (parcel,) = await dying.claim(8)
    sent = await dying.send(parcel, FAR)  # and dies
    assert await heir.claim(8) == [], "the lease is not over"
    stage.clock.turn(LEASE_S)
    (again,) = await heir.claim(8)
    await heir.settle(again, await heir.send(again, FAR))
    first, second = stage.got()
    assert first == second, "the same ids, in the same order"
    assert await stage.position() == (2, False)
    (last,) = await heir.claim(8)
    await heir.settle(last, await heir.send(last, FAR))
    assert [event["source"] for event in stage.got()[2]] == ["CH3"]
    assert await stage.position() == (3, True)
    await dying.settle(parcel, sent)
    await dying.settle(parcel, Sent(0, "refused"))
    assert await stage.position() == (3, True), "who lost the lease settles nothing"
    for one in (dying, heir):
        await one.release()


async def test_a_failed_batch_stays_the_same_whatever_comes_after_it(stage: Stage) -> None:
    await stage.happen("CH1")
    follower = stage.follower()
    stage.customer.answer = lambda hook: 503
    (parcel,) = await follower.claim(8)
    await follower.settle(parcel, await follower.send(parcel, FAR))
    await stage.happen("CH2")
    assert await follower.claim(8) == [], "it waits"
    stage.clock.turn(12.5)
    stage.customer.answer = lambda hook: 200
    for _ in range(2):
        (parcel,) = await follower.claim(8)
        await follower.settle(parcel, await follower.send(parcel, FAR))
    assert [[event["source"] for event in call] for call in stage.got()] == [
        ["CH1"],
        ["CH1"],
        ["CH2"],
    ]
    await follower.release()


async def test_after_the_whole_schedule_a_batch_is_lost_said_and_counted(stage: Stage) -> None:
    await stage.happen("CH1", "CH2", "CH3")
    follower = stage.follower()
    nonsense = b"PostgreSQL holds no \x00 and no \xff"
    stage.customer.answer = lambda hook: web.Response(status=500, body=nonsense)
    for _ in range(3):
        (parcel,) = await follower.claim(8)
        await follower.settle(parcel, await follower.send(parcel, FAR))
        stage.clock.turn(LEASE_S)
    assert await stage.position() == (2, False)
    lost = [one for one in stage.observed if isinstance(one, StreamLost)]
    assert [(one.events, one.reason, one.first, one.last) for one in lost] == [(2, "refused", 1, 2)]
    metrics = Metrics()
    for one in stage.observed:
        metrics.consume(one)
    page = metrics.page().decode()
    assert 'parley_stream_events_total{outcome="lost",sink="webhook"} 2.0' in page
    assert 'parley_stream_attempts_total{outcome="refused",sink="webhook"} 3.0' in page
    async with stage.runtime.db.begin() as tx:
        assert await gauges.stream_losses(tx.sql) == 1
        lags = await gauges.stream_lags(tx.sql, (WEBHOOK, "kinesis"), tx.now)
    assert lags == {"webhook": 3 * LEASE_S, "kinesis": 0.0}
    await follower.release()


async def test_what_is_kept_no_longer_is_passed_over_and_said(stage: Stage) -> None:
    await stage.happen("CH1", "CH2", "CH3")
    async with stage.runtime.db.begin() as tx:
        await tx.sql.execute("DELETE FROM stream_events WHERE position <= 2")
    follower = stage.follower()
    for _ in range(2):
        (parcel,) = await follower.claim(8)
        await follower.settle(parcel, await follower.send(parcel, FAR))
    assert [event["source"] for call in stage.got() for event in call] == ["CH3"]
    lost = [one for one in stage.observed if isinstance(one, StreamLost)]
    assert [(one.reason, one.first, one.last) for one in lost] == [("trimmed", 1, 2)]
    await follower.release()


async def test_a_follower_that_falls_asleep_while_something_happens_is_woken(
    stage: Stage,
) -> None:
    await stage.happen("CH1")
    follower = stage.follower()
    (parcel,) = await follower.claim(8)
    sent = await follower.send(parcel, FAR)
    await stage.happen("CH2")  # the sequencer finds it awake, and leaves it
    await follower.settle(parcel, sent)
    assert await stage.position() == (1, False), "who settles sees the new head"
    (parcel,) = await follower.claim(8)
    await follower.settle(parcel, await follower.send(parcel, FAR))
    assert await stage.position() == (2, True)
    await stage.happen("CH3")
    assert await stage.position() == (2, False), "the sequencer wakes a sleeper"
    await follower.release()


class Gate(asyncio.Event):
    """Says that somebody waits at it."""

    def __init__(self) -> None:
        super().__init__()
        self.reached = asyncio.Event()

    async def wait(self) -> Literal[True]:
        self.reached.set()
        return await super().wait()


async def test_what_was_in_hand_at_the_end_of_the_drain_is_given_back(stage: Stage) -> None:
    await stage.happen("CH1")
    stopping, other = stage.follower(), stage.follower()
    stage.customer.hold = gate = Gate()
    running = asyncio.create_task(stopping.run())
    await gate.reached.wait()
    assert await other.claim(8) == []
    stopping.close()
    await asyncio.wait([running], timeout=0.05)
    running.cancel()
    await asyncio.wait([running])
    await stopping.release()
    assert len(await other.claim(8)) == 1
    await other.release()


async def test_a_test_is_tried_a_few_times_and_then_the_sink_has_failed(stage: Stage) -> None:
    sink = stage.sink
    sink.status, sink.test_id = VALIDATING, ids.new(ids.SINK_TEST)
    async with stage.runtime.db.begin() as tx:
        await sinks.write(tx, sink)
        await sinks.test(tx, sink)
    stage.customer.answer = lambda hook: 500
    follower = stage.follower()
    for _ in range(3):
        (parcel,) = await follower.claim(8)
        await follower.settle(parcel, await follower.send(parcel, FAR))
        stage.clock.turn(timedelta(minutes=1).total_seconds())
    assert await follower.claim(8) == []
    assert [names(call) for call in stage.got()] == [["com.twilio.eventstreams.test-event"]] * 3
    async with stage.runtime.db.begin() as tx:
        found = await sinks.find(tx, ACCOUNT, sink.sid)
    assert found is not None
    assert found.status == "failed"
    assert [one.attempt for one in stage.observed if isinstance(one, StreamTried)] == [1, 2, 3]
    await follower.release()
