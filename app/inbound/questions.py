"""What is asked about an inbound that was set aside: the question as things are now, in the
original's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

import asyncpg

from app.model import Conversation, Media, Message, Participant
from app.model.traffic import Inbound, restored
from app.road import copies
from app.road.asking import question, where
from app.road.convoy import pair_of
from app.road.items import Arrival
from app.road.resolve import Bound, Create, Decision, decide
from app.runtime import Runtime
from app.settings.models import Settings
from app.store import pre_targets, road
from app.store.outbox import Claimed
from app.store.pre_targets import Place, PreTarget
from app.webhooks import proposals
from app.webhooks.events import Event
from app.webhooks.origin import carrier


@dataclass(frozen=True, slots=True)
class Parcel:
    """An inbound that waits, and what is to be asked about it (None: nobody wants to know)."""

    arrival: Arrival
    asked: tuple[str, str] | None = None
    target: PreTarget | None = None
    event: Event | None = None


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


def _decision(settings: Settings, arrival: Arrival, facts: road.Facts) -> Decision:
    own = settings.of(arrival.account_sid)
    return decide(own, arrival.inbound, facts.holder, facts.grouped, facts.configuration)


def _arrival(item: Claimed) -> Arrival:
    return Arrival(item.account_sid, inbound_of(item))


def inbound_of(item: Claimed) -> Inbound:
    """The inbound that waits in this place."""
    return restored(cast(Mapping[str, Any], item.params))
