"""How a conversation service goes: step by step, each a short transaction.

It is marked; from then on nothing leads into it. It is emptied, a batch of conversations at a time
and of each a batch of messages at a time, so that nothing is locked for long: pairs first, so that
who writes from them is not made to wait for the rest. Then it goes. Steps that are done stay done:
after a crash the same steps again finish it.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlmodel import SQLModel

from app.model import Conversation, Service
from app.store.database import Tx

SERVICES = SQLModel.metadata.tables["services"]
CONVERSATIONS = SQLModel.metadata.tables["conversations"]
S, C = SERVICES.c, CONVERSATIONS.c

CONVERSATIONS_MAX = 50  # of one step
ROWS_MAX = 1000  # messages or users of one step

IS_DEFAULT = "SELECT default_chat_service_sid = $2 FROM accounts WHERE sid = $1"
MARK = "UPDATE services SET deleted_at = $2 WHERE sid = $1 AND deleted_at IS NULL"
# What was created in it is created in the default service from now on.
REROUTE = """
UPDATE address_configurations SET auto_service_sid = NULL, date_updated = $3
WHERE account_sid = $1 AND auto_service_sid = $2
"""
NEXT = """
SELECT sid FROM conversations WHERE chat_service_sid = $1
ORDER BY date_created DESC, sid DESC LIMIT $2
"""
RELEASE = """
WITH pair AS (DELETE FROM bindings WHERE conversation_sid = ANY ($1::text[]))
DELETE FROM number_groups WHERE conversation_sid = ANY ($1::text[])
"""
SHED = """
DELETE FROM messages WHERE sid = ANY (ARRAY (
  SELECT sid FROM messages WHERE conversation_sid = ANY ($1::text[]) LIMIT $2))
"""
REMOVE = "DELETE FROM conversations WHERE sid = ANY ($1::text[])"
SHED_USERS = """
DELETE FROM users WHERE sid = ANY (ARRAY (
  SELECT sid FROM users WHERE chat_service_sid = $1 ORDER BY sid LIMIT $2))
"""
SHED_BINDINGS = """
DELETE FROM push_bindings WHERE sid = ANY (ARRAY (
  SELECT sid FROM push_bindings WHERE chat_service_sid = $1 ORDER BY sid LIMIT $2))
"""
# A scan would pass over what the steps before have left of the deleted, again and again.
BY_INDEX = "SET LOCAL enable_seqscan = off"
END = """
DELETE FROM services s WHERE sid = $1
AND NOT EXISTS (SELECT FROM conversations c WHERE c.chat_service_sid = s.sid)
"""


async def lock(tx: Tx, account_sid: str, sid: str) -> Service | None:
    """The service, marked or not; nobody adds anything to it or makes it the default meanwhile."""
    named = select(SERVICES).where(S.account_sid == account_sid, S.sid == sid)
    return await tx.first(Service, named.with_for_update())


async def is_default(tx: Tx, service: Service) -> bool:
    """Whether this locked service answers for paths that name none."""
    return bool(await tx.sql.fetchval(IS_DEFAULT, service.account_sid, service.sid))


async def mark(tx: Tx, service: Service) -> None:
    """From now on nothing leads into this locked service."""
    await tx.sql.execute(MARK, service.sid, tx.now)
    await tx.sql.execute(REROUTE, service.account_sid, service.sid, tx.now)


async def conversations(tx: Tx, service_sid: str) -> list[str]:
    """The next conversations to go, their pairs free already; none when all are gone."""
    sids = [row["sid"] for row in await tx.sql.fetch(NEXT, service_sid, CONVERSATIONS_MAX)]
    await tx.sql.execute(RELEASE, sids)
    return sids


async def shed(tx: Tx, conversation_sids: Sequence[str]) -> bool:
    """Delete some of the messages of these conversations; whether there may be more."""
    await tx.sql.execute(BY_INDEX)
    return _count(await tx.sql.execute(SHED, conversation_sids, ROWS_MAX)) == ROWS_MAX


async def locked(tx: Tx, conversation_sids: Sequence[str]) -> list[Conversation]:
    """Those of these conversations that are still there, locked; their pairs are free."""
    await tx.sql.execute(RELEASE, conversation_sids)
    named = select(CONVERSATIONS).where(C.sid.in_(conversation_sids)).order_by(C.sid)
    return await tx.every(Conversation, named.with_for_update())


async def remove(tx: Tx, conversation_sids: Sequence[str]) -> None:
    """Delete these locked conversations with everything in them."""
    await tx.sql.execute(REMOVE, conversation_sids)
    tx.moved.update(conversation_sids)


async def shed_people(tx: Tx, service_sid: str) -> bool:
    """Delete some of the users and devices of a service; whether there may be more."""
    await tx.sql.execute(BY_INDEX)
    gone = [
        _count(await tx.sql.execute(statement, service_sid, ROWS_MAX))
        for statement in (SHED_USERS, SHED_BINDINGS)
    ]
    return max(gone) == ROWS_MAX


async def end(tx: Tx, service_sid: str) -> bool:
    """Delete the empty service; False when a conversation came in on the last moment."""
    await tx.sql.execute("SELECT FROM services WHERE sid = $1 FOR UPDATE", service_sid)
    await tx.sql.execute(END, service_sid)
    left = await tx.sql.fetchval("SELECT count(*) FROM services WHERE sid = $1", service_sid)
    return not left


def _count(said: str) -> int:
    """How many rows a change touched, as the driver says it: `DELETE 17`."""
    return int(said.rpartition(" ")[2])
