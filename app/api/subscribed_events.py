"""Subscribed events ("Subscribed Events Resource", Event Streams): the types that a subscription
wants, each in a version of its schema."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from app.api import parameters as kinds
from app.api.call import Call, takes
from app.api.forms import Parameter
from app.api.page import Listing
from app.api.scope import Links
from app.api.streaming import NO_TYPE, found, missing, wanted
from app.api.subscriptions import PATH as SUBSCRIPTIONS
from app.api.subscriptions import known, named, restream, version
from app.model import SubscribedEvent
from app.store import subscriptions
from app.store.database import Tx
from app.store.scope import Scope
from app.streams.types import LATEST, VERSIONS

PATH = f"{SUBSCRIPTIONS}/{{SubscriptionSid}}/SubscribedEvents"


def _version(texts: Sequence[str]) -> int:
    return version(kinds.whole(texts[-1]))


TYPE = kinds.text("Type", known).needed()
SCHEMA_VERSION: Parameter[int] = Parameter(
    "SchemaVersion", _version, {"type": "integer", "enum": list(VERSIONS)}
)

LISTING = Listing("types", (str,), size=50, size_max=1000)


@takes()
async def page(call: Call) -> dict[str, Any]:
    """What a subscription wants, in the order of the types."""
    asked = wanted(call, LISTING)
    async with call.begin() as (tx, scope):
        parent = await named(call, tx, scope.account_sid, "SubscriptionSid")
        rows = await subscriptions.wanted_page(tx, parent.sid, asked.slice)
    shown = partial(show, account_sid=parent.account_sid, links=call.links)
    return asked.answer(rows, subscriptions.wanted_key, shown)


@takes(TYPE, SCHEMA_VERSION)
async def create(call: Call) -> dict[str, Any]:
    """Want one more type, or another version of one; the latest one unless said otherwise."""
    kind, number = call.form[TYPE], call.form.get(SCHEMA_VERSION, LATEST)
    async with call.begin() as (tx, scope):
        await subscriptions.lock(tx, scope.account_sid)
        parent = await named(call, tx, scope.account_sid, "SubscriptionSid")
        await subscriptions.want(tx, parent.sid, {kind: number})
        await restream(tx, scope.account_sid)
    event = SubscribedEvent(subscription_sid=parent.sid, type=kind, schema_version=number)
    return show(event, parent.account_sid, call.links)


@takes()
async def fetch(call: Call) -> dict[str, Any]:
    """One type that is wanted."""
    async with call.begin() as (tx, scope):
        event = await _named(call, tx, scope)
    return show(event, scope.account_sid, call.links)


@takes(SCHEMA_VERSION)
async def update(call: Call) -> dict[str, Any]:
    """Want a type in another version."""
    async with call.begin() as (tx, scope):
        await subscriptions.lock(tx, scope.account_sid)
        event = await _named(call, tx, scope)
        event.schema_version = call.form.get(SCHEMA_VERSION, event.schema_version)
        await subscriptions.want(tx, event.subscription_sid, {event.type: event.schema_version})
    return show(event, scope.account_sid, call.links)


@takes()
async def delete(call: Call) -> None:
    """Want a type no more; a subscription that wants nothing stays, and is sent nothing."""
    async with call.begin() as (tx, scope):
        await subscriptions.lock(tx, scope.account_sid)
        event = await _named(call, tx, scope)
        if not await subscriptions.unwant(tx, event.subscription_sid, event.type):
            raise missing(call, NO_TYPE)
        await restream(tx, scope.account_sid)


def show(event: SubscribedEvent, account_sid: str, links: Links) -> dict[str, Any]:
    """The resource."""
    url = links.account(f"{SUBSCRIPTIONS}/{event.subscription_sid}/SubscribedEvents/{event.type}")
    return {
        "account_sid": account_sid,
        "subscription_sid": event.subscription_sid,
        "type": event.type,
        "schema_version": event.schema_version,
        "url": url,
    }


async def _named(call: Call, tx: Tx, scope: Scope) -> SubscribedEvent:
    parent = await named(call, tx, scope.account_sid, "SubscriptionSid")
    row = await subscriptions.wanted(tx, parent.sid, call.key("Type"))
    return found(call, row, NO_TYPE)
