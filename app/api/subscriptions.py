"""Subscriptions ("Subscription Resource", Event Streams): which events a sink gets."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import orjson

from app import ids
from app.api import parameters as kinds
from app.api.call import Call, takes
from app.api.forms import Parameter
from app.api.page import Listing
from app.api.scope import Links
from app.api.streaming import (
    BAD_REQUEST,
    BAD_SID,
    NO_SINK,
    NO_SUBSCRIPTION,
    NO_TYPE,
    NO_TYPES,
    SUBSCRIPTION_NOT_MADE,
    description,
    found,
    sid,
    wanted,
)
from app.clock import iso_seconds
from app.errors import Invalid, NotFound
from app.model import Subscription
from app.model.streams import ACTIVE, PULL
from app.store import sinks, subscriptions
from app.store.database import Tx
from app.streams.types import LATEST, TYPES, VERSIONS

PATH = "/Subscriptions"
TYPES_MAX = 100


def version(given: Any) -> int:
    """A version of a schema. Raises Invalid 91201."""
    if type(given) is not int or given not in VERSIONS:
        raise Invalid(BAD_REQUEST, f"SchemaVersion is not one of {', '.join(map(str, VERSIONS))}")
    return given


def known(kind: Any) -> str:
    """A type of event that there is. Raises NotFound 91104."""
    if not isinstance(kind, str) or kind not in TYPES:
        raise NotFound(NO_TYPE, "The event type was not found")
    return kind


def _types(texts: Sequence[str]) -> dict[str, int]:
    """The wanted versions by type, of objects with `type` and `schema_version`; one by one, or all
    in one array."""
    versions: dict[str, int] = {}
    for text in texts:
        for one in _objects(text):
            versions[known(one.get("type"))] = version(one.get("schema_version", LATEST))
    if not versions:
        raise Invalid(NO_TYPES, "Types is empty: a subscription wants at least one event type")
    return versions


def _objects(text: str) -> list[dict[str, Any]]:
    try:
        value = orjson.loads(text) if text else []
    except orjson.JSONDecodeError:
        raise Invalid(BAD_REQUEST, "Types is not JSON") from None
    listed = value if isinstance(value, list) else [value]
    if len(listed) > TYPES_MAX or not all(isinstance(one, dict) for one in listed):
        raise Invalid(BAD_REQUEST, "Types is not made of JSON objects")
    return listed


DESCRIPTION = kinds.text("Description", description)
SINK_SID = kinds.sid("SinkSid", ids.SINK, BAD_SID, "SinkSid is not a sink's SID")
KINDS: Parameter[dict[str, int]] = Parameter(
    "Types", _types, {"type": "array", "items": {"type": "string"}}
)
NEW_DESCRIPTION, NEW_SINK_SID, NEW_KINDS = (
    DESCRIPTION.needed(),
    SINK_SID.needed(),
    KINDS.needed(),
)

LISTING = Listing("subscriptions", (str,), size=50, size_max=1000)


@takes(SINK_SID)
async def page(call: Call) -> dict[str, Any]:
    """The account's subscriptions, in the order in which they were made."""
    asked = wanted(call, LISTING)
    async with call.begin() as (tx, scope):
        rows = await subscriptions.page(
            tx, scope.account_sid, asked.slice, sink_sid=call.form.get(SINK_SID)
        )
    return asked.answer(rows, subscriptions.key, partial(show, links=call.links))


@takes(NEW_DESCRIPTION, NEW_SINK_SID, NEW_KINDS)
async def create(call: Call) -> dict[str, Any]:
    """Subscribe an active sink to types of events, from now on."""
    form, most = call.form, call.runtime.settings.streams.subscriptions_max
    versions = form[NEW_KINDS]
    async with call.begin() as (tx, scope):
        await subscriptions.lock(tx, scope.account_sid)
        sink = await sinks.find(tx, scope.account_sid, form[NEW_SINK_SID], lock=True)
        if sink is None:
            raise NotFound(NO_SINK, "The sink that SinkSid names was not found")
        if sink.status != ACTIVE:
            raise Invalid(SUBSCRIPTION_NOT_MADE, f"The sink is {sink.status}: validate it first")
        if await subscriptions.count(tx, scope.account_sid) >= most:
            said = "The account has as many subscriptions as it may have"
            raise Invalid(SUBSCRIPTION_NOT_MADE, said)
        subscription = Subscription(
            sid=ids.new(ids.SUBSCRIPTION),
            account_sid=scope.account_sid,
            sink_sid=sink.sid,
            description=form[NEW_DESCRIPTION],
            date_created=tx.now,
            date_updated=tx.now,
        )
        await tx.add(subscription)
        await subscriptions.want(tx, subscription.sid, versions)
        if sink.type != PULL:
            await subscriptions.follow(tx, subscription)
        await restream(tx, scope.account_sid)
    return show(subscription, call.links)


@takes()
async def fetch(call: Call) -> dict[str, Any]:
    """One subscription."""
    async with call.begin() as (tx, scope):
        subscription = await named(call, tx, scope.account_sid, "Sid")
    return show(subscription, call.links)


@takes(DESCRIPTION)
async def update(call: Call) -> dict[str, Any]:
    """Describe a subscription in other words."""
    async with call.begin() as (tx, scope):
        await subscriptions.lock(tx, scope.account_sid)
        subscription = await named(call, tx, scope.account_sid, "Sid")
        subscription.description = call.form.get(DESCRIPTION, subscription.description)
        subscription.date_updated = tx.now
        await subscriptions.write(tx, subscription)
    return show(subscription, call.links)


@takes()
async def delete(call: Call) -> None:
    """End a subscription; what was not sent yet is not sent any more."""
    async with call.begin() as (tx, scope):
        await subscriptions.lock(tx, scope.account_sid)
        subscription = await named(call, tx, scope.account_sid, "Sid")
        await subscriptions.remove(tx, subscription.sid)
        await restream(tx, scope.account_sid)


def show(subscription: Subscription, links: Links) -> dict[str, Any]:
    """The resource."""
    url = links.account(f"{PATH}/{subscription.sid}")
    return {
        "account_sid": subscription.account_sid,
        "sid": subscription.sid,
        "sink_sid": subscription.sink_sid,
        "description": subscription.description,
        "date_created": iso_seconds(subscription.date_created),
        "date_updated": iso_seconds(subscription.date_updated),
        "url": url,
        "links": {"subscribed_events": f"{url}/SubscribedEvents"},
    }


async def named(call: Call, tx: Tx, account_sid: str, segment: str) -> Subscription:
    """The subscription that a segment of the path names. Raises NotFound 91102."""
    row = await subscriptions.find(tx, account_sid, sid(call, segment, ids.SUBSCRIPTION))
    return found(call, row, NO_SUBSCRIPTION)


async def restream(tx: Tx, account_sid: str) -> None:
    """What the account's stream is made of, after a change of its (locked) subscriptions."""
    types = await subscriptions.types(tx, account_sid)
    await subscriptions.stream(tx, account_sid, {TYPES[one].event for one in types})
