"""The loop that puts the questions about inbounds that were set aside (app/road/asking.py).

One question at a time for each pair, many pairs at once: a hook that hangs holds up the pairs that
it is asked about, nobody else. An answer goes back to the road, which settles it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import SimpleNamespace
from typing import Any, cast

import asyncpg

from app import ids
from app.channels.address import masked
from app.errors import Unavailable
from app.lanes import LaneLoop
from app.model import Conversation, Media, Message, Participant
from app.model.outbox import ASK
from app.model.traffic import Inbound, restored
from app.observe import Failed, InboundDecided
from app.road import copies
from app.road.asking import question, where
from app.road.convoy import pair_of
from app.road.items import Answered, Arrival, Road, Taken
from app.road.resolve import Bound, Create, Decision, decide
from app.runtime import Runtime
from app.settings.models import Settings
from app.store import pre_targets, road
from app.store.outbox import Claimed
from app.store.pre_targets import Place, PreTarget
from app.webhooks import before, proposals
from app.webhooks.events import Event
from app.webhooks.origin import carrier

LEASE_S = 30.0
"""A question takes 5 s at most, then the road takes the answer."""
AGAIN_S = 1.0
ABSENT_S = 60.0


@dataclass(frozen=True, slots=True)
class Parcel:
    """An inbound that waits, and what is to be asked about it (None: nobody wants to know)."""

    arrival: Arrival
    asked: tuple[str, str] | None = None
    target: PreTarget | None = None
    event: Event | None = None


def ask_loop(runtime: Runtime, road: Road) -> LaneLoop[Parcel, Arrival]:
    """The loop; answers go back to `road`."""
    return LaneLoop(
        ASK,
        runtime.db,
        runtime.wakes.bell(ASK),
        runtime.clock,
        runtime.observe,
        partial(parcels, runtime),
        partial(attempt, runtime),
        broken,
        partial(settle, runtime, road),
        in_flight=runtime.settings.hooks.in_flight,
        lease_s=LEASE_S,
    )


async def parcels(
    runtime: Runtime, sql: asyncpg.Connection, items: Sequence[Claimed]
) -> Mapping[int, Parcel]:
    """What is to be asked about each, as things are now; nothing about copies. An account that the
    file does not name any more has no parcels: its inbounds wait for it."""
    known = [item for item in items if item.account_sid in runtime.settings.houses]
    arrivals = {item.seq: _arrival(item) for item in known}
    pairs = {pair_of(arrival) for arrival in arrivals.values()}
    facts = await road.facts(sql, sorted(pairs)) if pairs else {}
    decided = {
        seq: _decision(runtime.settings, arrival, facts[pair_of(arrival)])
        for seq, arrival in arrivals.items()
    }
    places = await pre_targets.places(
        sql, [where(arrivals[seq].account_sid, decision) for seq, decision in decided.items()]
    )
    now = runtime.clock.now()
    copied = await copies.among(sql, runtime.settings, arrivals, now)
    return {
        item.seq: Parcel(arrivals[item.seq])
        if item.seq in copied
        else _parcel(item, arrivals[item.seq], decided[item.seq], place, now)
        for item, place in zip(known, places, strict=True)
    }


async def attempt(runtime: Runtime, item: Claimed, parcel: Parcel | None) -> Arrival:
    """Put the question, if there is one; the arrival with what came of it."""
    if parcel is None:
        return Arrival(item.account_sid, _inbound(item), Answered(item, again_s=ABSENT_S))
    if parcel.asked is None or parcel.target is None or parcel.event is None:
        return _answered(parcel, Answered(item))
    inbound = parcel.arrival.inbound
    token = ids.stable_token(inbound.carrier, inbound.external_id, parcel.event.name)
    verdict = await before.ask(runtime, parcel.target, parcel.event, token)
    return _answered(parcel, Answered(item, parcel.asked, verdict))


def broken(item: Claimed, parcel: Parcel | None, error: Exception) -> Arrival:
    """A question that was cut, or that broke on our side: it is put again."""
    return Arrival(item.account_sid, _inbound(item), Answered(item, again_s=AGAIN_S))


async def settle(runtime: Runtime, road: Road, arrival: Arrival) -> None:
    """Let it walk the road. Whatever breaks there leaves it in its place, to be asked about again
    when the lease ends."""
    try:
        taken = await road.submit(arrival)
    except Unavailable:
        raise
    except Exception as error:
        runtime.observe(Failed("an inbound that was asked about", error))
        return
    runtime.wakes.ring(ASK)
    answered = arrival.answered
    if isinstance(taken, Taken) and taken.outcome != "asked" and answered is not None:
        _observe(runtime, arrival.inbound, answered, taken)


def _observe(runtime: Runtime, inbound: Inbound, answered: Answered, taken: Taken) -> None:
    waited = runtime.clock.now() - answered.place.created_at
    runtime.observe(
        InboundDecided(
            carrier=inbound.carrier,
            rule=taken.rule,
            decision=taken.outcome,
            autocreate=taken.autocreate,
            waited_s=max(0.0, waited.total_seconds()),
            external_id=inbound.external_id,
            message_sid=taken.message_sid,
            conversation_sid=taken.conversation_sid,
            address=masked(inbound.address),
            proxy_address=masked(inbound.proxy_address),
        )
    )


def _parcel(
    item: Claimed, arrival: Arrival, decision: Decision, place: Place, now: datetime
) -> Parcel:
    asked = question(decision, place)
    if asked is None:
        return Parcel(arrival)
    event = _event(item, arrival, decision, place, now)
    return Parcel(arrival, asked, place.target, event)


def _event(
    item: Claimed, arrival: Arrival, decision: Decision, place: Place, now: datetime
) -> Event:
    """The question in the original's words; the rows are those that an approval makes."""
    inbound, action = arrival.inbound, decision.action
    origin = carrier(inbound.channel)
    common = {
        "account_sid": arrival.account_sid,
        "chat_service_sid": place.service_sid,
        "messaging_service_sid": place.messaging_service_sid,
        "attributes": "{}",
        "date_created": now,
        "date_updated": now,
    }
    message = _message(item, inbound, action, common)
    media = [cast(Media, SimpleNamespace(sid=None, **_file(part))) for part in inbound.media]
    if isinstance(action, Bound):
        joined = _row(Conversation, common, sid=action.conversation_sid)
        return proposals.message_add(joined, message, media, origin)
    assert isinstance(action, Create)
    messaging = action.messaging_service_sid or place.messaging_service_sid
    created = common | {"messaging_service_sid": messaging}
    conversation = _row(
        Conversation,
        created,
        sid=None,
        friendly_name=None,
        unique_name=None,
        email_address=None,
        email_name=None,
        state="initializing" if inbound.others else "active",
    )
    if inbound.others:
        return proposals.conversation_add(conversation, origin, None, message, media, group=inbound)
    pair = _row(
        Participant,
        common,
        address=inbound.address,
        proxy_address=inbound.proxy_address,
        projected_address=None,
    )
    return proposals.conversation_add(conversation, origin, pair, message, media)


def _message(item: Claimed, inbound: Inbound, action: Any, common: Mapping[str, Any]) -> Message:
    bound = isinstance(action, Bound)
    row: Message = _row(
        Message,
        common,
        sid=item.message_sid,
        conversation_sid=action.conversation_sid if bound else None,
        participant_sid=action.participant_sid if bound else None,
        index=None,
        body=inbound.body,
        subject=None,
        content_sid=None,
        author=inbound.address,
    )
    return row


def _row(_model: type[Any], common: Mapping[str, Any], **columns: Any) -> Any:
    return SimpleNamespace(**{**common, **columns})


def _file(part: Any) -> dict[str, Any]:
    return {"content_type": part.content_type, "filename": part.filename, "size": part.size}


def _answered(parcel: Parcel, answered: Answered) -> Arrival:
    return Arrival(parcel.arrival.account_sid, parcel.arrival.inbound, answered)


def _decision(settings: Settings, arrival: Arrival, facts: road.Facts) -> Decision:
    own = settings.of(arrival.account_sid)
    return decide(own, arrival.inbound, facts.holder, facts.grouped, facts.configuration)


def _arrival(item: Claimed) -> Arrival:
    return Arrival(item.account_sid, _inbound(item))


def _inbound(item: Claimed) -> Inbound:
    return restored(cast(Mapping[str, Any], item.params))
