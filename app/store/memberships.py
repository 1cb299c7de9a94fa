"""Questions about memberships: a participant together with its conversation, asked from the side of
the person. In the order of the conversations' SIDs ("Participant Conversation Resource")."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, select
from sqlmodel import SQLModel

from app.model import Conversation, Participant
from app.store import moves
from app.store.database import Tx
from app.store.scope import Scope
from app.store.slices import Key, Slice, cut

PARTICIPANTS = SQLModel.metadata.tables["participants"]
CONVERSATIONS = SQLModel.metadata.tables["conversations"]
P, C = PARTICIPANTS.c, CONVERSATIONS.c

LOCK = """
SELECT c.sid FROM conversations c WHERE c.sid IN (
  SELECT conversation_sid FROM participants WHERE chat_service_sid = $1 AND identity = $2
  ORDER BY conversation_sid LIMIT $3)
ORDER BY c.sid FOR NO KEY UPDATE
"""
# Who came into a group since its row was not held yet stays for another turn.
LEAVE = """
DELETE FROM participants WHERE conversation_sid = ANY ($1::text[]) AND identity = $2
  AND (projected_address IS NULL OR conversation_sid = ANY ($3::text[]))
RETURNING *
"""
COUNTED_MAX, LISTED_MAX = 1000, 100
"""Messages beyond a read horizon, as far as they are counted: of one membership, of each listed."""
BEYOND = """
SELECT p.sid, (SELECT count(*) FROM (SELECT FROM messages m
    WHERE m.conversation_sid = p.conversation_sid AND m.index > p.last_read_message_index
    ORDER BY m.index LIMIT $2) AS there) AS count
FROM participants p WHERE p.sid = ANY ($1::text[])
"""
TOUCH = "UPDATE conversations SET revision = revision + 1 WHERE sid = ANY ($1::text[])"


class Membership(NamedTuple):
    """A participant and the conversation that it is in."""

    participant: Participant
    conversation: Conversation


async def of_identity(tx: Tx, scope: Scope, identity: str, wanted: Slice) -> list[Membership]:
    """A slice of the memberships of an identity, in closed conversations as well."""
    return await _page(tx, scope, P.identity == identity, wanted)


async def one(tx: Tx, scope: Scope, identity: str, conversation_sid: str) -> Membership | None:
    """The membership of an identity in this conversation."""
    there = P.conversation_sid == conversation_sid
    found = await _page(tx, scope, (P.identity == identity) & there, Slice(1))
    return found[0] if found else None


async def of_address(tx: Tx, scope: Scope, address: str, wanted: Slice) -> list[Membership]:
    """A slice of the memberships of somebody's own (normalised) address."""
    return await _page(tx, scope, P.address == address, wanted)


async def beyond(tx: Tx, found: Sequence[Membership], most: int = COUNTED_MAX) -> dict[str, int]:
    """How many messages lie beyond what these have read, by participant; those who have no read
    horizon are left out. Exact, but where messages were removed only up to `most`: from there on,
    removed ones count, too, as far as the conversation has so many."""
    there: dict[str, int] = {}
    uneven = []
    for participant, conversation in found:
        if (index := participant.last_read_message_index) is None:
            continue
        said, removed = conversation.message_count, conversation.removed_count
        there[participant.sid] = count = max(0, min(said - 1 - index, said - removed))
        if count and removed:
            uneven.append(participant.sid)
    if uneven:
        rows = await tx.sql.fetch(BEYOND, uneven, most + 1)
        there |= {row["sid"]: row["count"] for row in rows if row["count"] <= most}
    return there


def key(membership: Membership) -> Key:
    """Its place in a page."""
    return membership.conversation.sid, membership.participant.sid


async def leave(
    tx: Tx, scope: Scope, identity: str, limit: int, held: Sequence[str] = ()
) -> tuple[list[Participant], bool]:
    """Take an identity, whose user is locked, out of up to `limit` conversations, closed or not,
    and of groups only where `held`; gives who left, and whether it may be in more."""
    found = await tx.sql.fetch(LOCK, scope.service_sid, identity, limit)
    sids = [row["sid"] for row in found]
    left = [Participant(**row) for row in await tx.sql.fetch(LEAVE, sids, identity, held)]
    await tx.sql.execute(TOUCH, sids)
    tx.moved.update(sids)
    tx.moved.add(moves.person(scope.service_sid, identity))
    return left, len(found) == limit or len(left) < len(found)


async def _page(
    tx: Tx, scope: Scope, whose: ColumnElement[bool], wanted: Slice
) -> list[Membership]:
    # The participants first: joined whole, a deep page reads every conversation before it.
    mine = select(PARTICIPANTS).where(P.chat_service_sid == scope.service_sid, whose)
    page = cut(mine, (P.conversation_sid, P.sid), wanted).subquery()
    order = [page.c.conversation_sid, page.c.sid]
    statement = (
        select(page, CONVERSATIONS)
        .join_from(page, CONVERSATIONS, C.sid == page.c.conversation_sid)
        .order_by(*(column.desc() if wanted.backwards else column for column in order))
    )
    return [_membership(tuple(row)) for row in await tx.connection.execute(statement)]


def _membership(row: Sequence[Any]) -> Membership:
    participant = dict(zip(P.keys(), row[: len(P)], strict=True))
    conversation = dict(zip(C.keys(), row[len(P) :], strict=True))
    return Membership(Participant(**participant), Conversation(**conversation))
