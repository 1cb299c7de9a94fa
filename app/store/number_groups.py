"""Claims on number groups: one open conversation per account and set of numbers.

The partial unique index decides. Who changes the members of a group holds its row, from before the
users are locked: what it reads of them then is what they are. Lock order: bindings, number groups,
users, conversations, lanes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg
from sqlalchemy import select
from sqlmodel import SQLModel

from app.model import Participant
from app.store.database import Tx
from app.store.scope import Scope

PARTICIPANTS = SQLModel.metadata.tables["participants"]
P = PARTICIPANTS.c

HOLD = """
INSERT INTO number_groups (conversation_sid, account_sid) VALUES ($1, $2)
ON CONFLICT (conversation_sid) DO UPDATE SET conversation_sid = excluded.conversation_sid
"""
CLAIM = "UPDATE number_groups SET numbers = $2 WHERE conversation_sid = $1"
HOLDER = """
SELECT g.conversation_sid, c.state
FROM number_groups g JOIN conversations c ON c.sid = g.conversation_sid
WHERE g.account_sid = $1 AND g.numbers = $2 AND g.open
"""
FORGET = "DELETE FROM number_groups WHERE conversation_sid = $1"
MARK = "UPDATE conversations SET grouped = $2 WHERE sid = $1 AND grouped <> $2"
HOLD_ALL = """
INSERT INTO number_groups (conversation_sid, account_sid, open)
SELECT c.sid, c.account_sid, c.state <> 'closed'
FROM participants p JOIN conversations c ON c.sid = p.conversation_sid
WHERE p.chat_service_sid = $1 AND p.identity = $2 AND p.projected_address IS NOT NULL
ORDER BY p.conversation_sid LIMIT $3
ON CONFLICT (conversation_sid) DO UPDATE SET conversation_sid = excluded.conversation_sid
RETURNING conversation_sid
"""
ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a number group: a conversation that is not closed."""

    conversation_sid: str
    state: str


async def hold(tx: Tx, account_sid: str, conversation_sid: str) -> None:
    """From now on nobody else changes who is in the group that this conversation is, or becomes.
    Its own row may come later in this transaction."""
    await tx.sql.execute(HOLD, conversation_sid, account_sid)


async def hold_all(tx: Tx, scope: Scope, identity: str, limit: int) -> list[str]:
    """The same for up to `limit` groups that an identity is in; gives their conversations."""
    rows = await tx.sql.fetch(HOLD_ALL, scope.service_sid, identity, limit)
    return [row["conversation_sid"] for row in rows]


async def members(tx: Tx, conversation_sid: str) -> list[Participant]:
    """Those in a held conversation who make it a group."""
    alone = P.address.is_not(None) & P.proxy_address.is_(None)
    statement = select(PARTICIPANTS).where(
        P.conversation_sid == conversation_sid, alone | P.projected_address.is_not(None)
    )
    return await tx.every(Participant, statement.order_by(P.sid))


async def claim(
    tx: Tx, account_sid: str, conversation_sid: str, numbers: str | None
) -> Holder | None:
    """Claim these numbers, instead of those before, for a held conversation (None: it has none);
    gives who holds them when somebody does. Waits for a transaction that claims the same."""
    for _ in range(ATTEMPTS):
        try:
            async with tx.sql.transaction():  # a savepoint: who loses asks who won
                await tx.sql.execute(CLAIM, conversation_sid, numbers)
        except asyncpg.UniqueViolationError:
            found = await tx.sql.fetchrow(HOLDER, account_sid, numbers)
            if found is not None:
                return Holder(*found)
        else:
            return None
    raise AssertionError("a number group changed hands again and again")


async def mark(tx: Tx, conversation_sid: str, left: Sequence[Participant]) -> None:
    """Note on a locked conversation whether these members make it a group; without any, its row
    goes."""
    if not left:
        await tx.sql.execute(FORGET, conversation_sid)
    await tx.sql.execute(MARK, conversation_sid, bool(left))
