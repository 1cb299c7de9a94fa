"""Roles ("Role Resource"): what users of a service, and participants of its conversations, may
do."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any

from app import ids
from app.api import parameters as kinds
from app.api.call import Call, takes
from app.api.forms import INVALID, Parameter
from app.api.page import Listing
from app.api.scope import Links
from app.clock import iso_seconds
from app.errors import Invalid
from app.model import Role
from app.model.permissions import PERMISSIONS
from app.rules.conversations import check_friendly_name
from app.store import roles
from app.store.database import Tx
from app.store.scope import Scope

NAME_CHARS_MAX = 64
TYPES = {name: name for name in PERMISSIONS}
KNOWN = frozenset().union(*PERMISSIONS.values())
UNKNOWN = (50104, "Permission not found")
IN_USE = "Role is in use: as a default of its service, or by users or participants"


def _name(text: str) -> str:
    """Raises Invalid 50000 (empty), 50003 (too long)."""
    if not text:
        raise Invalid(50000, "FriendlyName not provided")
    return check_friendly_name(text, chars_max=NAME_CHARS_MAX)


FRIENDLY_NAME = kinds.text("FriendlyName", _name).needed()
TYPE = kinds.choice("Type", TYPES, 50105, "Invalid role type").needed()
PERMISSION: Parameter[list[str]] = kinds.words("Permission", KNOWN, *UNKNOWN).needed()

LISTING = Listing("roles", (datetime, str))


@takes()
async def page(call: Call) -> dict[str, Any]:
    """The roles of a service, oldest first."""
    async with call.begin() as (tx, scope):
        wanted = call.wanted(LISTING)
        rows = await roles.page(tx, scope.service_sid, wanted.slice)
    return wanted.answer(rows, roles.key, partial(show, links=call.links))


@takes(FRIENDLY_NAME, TYPE, PERMISSION)
async def create(call: Call) -> dict[str, Any]:
    """A new role."""
    async with call.begin() as (tx, scope):
        form = call.form
        role = Role(
            sid=ids.new(ids.ROLE),
            account_sid=scope.account_sid,
            chat_service_sid=scope.service_sid,
            friendly_name=form[FRIENDLY_NAME],
            type=form[TYPE],
            permissions=_permissions(form[TYPE], form[PERMISSION]),
            date_created=tx.now,
            date_updated=tx.now,
        )
        await tx.add(role)
    return show(role, call.links)


@takes()
async def fetch(call: Call) -> dict[str, Any]:
    """One role."""
    async with call.begin() as (tx, scope):
        role = await _named(call, tx, scope)
    return show(role, call.links)


@takes(PERMISSION)
async def update(call: Call) -> dict[str, Any]:
    """Give a role these permissions instead of those that it has."""
    async with call.begin() as (tx, scope):
        role = await _named(call, tx, scope)
        role.permissions = _permissions(role.type, call.form[PERMISSION])
        role.date_updated = tx.now
        if not await roles.write(tx, role):
            raise call.missing()
    return show(role, call.links)


@takes()
async def delete(call: Call) -> None:
    """Delete a role that nobody has."""
    async with call.begin() as (tx, scope):
        role = call.found(await roles.lock(tx, scope.service_sid, _sid(call)))
        if await roles.used(tx, role):
            raise Invalid(INVALID, IN_USE)
        await roles.remove(tx, role)


def show(role: Role, links: Links) -> dict[str, Any]:
    """The resource."""
    return {
        "sid": role.sid,
        "account_sid": role.account_sid,
        "chat_service_sid": role.chat_service_sid,
        "friendly_name": role.friendly_name,
        "type": role.type,
        "permissions": role.permissions,
        "date_created": iso_seconds(role.date_created),
        "date_updated": iso_seconds(role.date_updated),
        "url": f"{links.tree}/Roles/{role.sid}",
    }


def _sid(call: Call) -> str:
    key = call.key("Sid")
    if not ids.is_sid(key, ids.ROLE):
        raise call.missing()
    return key


async def _named(call: Call, tx: Tx, scope: Scope) -> Role:
    return call.found(await roles.find(tx, scope.service_sid, _sid(call)))


def _permissions(type_: str, given: list[str]) -> list[str]:
    """Each permission once. Raises Invalid 50104 when this type of role cannot have one of them,
    or there is none."""
    strange = sorted(set(given) - PERMISSIONS[type_])
    if strange or not given:
        raise Invalid(*UNKNOWN, {"type": type_, "permissions": strange})
    return list(dict.fromkeys(given))
