"""From what happened to what must be said: events become outbox items, one per target, and go into
the account's stream if it has subscriptions that want them.

A lane is one target and one conversation, or one user: its events arrive in the order in which they
happened. The stream is one target more, but never one of the outbox: `items` passes it over and
`streamed` is for it alone, whether or not webhooks are told of the same change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from app import ids
from app.model.flows import FLOW, PLACE, flow_lane
from app.model.outbox import HOOK, hook_lane
from app.model.streams import STREAM
from app.rules import triggers
from app.settings.models import Settings
from app.store import outbox, stream_log, webhooks
from app.store.database import Tx
from app.store.outbox import NewItem
from app.store.stream_log import Happened
from app.store.webhooks import MESSAGES, Target
from app.streams.data import data
from app.streams.types import BY_EVENT
from app.webhooks.enriched import enrich
from app.webhooks.events import Event
from app.webhooks.origin import FLOW as FLOWS
from app.webhooks.origin import Origin


async def tell(tx: Tx, settings: Settings, events: Sequence[Event]) -> None:
    """Find the targets of these events and put the items into the outbox, in this transaction, and
    the events themselves into the stream.

    Call once, last; for a removal before the delete (scoped targets go with their conversation).
    Quiet events are handed in like all others: where nobody hears of them, nothing is asked.
    """
    heard = [event for event in events if tx.echoes or not event.origin.quiet]
    if not heard:
        return
    targets = await _targets(tx, heard)
    if flowing := streamed(heard, targets):
        await stream_log.add(tx.sql, flowing, tx.now)
        tx.rings.add(STREAM)
    told = items(heard, targets, settings, tx.now)
    await outbox.add(tx.sql, told, tx.now)
    tx.rings.update(item["kind"] for item in told)


def items(
    events: Sequence[Event],
    targets: Mapping[str, Sequence[Target]],
    settings: Settings,
    now: datetime,
) -> list[NewItem]:
    """One item per event and target that wants it, in the order of the events."""
    return [
        item
        for event in events
        for item in _items(event, targets.get(event.within, ()), settings, now)
    ]


def streamed(events: Sequence[Event], targets: Mapping[str, Sequence[Target]]) -> list[Happened]:
    """The events that are subscribed to, in their order."""
    return [
        _happened(event)
        for event in events
        if any(
            target.scope == STREAM and hears(target, event.name, event.origin)
            for target in targets.get(event.within, ())
        )
    ]


def hears(target: Target, event: str, origin: Origin) -> bool:
    """Whether a target is told of events of this name and origin."""
    return event in target.filters and (target.echo or not origin.quiet)


def _items(
    event: Event, targets: Sequence[Target], settings: Settings, now: datetime
) -> Iterator[NewItem]:
    enriched: dict[str, str] | None = None  # put into words once, for whoever wants it first
    flows: set[str] = set()  # one that runs here and is attached twice hears a message once
    for target in targets:
        if target.flow_sid in flows or not _wanted(event, target, settings):
            continue
        if target.flow_sid is not None and _elsewhere(target, settings) is None:
            flows.add(target.flow_sid)
        params = event.params
        if target.enriched:
            params = enriched = enriched or enrich(event, target.roster, now)
        yield _item(event, target, params, settings)


def _wanted(event: Event, target: Target, settings: Settings) -> bool:
    if target.scope == STREAM or not hears(target, event.name, event.origin):
        return False
    if target.overridden and not _both(settings, event.account_sid):
        return False
    if target.scope == "studio" and not _for_flow(event, target, settings):
        return False
    return not target.triggers or triggers.matches(event.params.get("Body", ""), target.triggers)


def _for_flow(event: Event, target: Target, settings: Settings) -> bool:
    """Flows do not hear each other, nor themselves; those that run here are about messages."""
    runs_here = _elsewhere(target, settings) is None
    return event.origin.kind != FLOWS.kind and (event.name in MESSAGES or not runs_here)


def _elsewhere(target: Target, settings: Settings) -> str | None:
    """The URL of a flow that the file leaves to somebody else; None: it runs here."""
    flow = settings.flows.get(target.flow_sid or "")
    return flow.url if flow else None


def _both(settings: Settings, account_sid: str) -> bool:
    """Whether this account's webhooks are told beside a service's."""
    house = settings.houses.get(account_sid)
    return house is not None and house.webhooks.service_webhooks == "both"


async def _targets(tx: Tx, events: Sequence[Event]) -> dict[str, tuple[Target, ...]]:
    conversations = {event.conversation_sid for event in events if event.conversation_sid}
    found = await webhooks.targets(tx.sql, conversations) if conversations else {}
    services = {event.within for event in events} - conversations
    return found | (await webhooks.of_services(tx.sql, services) if services else {})


def _item(event: Event, target: Target, params: dict[str, str], settings: Settings) -> NewItem:
    lane, kind, url = hook_lane(target.sid, event.about), HOOK, target.url
    if target.scope == "studio":
        url = _elsewhere(target, settings)
    if target.flow_sid is not None and url is None:
        lane, kind = flow_lane(target.flow_sid, event.about), FLOW
        url = PLACE + target.flow_sid
    item = NewItem(
        lane=lane,
        kind=kind,
        token=ids.token(),
        account_sid=event.account_sid,
        conversation_sid=event.conversation_sid,
        message_sid=event.message_sid,
        event=event.name,
        scope=target.scope,
        url=url,
        method=target.method,
        params=params,
    )
    if target.retries_max is not None:
        item["retries_max"] = target.retries_max
    return item


def _happened(event: Event) -> Happened:
    return Happened(
        account_sid=event.account_sid,
        id=ids.new(ids.STREAM_EVENT),
        type=BY_EVENT[event.name].type,
        about=event.about,
        data=data(event.name, {**event.params, **event.besides}),
    )
