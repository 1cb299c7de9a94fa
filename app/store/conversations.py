"""Questions about conversations. Who changes one, or anything below it, holds its row lock and
adds to its revision. Lock order: bindings, number groups, users, conversations, outbox lanes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Select, Update, asc, delete, desc, select, update
from sqlmodel import SQLModel

from app import ids
from app.errors import Conflict
from app.model import Conversation
from app.store.database import TAKEN, Tx, violates
from app.store.scope import Scope
from app.store.slices import Key, Slice, cut

CONVERSATIONS = SQLModel.metadata.tables["conversations"]
PARTICIPANTS = SQLModel.metadata.tables["participants"]
C, P = CONVERSATIONS.c, PARTICIPANTS.c

FIXED = {
    "sid",
    "account_sid",
    "chat_service_sid",
    "message_count",
    "removed_count",
    "revision",
    "grouped",
}
WITHIN = "SELECT * FROM conversations WHERE account_sid = $1 AND chat_service_sid = $2"
BY_SID, BY_NAME = f"{WITHIN} AND sid = $3", f"{WITHIN} AND unique_name = $3"
FIRST = f"{WITHIN} ORDER BY date_created DESC, sid DESC LIMIT $3"
BEYOND = f"""
{WITHIN} AND (date_created, sid) < ($4, $5) ORDER BY date_created DESC, sid DESC LIMIT $3
"""
LOCK = "SELECT * FROM conversations WHERE sid = $1 FOR NO KEY UPDATE"
# Somebody may be in two conversations or in all of them: along an index over participants, a page
# costs the same for both. Left to itself, the planner reads all of somebody's, or of everybody's.
ALONG = """
SET LOCAL plan_cache_mode = force_custom_plan;
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off;
SET LOCAL enable_hashagg = off;
SET LOCAL enable_sort = off;
SET LOCAL max_parallel_workers_per_gather = 0;
"""
TOUCH = "UPDATE conversations SET revision = revision + 1 WHERE sid = $1"
SHRINK = """
UPDATE conversations SET removed_count = removed_count + 1, revision = revision + 1 WHERE sid = $1
"""
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

    @property
    def by_participant(self) -> bool:
        """Whether it asks who is in a conversation."""
        return any(one is not None for one in (self.identity, self.address, self.proxy_address))


EVERY = Filter()


async def find(tx: Tx, scope: Scope, key: str) -> Conversation | None:
    """The conversation with this SID or unique name."""
    if ids.is_sid(key, ids.CONVERSATION):
        return await tx.row(Conversation, BY_SID, *scope, ids.lowered(key))
    return await tx.row(Conversation, BY_NAME, *scope, key)


async def page(tx: Tx, scope: Scope, chosen: Filter, wanted: Slice) -> list[Conversation]:
    """A slice of the conversations, newest first: by the dates that they have or, where it asks who
    is in them, in the order in which they were made."""
    if chosen == EVERY and not wanted.backwards:
        mark = wanted.mark or ()
        return await tx.rows(
            Conversation, BEYOND if mark else FIRST, *scope, wanted.limit + 1, *mark
        )
    if not chosen.by_participant or chosen.unique_name is not None:
        statement = _within(scope).where(*_conditions(chosen), *_members(chosen))
        listed = cut(statement, (C.date_created, C.sid), wanted, descending=True)
        return await tx.every(Conversation, listed)
    async with tx.sql.transaction():
        await tx.sql.execute(ALONG)
        return await tx.every(Conversation, _of_participants(scope, chosen, wanted))


def key(conversation: Conversation) -> Key:
    """Its place in `page`."""
    return conversation.date_created, conversation.sid


async def lock(tx: Tx, sid: str) -> Conversation | None:
    """The conversation, locked until the end of the transaction."""
    return await tx.row(Conversation, LOCK, sid)


async def add(tx: Tx, conversation: Conversation) -> None:
    """Keep a new conversation. Raises Conflict 50353 when its unique name is taken."""
    with _unique_name():
        await tx.add(conversation)
    tx.moved.add(conversation.sid)


async def write(tx: Tx, conversation: Conversation) -> None:
    """Keep what changed in a locked conversation. Raises Conflict 50353."""
    changed = conversation.model_dump(exclude=FIXED)
    with _unique_name():
        await tx.run(_touched(conversation.sid).values(changed))
    tx.moved.add(conversation.sid)


async def touch(tx: Tx, sid: str) -> None:
    """Note that something below a locked conversation changed."""
    await tx.sql.execute(TOUCH, sid)
    tx.moved.add(sid)


async def shrink(tx: Tx, sid: str) -> None:
    """Note that a message of a locked conversation was removed."""
    await tx.sql.execute(SHRINK, sid)
    tx.moved.add(sid)


async def remove(tx: Tx, sid: str) -> None:
    """Delete a locked conversation and everything below it; its bindings go before the lock."""
    await tx.run(delete(CONVERSATIONS).where(C.sid == sid))
    tx.moved.add(sid)


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


def _of_participants(scope: Scope, chosen: Filter, wanted: Slice) -> Select[Any]:
    """The statement for a slice of the conversations of somebody: along the participants."""
    whose = _bound(chosen) or [P.identity == chosen.identity]
    there = select(P.conversation_sid).where(P.chat_service_sid == scope.service_sid, *whose)
    if wanted.mark is not None:
        mark = wanted.mark[-1]
        there = there.where(
            P.conversation_sid > mark if wanted.backwards else P.conversation_sid < mark
        )
    order: Any = asc if wanted.backwards else desc
    of = there.distinct().order_by(order(P.conversation_sid)).subquery()
    found = _within(scope).join(of, C.sid == of.c.conversation_sid)
    found = found.where(*_conditions(chosen), *_members(chosen))
    return found.order_by(order(of.c.conversation_sid)).limit(wanted.limit + 1)


def _members(chosen: Filter) -> Iterator[ColumnElement[bool]]:
    """That those are in a conversation whom the filter asks for."""
    inside = select(P.sid).where(P.conversation_sid == C.sid)
    if chosen.identity is not None:
        yield inside.where(P.identity == chosen.identity).exists()
    if bound := _bound(chosen):
        yield inside.where(*bound).exists()


def _bound(chosen: Filter) -> Sequence[ColumnElement[bool]]:
    pair = ((P.address, chosen.address), (P.proxy_address, chosen.proxy_address))
    return [column == value for column, value in pair if value is not None]


def _conditions(chosen: Filter) -> Sequence[ColumnElement[bool]]:
    plain = ((C.state, chosen.state), (C.unique_name, chosen.unique_name))
    conditions = [column == value for column, value in plain if value is not None]
    if chosen.created_from is not None:
        conditions.append(C.date_created >= chosen.created_from)
    if chosen.created_before is not None:
        conditions.append(C.date_created < chosen.created_before)
    return conditions


@contextmanager
def _unique_name() -> Iterator[None]:
    try:
        yield
    except TAKEN as error:
        if not violates(error, "conversations_unique_name"):
            raise
        said = "Conversation with provided unique name already exists"
        raise Conflict(50353, said) from error
