"""Questions about users. Who joins or leaves by identity holds the user's row lock.

Lock order: bindings, number groups, users (by identity), conversations, outbox lanes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import Select, delete, select, update
from sqlmodel import SQLModel

from app import ids
from app.errors import Conflict
from app.model import User
from app.store import moves
from app.store.database import TAKEN, Tx, violates
from app.store.scope import Scope
from app.store.slices import Key, Slice, cut

USERS = SQLModel.metadata.tables["users"]
U = USERS.c

FIXED = {
    "sid",
    "account_sid",
    "chat_service_sid",
    "identity",
    "date_created",
    "revision",
    "online_at",
}
ATTEMPTS = 5

MAKE = """
INSERT INTO users (sid, account_sid, chat_service_sid, identity, role_sid, date_created,
  date_updated)
SELECT $1, account_sid, sid, $3, default_chat_service_role_sid, $4, $4
FROM services WHERE sid = $2
ON CONFLICT (chat_service_sid, identity) DO NOTHING
RETURNING *
"""
# Neither counts further than it has to.
IN_ANY = """
SELECT count(*) FROM (
  SELECT FROM participants WHERE chat_service_sid = $1 AND identity = $2
  ORDER BY conversation_sid LIMIT $3) AS found
"""
IN_OPEN = """
SELECT count(*) FROM (
  SELECT FROM participants p JOIN conversations c ON c.sid = p.conversation_sid
  WHERE p.chat_service_sid = $1 AND c.chat_service_sid = $1 AND p.identity = $2
    AND c.state <> 'closed' LIMIT $3) AS found
"""
# Somebody who has been in a hundred thousand: the plan must know of whom it is asked.
ASKED_OF = "SET LOCAL plan_cache_mode = force_custom_plan"
DEFAULT_ROLE = "SELECT default_chat_service_role_sid FROM services WHERE sid = $1"
REACHABLE = """
SELECT EXISTS (SELECT FROM presences WHERE chat_service_sid = $1 AND identity = $2) AS online,
  EXISTS (SELECT FROM push_bindings WHERE chat_service_sid = $1 AND identity = $2) AS notifiable
FROM services WHERE sid = $1 AND reachability_enabled
"""


FORGET = "DELETE FROM push_bindings WHERE chat_service_sid = $1 AND identity = $2"


class Reach(NamedTuple):
    """Whether somebody is connected, and has a device for push. None where the service shows no
    reachability, and for who has not been online since it does, or has no device (docs/44)."""

    online: bool | None = None
    notifiable: bool | None = None


async def find(tx: Tx, scope: Scope, key: str) -> User | None:
    """The user of this service with this SID or identity."""
    return await tx.first(User, _named(scope, key))


async def lock(tx: Tx, scope: Scope, key: str) -> User | None:
    """The user, locked for a change."""
    return await tx.first(User, _named(scope, key).with_for_update(key_share=True))


async def page(tx: Tx, scope: Scope, wanted: Slice) -> list[User]:
    """A slice of the users of a service, oldest first."""
    return await tx.every(User, cut(_within(scope), (U.date_created, U.sid), wanted))


def key(user: User) -> Key:
    """Its place in `page`."""
    return user.date_created, user.sid


async def add(tx: Tx, user: User) -> None:
    """Keep a new user. Raises Conflict 50201 when the identity has one."""
    with _identity():
        await tx.add(user)
    _moved(tx, user)


async def enrol(tx: Tx, scope: Scope, identity: str) -> tuple[User, bool]:
    """The user of this identity, locked, and whether it was made just now, with the role that the
    service gives new users. Waits for a transaction that makes or deletes the same one."""
    mine = _within(scope).where(U.identity == identity).with_for_update(key_share=True)
    for _ in range(ATTEMPTS):
        user = await tx.first(User, mine)
        if user is not None:
            return user, False
        made = await tx.sql.fetchrow(MAKE, ids.new(ids.USER), scope.service_sid, identity, tx.now)
        if made is not None:
            return User(**made), True
    raise AssertionError("a user came and went again and again")


async def default_role(tx: Tx, scope: Scope) -> str | None:
    """The role that users of this service get when nothing is said."""
    sid: str | None = await tx.sql.fetchval(DEFAULT_ROLE, scope.service_sid)
    return sid


async def busy(tx: Tx, scope: Scope, identity: str, most: int) -> bool:
    """Whether an identity is in `most` conversations that are not closed, or more."""
    asked = (scope.service_sid, identity, most)
    if await tx.sql.fetchval(IN_ANY, *asked) < most:
        return False
    await tx.sql.execute(ASKED_OF)
    found: int = await tx.sql.fetchval(IN_OPEN, *asked)
    return found >= most


async def sids(tx: Tx, scope: Scope, identities: Collection[str]) -> dict[str, str]:
    """The SIDs of the users with these identities, by identity."""
    if not identities:
        return {}
    named = select(U.identity, U.sid).where(
        U.chat_service_sid == scope.service_sid, U.identity.in_(sorted(identities))
    )
    rows = await tx.connection.execute(named)
    return {row.identity: row.sid for row in rows}


async def reachable(tx: Tx, user: User) -> Reach:
    """How a user can be reached now."""
    row = await tx.sql.fetchrow(REACHABLE, user.chat_service_sid, user.identity)
    if row is None:
        return Reach()
    online = row["online"] if row["online"] or user.online_at is not None else None
    return Reach(online, row["notifiable"] or None)


async def write(tx: Tx, user: User) -> None:
    """Keep what changed in a locked user."""
    changed = {**user.model_dump(exclude=FIXED), "revision": U.revision + 1}
    await tx.run(update(USERS).where(U.sid == user.sid).values(changed))
    _moved(tx, user)


async def remove(tx: Tx, user: User) -> None:
    """Delete a locked user that is in no conversation any more, with its devices."""
    await tx.sql.execute(FORGET, user.chat_service_sid, user.identity)
    await tx.run(delete(USERS).where(U.sid == user.sid))
    _moved(tx, user)


def _moved(tx: Tx, user: User) -> None:
    tx.moved.add(moves.person(user.chat_service_sid, user.identity))


def _within(scope: Scope) -> Select[Any]:
    return select(USERS).where(U.chat_service_sid == scope.service_sid)


def _named(scope: Scope, key: str) -> Select[Any]:
    if ids.is_sid(key, ids.USER):
        return _within(scope).where(U.sid == ids.lowered(key))
    return _within(scope).where(U.identity == key)


@contextmanager
def _identity() -> Iterator[None]:
    try:
        yield
    except TAKEN as error:
        if not violates(error, "users_identity"):
            raise
        raise Conflict(50201, "User already exists") from error
