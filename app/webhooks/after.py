"""Post-event webhooks: durable, at least once, in order per lane, the same token on every retry.

The request is as the original's: a form POST (or a GET with everything in the query), signed with
the account's token, with `I-Twilio-Idempotency-Token` and `RetryCount` (0 on the first attempt).
Any 2xx is success; 410 ends it; everything else is tried again on the schedule (which the URL's
fragment may shorten), then it is a dead letter and the lane goes on. An endpoint that fails is
paused (app/webhooks/queue.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import aiohttp
import asyncpg

from app import egress, ids
from app.convoy import Convoy
from app.errors import Unavailable
from app.lanes import LaneLoop
from app.model.outbox import HOOK
from app.observe import DeadLettered, HookTried, Said, TargetPaused, TargetResumed
from app.rules.schedule import next_attempt
from app.runtime import Runtime
from app.settings.models import RetrySettings
from app.settings.overrides import check, overrides
from app.store import outbox, settling
from app.store.outbox import Claimed
from app.store.settling import Settled
from app.webhooks.queue import HookQueue, Outcome, Turns
from app.webhooks.request import Request, kept, request

GONE = 410
RETRY_AFTER_STATUSES = frozenset({429, 503})
DOWN_STATUSES = frozenset({408, 425, 429})
"""Answers below 500 that say nothing of this request, but that the other side cannot now."""
DETAIL_CHARS_MAX = 500
COMPLAINTS_MAX = 1000
"""URLs whose fragments were complained of."""


@dataclass(frozen=True, slots=True)
class Told:
    """How one attempt went: the customer's status, or why there was none. `failure` is the class
    of what went wrong, as retry policies name it (4xx, 5xx, ct, rt); `exchange` is for the log."""

    item: Claimed
    status: int | None
    detail: str | None
    retry_after_s: float | None
    took_s: float
    failure: str = "rt"
    exchange: dict[str, Any] = field(default_factory=dict)

    @property
    def outcome(self) -> str:
        """delivered, refused (an answer that is not 2xx) or unreachable."""
        if self.status is None:
            return "unreachable"
        return "delivered" if 200 <= self.status < 300 else "refused"

    @property
    def well(self) -> bool:
        """Whether the endpoint is well, whatever it thinks of this request."""
        return self.status is not None and self.status < 500 and self.status not in DOWN_STATUSES


Telling = Convoy[Told, None]


def hook_loop(runtime: Runtime, telling: Telling, queue: HookQueue) -> LaneLoop[None, Told]:
    """The loop that calls customers; outcomes go through `telling`."""
    schedule = runtime.settings.hooks
    caller = Caller(runtime)

    return LaneLoop(
        HOOK,
        runtime.db,
        runtime.wakes.bell(HOOK),
        runtime.clock,
        runtime.observe,
        _nothing,
        caller.attempt,
        broken,
        telling.enqueue,
        in_flight=schedule.in_flight,
        lease_s=schedule.effective_lease_s(3 * schedule.timeout_s + 15),
        queue=queue,
    )


def broken(item: Claimed, _: None, error: Exception) -> Told:
    """An attempt that was cut, or that broke where it should not: it counts as unanswered."""
    return Told(item, None, str(error) or type(error).__name__, None, 0.0)


class Caller:
    """Calls customers, one attempt at a time."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._complained: set[str] = set()

    async def attempt(self, item: Claimed, _: None) -> Told:
        """One attempt; never raises for what the customer's side does."""
        clock = self._runtime.clock
        started = clock.monotonic()
        told = replace(await self._call(item), took_s=clock.monotonic() - started)
        self._runtime.observe(
            HookTried(
                scope=item.scope or "",
                phase="post",
                event=item.event or "",
                outcome=told.outcome,
                status=told.status,
                attempt=item.attempts,
                took_s=told.took_s,
                conversation_sid=item.conversation_sid,
            )
        )
        return told

    async def _call(self, item: Claimed) -> Told:
        house = self._runtime.settings.houses.get(item.account_sid)
        if house is None:
            said = "the account is not in the file any more: nothing signs for it"
            return Told(item, None, said, None, 0.0)
        self._complain(item.url or "")
        made = request(item, house.account, self._runtime.clock.now())
        timing = egress.start_timing()
        told = await self._exchange(item, made)
        exchange: dict[str, Any] = {"method": made.method, "ms": timing.millis()}
        params = kept(made.params, self._runtime.settings.ops.hooks_log)
        if params is not None:
            exchange["params"] = params
        return replace(told, exchange=exchange)

    async def _exchange(self, item: Claimed, made: Request) -> Told:
        timeout_s = self._runtime.settings.hooks.timeout_s
        asked = overrides(item.url or "")
        try:
            async with egress.call(
                self._runtime.egress,
                made.method,
                made.url,
                timeout_s=min(timeout_s, asked.total_s or timeout_s),
                connect_s=asked.connect_s,
                read_s=asked.read_s,
                headers=made.headers,
                data=made.body,
            ) as response:
                answer = await egress.read(response, DETAIL_CHARS_MAX)
                failure = "4xx" if response.status < 500 else "5xx"
                detail = self._detail(response.status, answer)
                return Told(item, response.status, detail, _retry_after(response), 0.0, failure)
        except TimeoutError as error:
            failure = "ct" if isinstance(error, aiohttp.ConnectionTimeoutError) else "rt"
            return Told(item, None, "no answer in time", None, 0.0, failure)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            said = f"{type(error).__name__}: {error}"[:DETAIL_CHARS_MAX]
            failure = "ct" if isinstance(error, aiohttp.ClientConnectorError) else "rt"
            return Told(item, None, said, None, 0.0, failure)

    def _detail(self, status: int, answer: bytes) -> str | None:
        """What is kept of an answer."""
        how = self._runtime.settings.ops.hooks_log
        if how == "none" or (how == "redacted" and status < 300):
            return None
        return answer.decode(errors="replace") or None

    def _complain(self, url: str) -> None:
        """Say once what is wrong with the fragment of a URL; it is passed over."""
        if "#" not in url or url in self._complained or len(self._complained) >= COMPLAINTS_MAX:
            return
        self._complained.add(url)
        for wrong in check(url):
            said = f"{wrong.code}: {wrong.message}; it is passed over"
            self._runtime.observe(Said("warning", "connection override", said))


def _retry_after(response: aiohttp.ClientResponse) -> float | None:
    """The seconds that a 429 or 503 asks us to wait, when it says them as a number."""
    text = response.headers.get("Retry-After", "")
    if response.status in RETRY_AFTER_STATUSES and text.isascii() and text.isdecimal():
        return float(text[:9])
    return None


class Teller:
    """Settles attempts in convoys on a connection of its own; pauses and opens endpoints."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._held = runtime.db.hold(pinned=True)
        self.queue = HookQueue(runtime.settings.hooks)

    async def __call__(self, told: Sequence[Told]) -> Sequence[Exception | None]:
        """Write down a batch of attempts and let their lanes go on."""
        now = self._runtime.clock.now()
        schedule = self._runtime.settings.hooks
        async with self._held.begin() as sql:
            ours = await outbox.fence(sql, [one.item for one in told])
            mine = [one for one in told if one.item.seq in ours]
            settled = {one.item.seq: verdict(one, schedule, now, ids.chance()) for one in mine}
            await settling.settle(sql, list(settled.values()), now)
            turns = await self.queue.turn(sql, [self._learned(one) for one in mine], now)
        self._runtime.wakes.ring(HOOK)
        for one in settled.values():
            if one.dead is not None:
                gone = one.item.conversation_sid
                self._runtime.observe(DeadLettered(HOOK, one.outcome, gone, one.dead))
        self._observe(turns, now)
        lost = Unavailable("the lease ran out")
        return [None if one.item.seq in ours else lost for one in told]

    async def close(self) -> None:
        """Give the connection back."""
        await self._held.close()

    def _learned(self, told: Told) -> Outcome:
        reason = str(told.status) if told.status is not None else (told.detail or "")[:100]
        return self.queue.learn(
            told.item,
            well=told.well,
            took_s=told.took_s,
            reason=reason,
            retry_after_s=told.retry_after_s,
        )

    def _observe(self, turns: Turns, now: datetime) -> None:
        for pause in turns.paused:
            wait_s = (pause.paused_until - now).total_seconds()
            self._runtime.observe(TargetPaused(pause.endpoint, pause.pauses, wait_s))
        for endpoint, paused_s in turns.reopened:
            self._runtime.observe(TargetResumed(endpoint, paused_s))


def verdict(told: Told, schedule: RetrySettings, now: datetime, random: float) -> Settled:
    """What an attempt's outcome means for its item: done, again, or dead. A flow's own retry count
    (address configuration type studio) and the URL's fragment shorten the schedule."""
    ended = Settled(
        told.item,
        told.outcome,
        status_code=told.status,
        detail=told.detail,
        exchange=told.exchange or None,
    )
    if told.outcome == "delivered":
        return ended
    if told.status == GONE:
        return replace(ended, dead="the target says that it is gone (410)")
    asked = overrides(told.item.url or "")
    if asked.retried and not asked.retried & {told.failure, "all"}:
        return replace(ended, dead=f"its URL asks for no retry after {told.failure} (#rp)")
    waits_s = schedule.waits_s
    for retries_max in (told.item.retries_max, asked.retries_max):
        waits_s = waits_s if retries_max is None else waits_s[:retries_max]
    due = next_attempt(
        told.item.attempts,
        now,
        waits_s,
        schedule.jitter,
        random,
        told.retry_after_s,
        schedule.retry_after_max_s,
    )
    if due is None:
        return replace(ended, dead=f"given up after {told.item.attempts} attempts")
    return replace(ended, due=due)


async def _nothing(sql: asyncpg.Connection, items: Sequence[Claimed]) -> Mapping[int, None]:
    return {}
