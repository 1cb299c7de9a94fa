"""Pre-event webhooks: the customer is asked before something happens, and decides ("Conversations
Webhooks", pre-action).

| answer | what becomes of the change |
|---|---|
| 2xx with nothing, `{}`, or text that is no JSON | published as it is |
| 2xx with a JSON object | published with the fields that may be changed changed |
| 4xx, 5xx | rejected |
| no connection, too late, a redirect, JSON that is broken or over 64 KB | as `on_timeout` says |

A question is put once and takes at most `timeout_s`, the wait for its turn included; it is asked
outside of every transaction, on a connection of its own: one that was kept could have been closed
by the other side just now, and would pass for a customer who is away. How many are open at once is
bounded, for each target and in all: one that hangs holds up only what it wants to be asked about.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import aiohttp
import orjson

from app import egress, ids
from app.errors import Unavailable
from app.observe import HookTried, Said
from app.runtime import Runtime
from app.store import pre_events
from app.store.pre_events import Asked
from app.store.pre_targets import PreTarget
from app.webhooks.events import Event
from app.webhooks.proposals import MODIFIABLE
from app.webhooks.request import signed

AT_ONCE_MAX, WAITING_MAX = 64, 256  # questions to one target, and those that wait for their turn
ALL_AT_ONCE_MAX, ALL_WAITING_MAX = 256, 2048
EVERYBODY = "pre-events"

REJECTED, UNUSABLE, UNANSWERED = 50056, 50057, 50076  # as the original numbers them
DETAIL_CHARS_MAX = 500
JSON = "json"  # application/json, application/problem+json, ...
FATES: Mapping[str, str] = {
    "open": "published as it was (on_timeout: open)",
    "closed": "rejected (on_timeout: closed)",
}

Outcome = Literal["unchanged", "changed", "malformed", "rejected", "open", "closed"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the customer decided. `changes` are texts by the original's keys, to be checked like the
    caller's own; malformed: `wrong` is the key of a value that is no text. open and closed: there
    was no answer that says anything, and the target's `on_timeout` decided. `status` is the HTTP
    status when there was one; `error_code` and `detail` say what went wrong."""

    outcome: Outcome
    changes: Mapping[str, str] = field(default_factory=dict)
    wrong: str | None = None
    status: int | None = None
    error_code: int | None = None
    detail: str | None = None

    @property
    def published(self) -> bool:
        """Whether the change may happen."""
        return self.outcome in ("unchanged", "changed", "open")


async def ask(
    runtime: Runtime, target: PreTarget, event: Event, token: str | None = None
) -> Verdict:
    """Put the question and keep in the log how it went. `token` is the idempotency token where the
    same question may be put again. Never raises for what the customer's side does; raises
    Unavailable when the log's database is away."""
    clock = runtime.clock
    started_at, started = clock.now(), clock.monotonic()
    verdict = await _in_turn(runtime, target, event, token or ids.token())
    tried = HookTried(
        scope=target.scope,
        phase="pre",
        event=event.name,
        outcome=_outcome(verdict),
        status=verdict.status,
        attempt=1,
        took_s=clock.monotonic() - started,
        conversation_sid=event.conversation_sid,
    )
    runtime.observe(tried)
    if verdict.outcome in ("open", "closed"):
        said = f"{verdict.error_code} {event.name} of {event.about}: {FATES[verdict.outcome]}"
        runtime.observe(Said("warning", "pre-event without an answer", said))
    async with runtime.db.begin() as tx:
        await pre_events.record(tx.sql, _asked(target, event, verdict, started_at, clock.now()))
    return verdict


def read(target: PreTarget, event: str, status: int, content_type: str, body: bytes) -> Verdict:
    """What a 2xx answer says about an event; `body` may be longer than what is looked at."""
    if len(body) > egress.ANSWER_BYTES_MAX:
        return _unsaid(target, "the answer is over 64 KB", UNUSABLE, status)
    try:
        said = orjson.loads(body) if body.strip() else None
    except orjson.JSONDecodeError:
        said = body
    if said is not None and not isinstance(said, dict):
        if content_type.endswith(JSON):
            return _unsaid(target, "the answer is no JSON object", UNUSABLE, status)
        said = None
    answered = said or {}
    keys = MODIFIABLE.get(event, ())
    given = {key: answered[key] for key in keys if answered.get(key) is not None}
    for key, value in given.items():
        if not isinstance(value, str) or "\x00" in value:
            return Verdict("malformed", wrong=key, status=status, detail=f"{key} is no text")
    if not given:
        return Verdict("unchanged", status=status)
    return Verdict("changed", given, status=status, detail=f"changes {', '.join(given)}")


async def _in_turn(runtime: Runtime, target: PreTarget, event: Event, token: str) -> Verdict:
    clock, turns = runtime.clock, runtime.turns
    due = clock.monotonic() + target.timeout_s
    async with AsyncExitStack() as stack:
        try:
            async with asyncio.timeout(target.timeout_s):
                mine = turns.take(f"{EVERYBODY} {target.sid}", AT_ONCE_MAX, WAITING_MAX)
                await stack.enter_async_context(mine)
                everybodys = turns.take(EVERYBODY, ALL_AT_ONCE_MAX, ALL_WAITING_MAX)
                await stack.enter_async_context(everybodys)
        except (TimeoutError, Unavailable):
            return _unsaid(target, "too many questions are open", UNANSWERED)
        return await _put(runtime, target, event, token, max(0.001, due - clock.monotonic()))


async def _put(
    runtime: Runtime, target: PreTarget, event: Event, token: str, within_s: float
) -> Verdict:
    """The question itself, in `within_s` seconds."""
    house = runtime.settings.houses.get(event.account_sid)
    if house is None:
        return _unsaid(target, "the account is not in the file: nothing signs for it", UNANSWERED)
    params = event.params | {"RetryCount": "0"}
    now = runtime.clock.now()
    request = signed(target.method, target.url, params, token, house.account, now)
    try:
        async with egress.call(
            runtime.questions or runtime.egress,
            request.method,
            request.url,
            timeout_s=within_s,
            headers={**request.headers, "Connection": "close"},
            data=request.body,
        ) as response:
            return await _verdict(target, event, response)
    except TimeoutError:
        return _unsaid(target, "no answer in time", UNANSWERED)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        detail = f"{type(error).__name__}: {error}"[:DETAIL_CHARS_MAX]
        return _unsaid(target, detail, UNANSWERED)


async def _verdict(target: PreTarget, event: Event, response: aiohttp.ClientResponse) -> Verdict:
    status = response.status
    if status >= 400:
        said = await _reason(response)
        return Verdict("rejected", status=status, error_code=REJECTED, detail=said)
    if not 200 <= status < 300:
        return _unsaid(target, f"the answer is {status}", UNUSABLE, status)
    body = await egress.read(response, egress.ANSWER_BYTES_MAX + 1)
    return read(target, event.name, status, response.content_type, body)


async def _reason(response: aiohttp.ClientResponse) -> str | None:
    """What is said with a rejection: its status is enough, the rest may be cut off."""
    try:
        said = await egress.read(response, DETAIL_CHARS_MAX)
    except (aiohttp.ClientError, OSError):
        return None
    return said.decode(errors="replace").replace("\x00", "") or None


def _unsaid(target: PreTarget, why: str, code: int, status: int | None = None) -> Verdict:
    """There is no answer that says anything: the target's own rule decides."""
    decided = target.on_timeout
    detail = f"{why}: {FATES[decided]}"
    return Verdict(decided, status=status, error_code=code, detail=detail)


def _outcome(verdict: Verdict) -> str:
    """In the words of the log of attempts: delivered, refused (not 2xx) or unreachable."""
    if verdict.status is None:
        return "unreachable"
    return "delivered" if 200 <= verdict.status < 300 else "refused"


def _asked(
    target: PreTarget, event: Event, verdict: Verdict, started_at: datetime, now: datetime
) -> Asked:
    return Asked(
        conversation_sid=event.conversation_sid,
        message_sid=event.message_sid,
        event=event.name,
        target=target.url,
        outcome=_outcome(verdict),
        status_code=verdict.status,
        error_code=verdict.error_code,
        detail=verdict.detail,
        started_at=started_at,
        finished_at=now,
    )
