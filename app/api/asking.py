"""Before a change: what the customer's pre-event webhook says of it ("Conversations Webhooks").

The verb puts into words what is about to happen, in a transaction that is over when the question
goes out. What the answer changes takes the place of what the caller sent: the verb reads and checks
it like the caller's own, and refuses it under the same code.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from app import ids
from app.api.forms import INVALID
from app.errors import Forbidden, Invalid
from app.store import pre_targets
from app.store.pre_targets import PreTarget
from app.webhooks import before
from app.webhooks.before import Verdict
from app.webhooks.events import Event

if TYPE_CHECKING:
    from app.api.call import Call

CANCELLED = (before.REJECTED, "Webhook cancelled processing of command")

PARAMETERS: Mapping[str, str] = {
    "friendly_name": "FriendlyName",
    "body": "Body",
    "author": "Author",
    "attributes": "Attributes",
}
"""The parameter that an answer's key stands for."""

NO_TEXT: Mapping[str, tuple[int, str]] = {"attributes": (50304, "Attributes not valid JSON")}
"""How a value that is no text is refused, where the parameter has a code for it."""


def concerned(call: Call) -> bool:
    """Whether somebody may have to be asked about this call: as with telling afterwards, REST asks
    nobody unless its caller wants that."""
    return call.verb.asks is not None and call.told


async def consented(call: Call) -> Call:
    """The call as it may run. Raises Forbidden 50056 when the customer rejects it, Invalid for a
    value that it may not be given, and whatever the verb refuses before anybody is asked."""
    if not concerned(call):
        return call
    target, events = await _proposed(call)
    if target is None or not events:
        return call
    # One after the other they could keep the caller waiting for minutes: only the first one's
    # answer changes anything, the rest are asked together.
    first, *rest = events
    call = _heard(call, first, await _ask(call, target, first, 0))
    asked = (_ask(call, target, event, place) for place, event in enumerate(rest, 1))
    answers = await asyncio.gather(*asked, return_exceptions=True)
    for event, answer in zip(rest, answers, strict=True):
        if isinstance(answer, BaseException):
            raise answer
        call = _heard(call, event, answer)
    return call


async def _proposed(call: Call) -> tuple[PreTarget | None, Sequence[Event]]:
    """Who is asked, and about which events."""
    assert call.verb.asks is not None
    async with call.begin() as (tx, scope):
        target = await pre_targets.find(tx.sql, *scope)
        if target is None:
            return None, ()
        events = await call.verb.asks(call, tx, scope)
    return target, [event for event in events if event.name in target.filters]


async def _ask(call: Call, target: PreTarget, event: Event, place: int) -> Verdict:
    """A create that carries a key is asked about under the same token however often it comes."""
    key, token = call.idempotency_key, None
    if key is not None:
        token = ids.stable_token(key.account_sid, key.key, key.fingerprint, f"{place} {event.name}")
    return await before.ask(call.runtime, target, event, token)


def _heard(call: Call, event: Event, verdict: Verdict) -> Call:
    """The call after one answer."""
    if verdict.wrong is not None:
        name = PARAMETERS[verdict.wrong]
        raise Invalid(*NO_TEXT.get(verdict.wrong, (INVALID, f"Invalid {name}")))
    if not verdict.published:
        raise Forbidden(*CANCELLED, {"event": event.name, "answered": verdict.status})
    if not verdict.changes:
        return call
    changed = {PARAMETERS[key]: text for key, text in verdict.changes.items()}
    names = {name.lower() for name in changed}
    kept = [(name, text) for name, text in call.sent if name.lower() not in names]
    call = replace(call, sent=[*kept, *changed.items()])
    _ = call.form  # refused here, before anybody else is asked
    return call
