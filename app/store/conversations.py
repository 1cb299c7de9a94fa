"""Questions about conversations. Who changes one, or anything below it, holds its row lock and
adds to its revision. Lock order: bindings, number groups, users, conversations, outbox lanes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Update, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel

from app import ids
from app.errors import Conflict
from app.model import Conversation
from app.store.database import Tx
from app.store.scope import Scope
from app.store.slices import Key, Slice, cut

CONVERSATIONS = SQLModel.metadata.tables["conversations"]
PARTICIPANTS = SQLModel.metadata.tables["participants"]
C, P = CONVERSATIONS.c, PARTICIPANTS.c

FIXED = {"sid", "account_sid", "chat_service_sid", "message_count", "revision", "grouped"}
DEFAULTS = """
SELECT default_messaging_service_sid, default_inactive_timer_s, default_closed_timer_s
FROM accounts WHERE sid = $1
"""


@dataclass(frozen=True, slots=True)
class Defaults:
    """What an account gives a new conversation ("Configuration Resource"). Seconds; None: off."""

    messaging_service_sid: str | None
    inactive_timer_s: int | None
    closed_timer_s: int | None


@dataclass(frozen=True, slots=True)
class Filter:
    """Which conversations a list shows. `created_before` is exclusive. Address and proxy address
    must be those of one participant; participants count whether or not it is closed."""

    state: str | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None
    unique_name: str | None = None
    identity: str | None = None
    address: str | None = None
    proxy_address: str | None = None


async def find(tx: Tx, scope: Scope, key: str) -> Conversation | None:
    """The conversation with this SID or unique name."""
    if ids.is_sid(key, ids.CONVERSATION):
        named = C.sid == key[:2] + key[2:].lower()
    else:
        named = C.unique_name == key
    return await tx.first(Conversation, _within(scope).where(named))


async def page(tx: Tx, scope: Scope, chosen: Filter, wanted: Slice) -> list[Conversation]:
    """A slice of the conversations, newest first."""
    statement = _within(scope).where(*_conditions(scope, chosen))
    listed = cut(statement, (C.date_created, C.sid), wanted, descending=True)
    return await tx.every(Conversation, listed)


def key(conversation: Conversation) -> Key:
    """Its place in `page`."""
    return conversation.date_created, conversation.sid


async def lock(tx: Tx, sid: str) -> Conversation | None:
    """The conversation, locked until the end of the transaction."""
    locked = select(CONVERSATIONS).where(C.sid == sid).with_for_update(key_share=True)
    return await tx.first(Conversation, locked)


async def add(tx: Tx, conversation: Conversation) -> None:
    """Keep a new conversation. Raises Conflict 50353 when its unique name is taken."""
    with _unique_name():
        await tx.add(conversation)


async def write(tx: Tx, conversation: Conversation) -> None:
    """Keep what changed in a locked conversation. Raises Conflict 50353."""
    changed = conversation.model_dump(exclude=FIXED)
    with _unique_name():
        await tx.run(_touched(conversation.sid).values(changed))


async def touch(tx: Tx, sid: str) -> None:
    """Note that something below a locked conversation changed."""
    await tx.run(_touched(sid))


async def remove(tx: Tx, sid: str) -> None:
    """Delete a locked conversation and everything below it; its bindings go before the lock."""
    await tx.run(delete(CONVERSATIONS).where(C.sid == sid))


async def defaults(tx: Tx, account_sid: str) -> Defaults:
    """What the account gives new conversations."""
    row = await tx.sql.fetchrow(DEFAULTS, account_sid)
    return Defaults(*row)


def _within(scope: Scope) -> Select[Any]:
    return select(CONVERSATIONS).where(
        C.account_sid == scope.account_sid, C.chat_service_sid == scope.service_sid
    )


def _touched(sid: str) -> Update:
    return update(CONVERSATIONS).where(C.sid == sid).values(revision=C.revision + 1)


def _conditions(scope: Scope, chosen: Filter) -> Sequence[ColumnElement[bool]]:
    plain = ((C.state, chosen.state), (C.unique_name, chosen.unique_name))
    conditions = [column == value for column, value in plain if value is not None]
    if chosen.created_from is not None:
        conditions.append(C.date_created >= chosen.created_from)
    if chosen.created_before is not None:
        conditions.append(C.date_created < chosen.created_before)
    if chosen.identity is not None:
        conditions.append(_with_participant(scope, P.identity == chosen.identity))
    pair = ((P.address, chosen.address), (P.proxy_address, chosen.proxy_address))
    bound = [column == value for column, value in pair if value is not None]
    if bound:
        conditions.append(_with_participant(scope, P.address.is_not(None), *bound))
    return conditions


def _with_participant(scope: Scope, *of: ColumnElement[bool]) -> ColumnElement[bool]:
    inside = select(P.conversation_sid).where(P.chat_service_sid == scope.service_sid, *of)
    return C.sid.in_(inside)


@contextmanager
def _unique_name() -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        if "conversations_unique_name" not in str(error.orig):
            raise
        said = "Conversation with provided unique name already exists"
        raise Conflict(50353, said) from error
