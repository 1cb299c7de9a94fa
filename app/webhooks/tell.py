"""From what happened to what must be said: events become outbox items, one per target, and go into
the account's stream if it has subscriptions that want them.

A lane is one target and one conversation, or one user: its events arrive in the order in which they
happened. The stream is one target more, but never one of the outbox: `items` passes it over and
`streamed` is for it alone, whether or not webhooks are told of the same change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app import ids
from app.model.outbox import HOOK, hook_lane
from app.model.streams import STREAM
from app.rules import triggers
from app.settings.models import Settings
from app.store import outbox, stream_log, webhooks
from app.store.database import Tx
from app.store.outbox import NewItem
from app.store.stream_log import Happened
from app.store.webhooks import Target
from app.streams.data import data
from app.streams.types import BY_EVENT
from app.webhooks.events import Event


async def tell(tx: Tx, settings: Settings, events: Sequence[Event]) -> None:
    """Find the targets of these events and put the items into the outbox, in this transaction, and
    the events themselves into the stream.

    Call once, last; for a removal before the delete (scoped targets go with their conversation).
    """
    targets = await _targets(tx, events)
    if flowing := streamed(events, targets):
        await stream_log.add(tx.sql, flowing, tx.now)
        tx.rings.add(STREAM)
    told = items(events, targets, settings)
    await outbox.add(tx.sql, told, tx.now)
    if told:
        tx.rings.add(HOOK)


def items(
    events: Sequence[Event], targets: Mapping[str, Sequence[Target]], settings: Settings
) -> list[NewItem]:
    """One item per event and target that wants it, in the order of the events."""
    return [
        _item(event, target, url)
        for event in events
        for target in targets.get(event.within, ())
        if _wanted(event, target) and (url := _url(target, settings)) is not None
    ]


def streamed(events: Sequence[Event], targets: Mapping[str, Sequence[Target]]) -> list[Happened]:
    """The events that are subscribed to, in their order."""
    return [
        _happened(event)
        for event in events
        if any(
            target.scope == STREAM and event.name in target.filters
            for target in targets.get(event.within, ())
        )
    ]


def _wanted(event: Event, target: Target) -> bool:
    if target.scope == STREAM or not event.aloud or event.name not in target.filters:
        return False
    return not target.triggers or triggers.matches(event.params.get("Body", ""), target.triggers)


async def _targets(tx: Tx, events: Sequence[Event]) -> dict[str, tuple[Target, ...]]:
    conversations = {event.conversation_sid for event in events if event.conversation_sid}
    found = await webhooks.targets(tx.sql, conversations) if conversations else {}
    services = {event.within for event in events} - conversations
    return found | (await webhooks.of_services(tx.sql, services) if services else {})


def _url(target: Target, settings: Settings) -> str | None:
    if target.scope != "studio":
        return target.url
    flow = settings.flows.get(target.flow_sid or "")
    return None if flow is None else flow.url


def _item(event: Event, target: Target, url: str) -> NewItem:
    return NewItem(
        lane=hook_lane(target.sid, event.about),
        kind=HOOK,
        token=ids.token(),
        account_sid=event.account_sid,
        conversation_sid=event.conversation_sid,
        message_sid=event.message_sid,
        event=event.name,
        scope=target.scope,
        url=url,
        method=target.method,
        params=event.params,
        retries_max=target.retries_max,
    )


def _happened(event: Event) -> Happened:
    return Happened(
        account_sid=event.account_sid,
        id=ids.new(ids.STREAM_EVENT),
        type=BY_EVENT[event.name].type,
        about=event.about,
        data=data(event.name, {**event.params, **event.besides}),
    )
