"""Users ("Conversations User Resource"): who has an identity in a service. One that is not there is
made with the first participant that has its identity."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from app import ids
from app.api import parameters as kinds
from app.api.call import Call, takes
from app.api.conversations import friendly_name
from app.api.forms import Form, Parameter
from app.api.grouping import hold_all, settle_all
from app.api.page import Listing
from app.api.parameters import attributes
from app.api.scope import Links
from app.clock import iso_seconds
from app.errors import Invalid, NotFound
from app.model import User
from app.model.permissions import SERVICE
from app.rules.participants import check_identity
from app.settings.models import LimitSettings
from app.store import memberships, roles, users
from app.store.database import Tx
from app.store.scope import Scope
from app.store.users import Reach
from app.webhooks import events, proposals
from app.webhooks.events import Event

LEAVING_MAX = 200  # conversations that a deleted user leaves in one transaction


def _role_sid(text: str) -> str:
    """Raises Invalid 50103 (empty), NotFound 50100 (not the form of a role's SID)."""
    if not text:
        raise Invalid(50103, "Role SID not provided")
    if not ids.is_sid(text, ids.ROLE):
        raise NotFound(50100, "Role not found")
    return ids.lowered(text)


def _identity(text: str, limits: LimitSettings) -> str:
    return check_identity(text, chars_max=limits.identity_chars_max)


IDENTITY = kinds.limited("Identity", _identity).needed()
FRIENDLY_NAME = kinds.limited("FriendlyName", friendly_name)
ATTRIBUTES = kinds.limited("Attributes", attributes)
ROLE_SID: Parameter[str] = kinds.text("RoleSid", _role_sid)
BOTH = (FRIENDLY_NAME, ATTRIBUTES, ROLE_SID)

UNKNOWN = Reach()

LISTING = Listing("users", (datetime, str))


@takes()
async def page(call: Call) -> dict[str, Any]:
    """The users of a service, oldest first."""
    async with call.begin() as (tx, scope):
        wanted = call.wanted(LISTING)
        rows = await users.page(tx, scope, wanted.slice)
    return wanted.answer(rows, users.key, partial(show, links=call.links))


@takes(IDENTITY, *BOTH)
async def create(call: Call) -> dict[str, Any]:
    """A new user, with the service's role for users unless another one is given."""
    async with call.begin() as (tx, scope):
        user = User(
            sid=ids.new(ids.USER),
            account_sid=scope.account_sid,
            chat_service_sid=scope.service_sid,
            identity=call.form[IDENTITY],
            role_sid=await users.default_role(tx, scope),
            date_created=tx.now,
            date_updated=tx.now,
        )
        await _apply(tx, scope, user, call.form, tx.now)
        await users.add(tx, user)
        reach = await users.reachable(tx, user)
        await call.tell(tx, events.user_added(user, call.origin))
    return show(user, call.links, reach)


@takes()
async def fetch(call: Call) -> dict[str, Any]:
    """One user, by SID or identity."""
    async with call.begin() as (tx, scope):
        user = await named(call, tx, scope)
        reach = await users.reachable(tx, user)
    return show(user, call.links, reach)


async def _updating(call: Call, tx: Tx, scope: Scope) -> list[Event]:
    user = await named(call, tx, scope)
    await _apply(tx, scope, user, call.form, tx.now)
    return [proposals.user_update(user, call.origin)]


@takes(*BOTH, asks=_updating)
async def update(call: Call) -> dict[str, Any]:
    """Change a user."""
    async with call.begin() as (tx, scope):
        user = call.found(await users.lock(tx, scope, call.key("Sid")))
        await _apply(tx, scope, user, call.form, tx.now)
        await users.write(tx, user)
        reach = await users.reachable(tx, user)
        await call.tell(tx, events.user_updated(user, call.origin, *reach))
    return show(user, call.links, reach)


@takes()
async def delete(call: Call) -> None:
    """Delete a user: it leaves its conversations, closed ones too, some at a time, then it goes."""
    more = True
    while more:
        async with call.begin() as (tx, scope):
            identity = (await named(call, tx, scope)).identity
            held = await hold_all(tx, scope, identity, LEAVING_MAX)
            user = call.found(await users.lock(tx, scope, call.key("Sid")))
            left, more = await memberships.leave(tx, scope, identity, LEAVING_MAX, held)
            await settle_all(tx, scope.account_sid, held)
            if not more:
                await users.remove(tx, user)
            gone = (events.participant_removed(one, call.origin, tx.now) for one in left)
            await call.tell(tx, *gone)


def show(user: User, links: Links, reach: Reach = UNKNOWN) -> dict[str, Any]:
    """The resource. Lists say nothing of reachability."""
    url = f"{links.tree}/Users/{user.sid}"
    return {
        "sid": user.sid,
        "account_sid": user.account_sid,
        "chat_service_sid": user.chat_service_sid,
        "role_sid": user.role_sid,
        "identity": user.identity,
        "friendly_name": user.friendly_name,
        "attributes": user.attributes,
        "is_online": reach.online,
        "is_notifiable": reach.notifiable,
        "date_created": iso_seconds(user.date_created),
        "date_updated": iso_seconds(user.date_updated),
        "url": url,
        "links": {"user_conversations": f"{url}/Conversations"},
    }


async def named(call: Call, tx: Tx, scope: Scope, segment: str = "Sid") -> User:
    """The user that a segment of the path names, by SID or identity."""
    return call.found(await users.find(tx, scope, call.key(segment)))


async def _apply(tx: Tx, scope: Scope, user: User, form: Form, now: datetime) -> None:
    """Set what was sent. Raises NotFound 50100, Invalid 50105 for a role that users cannot have."""
    if ROLE_SID in form:
        role = await roles.held(tx, scope.service_sid, form[ROLE_SID])
        if role is None:
            raise NotFound(50100, "Role not found")
        if role.type != SERVICE:
            raise Invalid(50105, "Invalid role type")
        user.role_sid = role.sid
    user.friendly_name = form.get(FRIENDLY_NAME, user.friendly_name)
    user.attributes = form.get(ATTRIBUTES, user.attributes)
    user.date_updated = now
