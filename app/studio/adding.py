"""A participant whom a flow adds: by the rules of the API, in one transaction with where the flow
stands then."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from app.api import participants
from app.api.forms import Form
from app.errors import NotFound, Unavailable
from app.flows.asks import Add
from app.flows.stack import Stack
from app.road.flowing import Overtaken
from app.runtime import Runtime
from app.store import conversations, outbox, running, settling
from app.store.outbox import Claimed
from app.store.running import Keeping, Parcel
from app.store.scope import Scope
from app.webhooks.origin import FLOW
from app.webhooks.tell import tell

Keep = Callable[[str], Awaitable[tuple[Stack, Keeping]]]
"""Where the run stands when this participant was added."""


async def add(
    runtime: Runtime, item: Claimed, parcel: Parcel, added: Add, keep: Keep
) -> tuple[Stack, Keeping]:
    """Add somebody; gives where the run stands then, as it was kept. Raises Refused, and Overtaken
    when somebody else changed the execution."""
    proxy = added.proxy_address or parcel.proxy_address or ""
    sent = [
        ("Identity", added.identity),
        ("MessagingBinding.Address", added.address),
        ("MessagingBinding.ProxyAddress", proxy if added.address else ""),
        ("Attributes", added.attributes),
    ]
    form = Form([one for one in sent if one[1]], participants.NEW, runtime.settings.limits)
    scope = Scope(item.account_sid, parcel.service_sid)
    async with runtime.db.begin() as tx:
        key = added.conversation or item.conversation_sid or ""
        parent = await conversations.find(tx, scope, key)
        if parent is None:
            raise NotFound(20404, f"The requested resource /Conversations/{key} was not found")
        participant, happened = await participants.join(tx, scope, parent, form, runtime, FLOW)
        after, keeping = await keep(participant.sid)
        if not await running.keep(tx.sql, [keeping], tx.now):
            raise Overtaken
        if not await outbox.fence(tx.sql, [item]):
            raise Unavailable("the lease ran out")
        await tell(tx, runtime.settings, happened)
        if keeping.settled is not None:
            await settling.settle(tx.sql, [keeping.settled], tx.now)
    return after, keeping
