"""Followers send each subscription's events to its sink: in order, at least once, each sink at its
own pace.

A turn leases the followers that are due and reads what comes next for each, in one transaction; the
sending is outside of any. Then the follower's position moves, in order, under the fence of its
lease. A process that dies in between sends the same events again, with the same ids. A sink that
does not take them holds up nobody else: its follower is due again when its wait is over, for 4
hours; then that batch is given up (kept in `stream_losses`, counted, logged) and the next one goes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

import asyncpg

from app import ids
from app.errors import Unavailable
from app.lanes import ATTEMPT_SHARE, MOMENT_S, POLL_S, SETTLE_AGAIN_S
from app.model.streams import FOLLOW, KINESIS, WEBHOOK
from app.observe import Failed, StreamLost, StreamTried
from app.runtime import Runtime
from app.store import stream_followers, stream_log
from app.store.stream_followers import Claimed, Settled
from app.streams.cloudevents import test_event
from app.streams.kinesis import Kinesis
from app.streams.parcel import Parcel
from app.streams.sending import DETAIL_CHARS_MAX, Sent, Sink
from app.streams.webhook import Webhook, together

CLAIM_MAX = 32
TEST_ATTEMPTS_MAX = 3


class Followers:
    """The loop of one process."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._schedule = runtime.settings.streams
        usual_s = 3 * self._schedule.timeout_s + 15
        self._lease_s = self._schedule.effective_lease_s(usual_s)
        self._sinks: Mapping[str, Sink] = {WEBHOOK: Webhook(runtime), KINESIS: Kinesis(runtime)}
        self._held = runtime.db.hold(pinned=True)
        self._bell = runtime.wakes.bell(FOLLOW)
        self._busy = 0
        self._left: list[Claimed] = []
        self._closing = False

    def close(self) -> None:
        """Claim nothing more; `run` returns when what is in flight has ended."""
        self._closing = True
        self._bell.set()

    async def run(self) -> None:
        """Follow until closed."""
        async with asyncio.TaskGroup() as group:
            while not self._closing:
                await self._turn(group)

    async def release(self) -> None:
        """Give back the leases of what was cancelled at the end of the drain; close everything."""
        with suppress(Unavailable):
            if self._left:
                async with self._held.begin() as sql:
                    now = self._runtime.clock.now()
                    await stream_followers.release(sql, self._left, now)
        await self._held.close()
        for sink in self._sinks.values():
            await sink.close()

    async def claim(self, limit: int) -> list[Parcel]:
        """Lease what is due and read what comes next for it. Raises Unavailable."""
        now = self._runtime.clock.now()
        async with self._held.begin() as sql:
            claimed = await stream_followers.claim(
                sql, limit=limit, lease=ids.token(), now=now, lease_s=self._lease_s
            )
            return [await self._parcel(sql, one) for one in claimed]

    async def _turn(self, group: asyncio.TaskGroup) -> None:
        self._bell.clear()
        room = min(self._schedule.in_flight - self._busy, CLAIM_MAX)
        cut_at = self._runtime.clock.monotonic() + ATTEMPT_SHARE * self._lease_s
        try:
            parcels = await self.claim(room) if room > 0 else []
            wait_s = POLL_S if len(parcels) == room else await self._wait_s()
        except Unavailable:
            await self._runtime.clock.sleep(0.2)
            return
        except Exception as error:
            self._runtime.observe(Failed("claiming followers", error))
            await self._runtime.clock.sleep(POLL_S)
            return
        for parcel in parcels:
            self._busy += 1
            group.create_task(self._one(parcel, cut_at))
        if len(parcels) < room or room <= 0:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._bell.wait(), wait_s)

    async def _wait_s(self) -> float:
        """How long nothing is due; at least a moment, at most a poll."""
        async with self._held.begin() as sql:
            due = await stream_followers.next_due(sql)
        if due is None:
            return POLL_S
        left_s = (due - self._runtime.clock.now()).total_seconds()
        return min(POLL_S, max(MOMENT_S, left_s))

    async def _parcel(self, sql: asyncpg.Connection, one: Claimed) -> Parcel:
        if one.subscription_sid is None:
            now = self._runtime.clock.now()
            event = test_event(one.sid, ids.new(ids.STREAM_EVENT), one.sink_sid, now)
            return Parcel(one, [event], together=True)
        batched = one.sink_type != WEBHOOK or together(one.configuration)
        events = await stream_log.read(
            sql,
            one.account_sid,
            one.position,
            one.wanted,
            limit=self._schedule.batch_max,
            upto=one.upto,
        )
        if events and events[0].position == one.position + 1:
            return Parcel(one, events, batched)
        before = (await stream_log.extent(sql, one.account_sid)).before
        gone_upto = before if before > one.position else None
        return Parcel(one, (), batched, gone_upto)

    async def _one(self, parcel: Parcel, cut_at: float) -> None:
        try:
            sent = await self.send(parcel, cut_at)
            await self._write_down(parcel, sent, cut_at + (1 - ATTEMPT_SHARE) * self._lease_s)
        except Exception as error:
            self._runtime.observe(Failed("settling a follower", error))
        finally:
            self._busy -= 1
            self._bell.set()

    async def send(self, parcel: Parcel, cut_at: float) -> Sent:
        """One attempt, cut before its lease ends; whatever breaks in it did not arrive."""
        if not parcel.wanted:
            return Sent(0, "delivered")
        clock, one = self._runtime.clock, parcel.follower
        started = clock.monotonic()
        try:
            async with asyncio.timeout(max(0.0, cut_at - started)):
                sent = await self._sinks[one.sink_type].send(one, parcel.messages)
        except asyncio.CancelledError:
            self._left.append(one)
            raise
        except Exception as error:
            if not isinstance(error, TimeoutError):
                self._runtime.observe(Failed("sending to a sink", error))
            sent = Sent(0, "unreachable", detail=type(error).__name__[:DETAIL_CHARS_MAX])
        self._runtime.observe(
            StreamTried(
                sink=one.sink_type,
                outcome=sent.outcome,
                events=sent.arrived,
                status=sent.status,
                attempt=one.attempts,
                took_s=clock.monotonic() - started,
                sink_sid=one.sink_sid,
                subscription_sid=one.subscription_sid,
            )
        )
        return sent

    async def _write_down(self, parcel: Parcel, sent: Sent, lease_end: float) -> None:
        """Settle, again while the database is away: to forget it is to send it twice."""
        while True:
            try:
                await asyncio.shield(self.settle(parcel, sent))
                return
            except Unavailable:
                if self._runtime.clock.monotonic() >= lease_end:
                    return  # claimed again by now
                await self._runtime.clock.sleep(SETTLE_AGAIN_S)

    async def settle(self, parcel: Parcel, sent: Sent) -> None:
        """What became of a parcel, in a transaction of its own. Raises Unavailable."""
        one = parcel.follower
        async with self._runtime.db.begin() as tx:
            settled = self._settled(parcel, sent, tx.now)
            if settled is None:
                arrived = sent.outcome == "delivered"
                await stream_followers.end_test(tx.sql, one, tx.now, arrived=arrived)
                return
            ours = await stream_followers.settle(tx.sql, settled, tx.now)
        if ours and settled.lost is not None:
            lost = settled.lost
            self._runtime.observe(
                StreamLost(
                    sink=one.sink_type,
                    events=lost.events,
                    reason="trimmed" if parcel.gone_upto is not None else sent.outcome,
                    first=lost.first,
                    last=lost.last,
                    sink_sid=one.sink_sid,
                    subscription_sid=one.subscription_sid or "",
                )
            )

    def _settled(self, parcel: Parcel, sent: Sent, now: datetime) -> Settled | None:
        """How a follower goes on; None for a test that is over."""
        if parcel.gone_upto is not None:
            return parcel.skipped()
        settled = parcel.verdict(sent, self._schedule, now, ids.chance())
        if parcel.follower.subscription_sid is not None:
            return settled
        again = settled.due is not None and parcel.follower.attempts < TEST_ATTEMPTS_MAX
        return settled if again else None
