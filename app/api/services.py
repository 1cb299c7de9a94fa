"""Conversation services ("Conversation Service Resource"): made, listed, fetched and deleted; what
can be changed of one is its configuration."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from app import ids
from app.api import parameters as kinds
from app.api.call import Call, takes
from app.api.declared import CONFLICT, owned
from app.api.page import Listing
from app.api.scope import Links
from app.clock import iso_seconds
from app.errors import Conflict, Invalid
from app.model import Service
from app.rules.conversations import check_friendly_name
from app.settings.models import DEFAULT
from app.store import removal, roles, services
from app.store.database import Tx
from app.webhooks import events

PATH = "/Services"
BELOW = {
    "conversations": "Conversations",
    "users": "Users",
    "roles": "Roles",
    "bindings": "Bindings",
    "configuration": "Configuration",
    "participant_conversations": "ParticipantConversations",
    "conversation_with_participants": "ConversationWithParticipants",
}


def _name(text: str) -> str:
    """Raises Invalid 50000 (empty), 50003 (too long)."""
    if not text:
        raise Invalid(50000, "FriendlyName not provided")
    return check_friendly_name(text)


FRIENDLY_NAME = kinds.text("FriendlyName", _name).needed()

LISTING = Listing("services", (datetime, str), size=50, size_max=100)


@takes()
async def page(call: Call) -> dict[str, Any]:
    """The account's services, oldest first."""
    async with call.begin() as (tx, scope):
        wanted = call.wanted(LISTING)
        rows = await services.page(tx, scope.account_sid, wanted.slice)
    return wanted.answer(rows, services.key, partial(show, links=call.links))


@takes(FRIENDLY_NAME)
async def create(call: Call) -> dict[str, Any]:
    """A new service, with the default roles."""
    async with call.begin() as (tx, scope):
        service = Service(
            sid=ids.new(ids.SERVICE),
            account_sid=scope.account_sid,
            friendly_name=call.form[FRIENDLY_NAME],
            date_created=tx.now,
            date_updated=tx.now,
        )
        await tx.add(service)
        await roles.seed(tx, service)
    return show(service, call.links)


@takes()
async def fetch(call: Call) -> dict[str, Any]:
    """One service."""
    async with call.begin() as (tx, scope):
        service = call.found(await services.find(tx, scope.account_sid, _sid(call)))
    return show(service, call.links)


@takes()
async def delete(call: Call) -> None:
    """Delete a service with everything in it, step by step; again, if it was interrupted."""
    sid = _sid(call)
    async with call.begin() as (tx, scope):
        service = call.found(await removal.lock(tx, scope.account_sid, sid))
        await _check_removable(call, tx, service)
        await removal.mark(tx, service)
    ended = False
    while not ended:
        await _empty(call, sid)
        async with call.begin() as (tx, _):
            ended = await removal.end(tx, sid)


def show(service: Service, links: Links) -> dict[str, Any]:
    """The resource."""
    url = links.account(f"{PATH}/{service.sid}")
    return {
        "account_sid": service.account_sid,
        "sid": service.sid,
        "friendly_name": service.friendly_name,
        "date_created": iso_seconds(service.date_created),
        "date_updated": iso_seconds(service.date_updated),
        "url": url,
        "links": {name: f"{url}/{path}" for name, path in BELOW.items()},
    }


def _sid(call: Call) -> str:
    key = call.key("Sid")
    if not ids.is_sid(key, ids.SERVICE):
        raise call.missing()
    return ids.lowered(key)


async def _check_removable(call: Call, tx: Tx, service: Service) -> None:
    """Raises Conflict 20409 for the default service and for what the YAML says or implies."""
    settings = call.runtime.settings
    if service.declared_as is not None:
        raise owned("This service", service.declared_as)
    if await removal.is_default(tx, service):
        said = "This service is the account's default: make another one the default first"
        raise Conflict(CONFLICT, said)
    if not settings.services and service.sid == settings.service_sid(DEFAULT):
        said = "This service is there because the file declares none: declare another one first"
        raise Conflict(CONFLICT, said)


async def _empty(call: Call, sid: str) -> None:
    """Delete what is in a marked service: each batch in transactions of its own."""
    while True:
        async with call.begin() as (tx, _):
            batch = await removal.conversations(tx, sid)
        if not batch:
            break
        await _end(call, batch)
    more = True
    while more:
        async with call.begin() as (tx, _):
            more = await removal.shed_people(tx, sid)


async def _end(call: Call, batch: list[str]) -> None:
    """Delete these conversations, and tell of each."""
    more = True
    while more:
        async with call.begin() as (tx, _):
            more = await removal.shed(tx, batch)
    async with call.begin() as (tx, _):
        gone = await removal.locked(tx, batch)
        told = (events.conversation_removed(one, call.origin, tx.now) for one in gone)
        await call.tell(tx, *told)
        await removal.remove(tx, batch)
