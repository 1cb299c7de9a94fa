"""Post-event webhooks: durable, at least once, in order per lane, the same token on every retry.

The request is as the original's: a form POST (or a GET with everything in the query), signed with
the account's token, with `I-Twilio-Idempotency-Token` and `RetryCount` (0 on the first attempt).
Any 2xx is success; 410 ends it; everything else is tried again on the schedule, then it is a dead
letter and the lane goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from urllib.parse import urlencode

import aiohttp
import asyncpg

from app import egress, ids
from app.carriers.signature import sign
from app.convoy import Convoy
from app.errors import Unavailable
from app.lanes import LaneLoop
from app.model.outbox import HOOK
from app.observe import DeadLettered, HookTried
from app.rules.schedule import next_attempt
from app.runtime import Runtime
from app.settings.models import RetrySettings
from app.store import outbox
from app.store.outbox import Claimed, Settled

SENDER_SCOPE = "sender"
"""The sender's own messaging webhook: it gets the carrier's form, with nothing added."""

GONE = 410
RETRY_AFTER_STATUSES = frozenset({429, 503})
DETAIL_CHARS_MAX = 500


@dataclass(frozen=True, slots=True)
class Told:
    """How one attempt went: the customer's status, or why there was none."""

    item: Claimed
    status: int | None
    detail: str | None
    retry_after_s: float | None
    took_s: float

    @property
    def outcome(self) -> str:
        """delivered, refused (an answer that is not 2xx) or unreachable."""
        if self.status is None:
            return "unreachable"
        return "delivered" if 200 <= self.status < 300 else "refused"


Telling = Convoy[Told, None]


def hook_loop(runtime: Runtime, telling: Telling) -> LaneLoop[None, Told]:
    """The loop that calls customers; outcomes go through `telling`."""
    schedule = runtime.settings.hooks

    async def attempt(item: Claimed, _: None) -> Told:
        return await post(runtime, item)

    return LaneLoop(
        HOOK,
        runtime.db,
        runtime.wakes.bell(HOOK),
        runtime.clock,
        runtime.observe,
        _nothing,
        attempt,
        broken,
        telling.submit,
        in_flight=schedule.in_flight,
        lease_s=schedule.effective_lease_s(3 * schedule.timeout_s + 15),
    )


def broken(item: Claimed, _: None, error: Exception) -> Told:
    """An attempt that was cut, or that broke where it should not: it counts as unanswered."""
    return Told(item, None, str(error) or type(error).__name__, None, 0.0)


async def post(runtime: Runtime, item: Claimed) -> Told:
    """One attempt; never raises for what the customer's side does."""
    started = runtime.clock.monotonic()
    status, detail, retry_after_s = await _call(runtime, item)
    took_s = runtime.clock.monotonic() - started
    told = Told(item, status, detail, retry_after_s, took_s)
    runtime.observe(
        HookTried(
            scope=item.scope or "",
            phase="post",
            event=item.event or "",
            outcome=told.outcome,
            status=status,
            attempt=item.attempts,
            took_s=took_s,
            conversation_sid=item.conversation_sid,
        )
    )
    return told


async def _call(runtime: Runtime, item: Claimed) -> tuple[int | None, str | None, float | None]:
    house = runtime.settings.houses.get(item.account_sid)
    if house is None:
        return None, "the account is not in the file any more: nothing signs for it", None
    token = house.account.auth_token.get_secret_value()
    method, url, headers, body = _request(item, token)
    try:
        async with egress.call(
            runtime.egress,
            method,
            url,
            timeout_s=runtime.settings.hooks.timeout_s,
            headers=headers,
            data=body,
        ) as response:
            answer = await egress.read(response, DETAIL_CHARS_MAX)
            detail = None if response.status < 300 else answer.decode(errors="replace")
            return response.status, detail, _retry_after(response)
    except TimeoutError:
        return None, "no answer in time", None
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return None, f"{type(error).__name__}: {error}"[:DETAIL_CHARS_MAX], None


def _request(item: Claimed, token: str) -> tuple[str, str, dict[str, str], bytes | None]:
    """Method, URL, headers and body of one attempt, signed."""
    params = dict(item.params or {})
    if item.scope != SENDER_SCOPE:
        params["RetryCount"] = str(item.attempts - 1)
    url = (item.url or "").partition("#")[0]
    headers = {"I-Twilio-Idempotency-Token": item.token, "Accept": "*/*"}
    if item.method == "GET":
        mark = "&" if "?" in url else "?"
        url = f"{url}{mark}{urlencode(params)}"
        return "GET", url, headers | {"X-Twilio-Signature": sign(url, {}, token)}, None
    headers["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8"
    headers["X-Twilio-Signature"] = sign(url, params, token)
    return "POST", url, headers, urlencode(params).encode()


def _retry_after(response: aiohttp.ClientResponse) -> float | None:
    """The seconds that a 429 or 503 asks us to wait, when it says them as a number."""
    text = response.headers.get("Retry-After", "")
    if response.status in RETRY_AFTER_STATUSES and text.isdecimal():
        return float(text)
    return None


class Teller:
    """Settles attempts in convoys on a connection of its own."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._held = runtime.db.hold(pinned=True)

    async def __call__(self, told: Sequence[Told]) -> Sequence[Exception | None]:
        """Write down a batch of attempts and let their lanes go on."""
        now = self._runtime.clock.now()
        schedule = self._runtime.settings.hooks
        async with self._held.begin() as sql:
            ours = await outbox.fence(sql, [one.item for one in told])
            settled = {
                one.item.seq: verdict(one, schedule, now, ids.chance())
                for one in told
                if one.item.seq in ours
            }
            await outbox.settle(sql, list(settled.values()), now)
        self._runtime.wakes.ring(HOOK)
        for one in settled.values():
            if one.dead is not None:
                gone = one.item.conversation_sid
                self._runtime.observe(DeadLettered(HOOK, one.outcome, gone))
        lost = Unavailable("the lease ran out")
        return [None if one.item.seq in ours else lost for one in told]

    async def close(self) -> None:
        """Give the connection back."""
        await self._held.close()


def verdict(told: Told, schedule: RetrySettings, now: datetime, random: float) -> Settled:
    """What an attempt's outcome means for its item: done, again, or dead. A flow's own retry count
    (address configuration type studio) shortens the schedule."""
    ended = Settled(told.item, told.outcome, status_code=told.status, detail=told.detail)
    if told.outcome == "delivered":
        return ended
    if told.status == GONE:
        return replace(ended, dead="the target says that it is gone (410)")
    waits_s = schedule.waits_s
    if told.item.retries_max is not None:
        waits_s = waits_s[: told.item.retries_max]
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
