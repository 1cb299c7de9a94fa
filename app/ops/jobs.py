"""What happens by the clock: the timers' sweep, gauges, early statuses, retention, sealing anew.

APScheduler only rings: no job is kept anywhere, and each is idempotent, so that any number of
replicas may run them at once and a missed turn is made up for by the next one. A job that fails
says so and is rung again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import UTC, timedelta
from functools import partial

from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.interval import IntervalTrigger

from app.errors import Unavailable
from app.media import collection, sealing
from app.model.flows import FLOW
from app.model.outbox import ASK, DELIVERY, HOOK, MEDIA
from app.model.streams import KINESIS, STREAM, WEBHOOK
from app.model.traffic import Status
from app.observe import Failed, Measured, Said, TimerFired
from app.ops import retention
from app.runtime import Runtime
from app.store import carrier_pauses, credentials, deliveries, gaps, gauges, keys, running, timers
from app.store.database import Tx
from app.store.timers import Elapsed, Step
from app.webhooks import tell
from app.webhooks.events import Event, conversation_state_updated
from app.webhooks.origin import TIMER

TIMERS_S, EARLY_S, GAUGES_S, RETENTION_S, RESEAL_S = 1.0, 1.0, 5.0, 3600.0, 3600.0
FIRST_S = 30.0
"""How long the first turn of a rare job waits: a process may live less than an hour."""
RESEALED_MAX = 100
"""Secrets in one transaction."""
MEDIA_S = 10.0
STOP_S = 5.0
"""How long a job that is under way may take when we stop; then it is rolled back."""

REASON = "TIMER"

Report = Callable[[Status], Awaitable[bool]]
"""Settles one status; says whether its receipt was found."""
Job = Callable[[], Awaitable[None]]
Resealing = Callable[[Tx, str], Awaitable[tuple[str | None, int]]]
"""Seals a batch beyond this SID anew; gives the last SID (None: the end), and how many it lost."""


UNDER_WAY = timedelta(minutes=10)
"""A status and the answer to its send can miss each other only while both are under way."""


class Jobs:
    """The jobs of one process, rung between `start` and `stop`; `report` settles statuses, and
    `further` are jobs of other rooms (name, job, seconds)."""

    def __init__(
        self, runtime: Runtime, report: Report, further: Sequence[tuple[str, Job, float]] = ()
    ) -> None:
        self._runtime, self._report, self._further = runtime, report, further
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        self._running = 0
        self._stopping = False
        self._idle = asyncio.Event()
        self._idle.set()

    def start(self) -> None:
        """Ring from now on."""
        for name, job, every_s in (
            ("the timers' sweep", self.sweep, TIMERS_S),
            ("waits of flows", self.time_out, TIMERS_S),
            ("early statuses", self.settle_early, EARLY_S),
            ("gauges", self.measure, GAUGES_S),
            ("retention", self.retain, RETENTION_S),
            ("sealing", self.reseal, RESEAL_S),
            ("media", self.collect, MEDIA_S),
            *self._further,
        ):
            self._scheduler.add_job(
                self._run,
                IntervalTrigger(seconds=every_s, timezone=UTC),
                args=(name, job),
                max_instances=1,
                coalesce=True,
                misfire_grace_time=None,
                next_run_time=self._runtime.clock.now() + timedelta(seconds=min(every_s, FIRST_S)),
            )
        self._scheduler.start()

    async def stop(self) -> None:
        """Ring no more, and wait for what is under way."""
        self._stopping = True
        if not self._scheduler.running:
            return
        self._scheduler.pause()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._idle.wait(), STOP_S)
        self._scheduler.shutdown(wait=False)
        await self._runtime.clock.sleep(0)  # it shuts down in the loop's next turn

    async def _run(self, name: str, job: Job) -> None:
        """One turn of one job; what goes wrong is observed, never raised."""
        if self._stopping:
            return
        self._running += 1
        self._idle.clear()
        try:
            await job()
        except Unavailable:
            pass  # the next turn asks again
        except Exception as error:
            self._runtime.observe(Failed(name, error))
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()

    async def sweep(self) -> None:
        """Move every conversation whose timer has elapsed, step by step, and tell of it."""
        full = True
        while full and not self._stopping:
            full = (await self.sweep_step()).full

    async def sweep_step(self, limit: int = timers.STEP_MAX) -> Step:
        """One step: the transitions and what is told of them commit together."""
        async with self._runtime.db.begin() as tx:
            step = await timers.sweep(tx.sql, tx.now, limit=limit)
            closed = [one.conversation.sid for one in step.elapsed if _closed(one)]
            if closed:
                await running.close(tx.sql, closed, tx.now)
            if step.elapsed:
                told = [_event(one) for one in step.elapsed]
                await tell.tell(tx, self._runtime.settings, told)
            tx.moved.update(one.conversation.sid for one in step.elapsed)
        for one in step.elapsed:
            lag_s = (tx.now - one.due).total_seconds()
            self._runtime.observe(TimerFired(one.conversation.sid, one.conversation.state, lag_s))
        return step

    async def time_out(self) -> None:
        """Let flows know that nobody replied in time, step by step."""
        full = True
        while full and not self._stopping:
            async with self._runtime.db.begin() as tx:
                count = await running.time_out(tx.sql, tx.now)
                tx.rings |= {FLOW} if count else set()
            full = count == running.STEP_MAX

    async def settle_early(self) -> None:
        """Settle statuses that came before their send was known and whose send is known now."""
        async with self._runtime.db.begin() as tx:
            ripe = await deliveries.ripe_early(tx.sql, tx.now - UNDER_WAY)
        if not ripe:
            return
        found = await asyncio.gather(*(self._report(status) for status in ripe))
        settled = [status for status, was in zip(ripe, found, strict=True) if was]
        async with self._runtime.db.begin() as tx:
            await retention.forget_early(tx.sql, settled)

    async def measure(self) -> None:
        """What the database says of the outbox, of the dead letters and of the streams, and how
        long we waited for a connection to ask."""
        observe, clock = self._runtime.observe, self._runtime.clock
        kinds = (DELIVERY, HOOK, ASK, MEDIA, FLOW)
        asked = clock.monotonic()
        async with self._runtime.db.begin() as tx:
            waited_s = clock.monotonic() - asked
            oldest = await gauges.oldest(tx.sql, kinds, tx.now)
            dead = await gauges.dead_letters(tx.sql, kinds)
            paused = await gauges.targets_paused(tx.sql)
            failing = {one.carrier for one in await carrier_pauses.listed(tx.sql)}
            waiting = await gauges.unordered_s(tx.sql, tx.now)
            lags = await gauges.stream_lags(tx.sql, (WEBHOOK, KINESIS), tx.now)
            losses = await gauges.stream_losses(tx.sql)
            looks = await gaps.progress(tx.sql)
        observe(Measured("db_pool_wait_seconds", waited_s))
        observe(Measured("hook_targets_paused", paused))
        for carrier in self._runtime.settings.carriers:
            observe(Measured("carrier_paused", carrier in failing, carrier))
        for kind in kinds:
            observe(Measured("outbox_oldest_seconds", oldest[kind], kind))
            observe(Measured("dead_letters", dead[kind], kind))
        for look in looks:
            behind_s = max(0.0, (clock.now() - look["complete_until"]).total_seconds())
            observe(Measured("gap_behind_seconds", behind_s, look["carrier"]))
        observe(Measured("dead_letters", losses, STREAM))
        observe(Measured("stream_intake_oldest_seconds", waiting))
        for sink, lag_s in lags.items():
            observe(Measured("stream_lag_seconds", lag_s, sink))

    async def retain(self) -> None:
        """Delete what is kept no longer, in small transactions."""
        days, streams = self._runtime.settings.retention, self._runtime.settings.streams
        events = partial(retention.stream_events, events_max=streams.retention_events)
        for trim, age in (
            (retention.attempts, days.attempts_days),
            (retention.decisions, days.decisions_days),
            (retention.dead_letters, days.dead_letters_days),
            (retention.dropped, days.dropped_days),
            (retention.gap_finds, days.dropped_days),
            (retention.executions, days.executions_days),
            (retention.sessions, days.sessions_days),
            (retention.early_statuses, retention.EARLY_DAYS),
            (retention.changes, days.changes_days),
            (retention.idempotency_keys, retention.IDEMPOTENCY_DAYS),
            (events, streams.retention_days),
            (retention.stream_losses, days.attempts_days),
        ):
            gone = retention.BATCH_MAX
            while gone == retention.BATCH_MAX and not self._stopping:
                async with self._runtime.db.begin() as tx:
                    gone = await trim(tx.sql, tx.now, age)

    async def collect(self) -> None:
        """Delete media that nobody attached and those of deleted messages, with their files."""
        more = True
        while more and not self._stopping:
            more = await collection.collect(self._runtime)

    async def reseal(self) -> None:
        """Seal by the first key what is kept under those before it, so that they may go; and say
        whether files let them, and when a key that is still needed is not given."""
        vault = self._runtime.vault
        kinds: tuple[tuple[str, Resealing], ...] = (
            ("credentials", lambda tx, after: credentials.reseal(tx, vault, after, RESEALED_MAX)),
            ("API keys", lambda tx, after: keys.reseal(tx.sql, vault, after, RESEALED_MAX)),
        )
        for what, step in kinds:
            lost, after = 0, "" if vault.prefix else None
            while after is not None and not self._stopping:
                async with self._runtime.db.begin() as tx:
                    after, more = await step(tx, after)
                lost += more
            if lost:
                said = f"{lost} {what} were sealed by a key that is not given (secrets.key)"
                self._runtime.observe(Said("warning", "sealed secrets", said))
        await self._reseal_files()

    async def _reseal_files(self) -> None:
        found = await sealing.reseal(self._runtime, lambda: self._stopping)
        if found.missing:
            said = f"files were sealed by keys that are not given (secrets.key): {found.missing}"
            self._runtime.observe(Said("warning", "sealed files", said))
        if found.unread:
            said = f"{found.unread} files could not be read, and so not be sealed anew"
            self._runtime.observe(Said("warning", "sealed files", said))
        if found.done or found.free:
            done = f"{found.done} files were sealed anew; " if found.done else ""
            rest = "no longer" if found.free else "may still"
            said = f"{done}files {rest} need the keys after the first"
            self._runtime.observe(Said("info", "sealed files", said))


def _closed(elapsed: Elapsed) -> bool:
    return elapsed.conversation.state == "closed"


def _event(elapsed: Elapsed) -> Event:
    row = elapsed.conversation
    return conversation_state_updated(row, TIMER, elapsed.state_from, REASON, row.state_at)
