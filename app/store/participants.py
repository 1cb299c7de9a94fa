"""Questions about participants; they change under their conversation's lock."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import delete, select, update
from sqlmodel import SQLModel

from app import ids
from app.model import Participant
from app.store import moves
from app.store.database import Tx
from app.store.slices import Key, Slice, cut

PARTICIPANTS = SQLModel.metadata.tables["participants"]
P = PARTICIPANTS.c

FIXED = {"sid", "account_sid", "chat_service_sid", "conversation_sid"}
COUNT = """
SELECT count(*), count(address), count(*) FILTER (WHERE projected_address IS NOT NULL
  OR address IS NOT NULL AND proxy_address IS NULL)
FROM participants WHERE conversation_sid = $1
"""


@dataclass(frozen=True, slots=True)
class Count:
    """How many participants a conversation has, how many of them are external, and how many are
    members of a group text."""

    total: int
    external: int
    grouped: int


async def find(tx: Tx, conversation_sid: str, key: str) -> Participant | None:
    """The participant of this conversation with this SID or identity."""
    if not ids.is_sid(key, ids.PARTICIPANT):
        return await identified(tx, conversation_sid, key)
    named = P.sid == ids.lowered(key)
    inside = P.conversation_sid == conversation_sid
    return await tx.first(Participant, select(PARTICIPANTS).where(inside, named))


async def identified(tx: Tx, conversation_sid: str, identity: str) -> Participant | None:
    """The participant of this conversation with this identity."""
    inside = P.conversation_sid == conversation_sid
    return await tx.first(Participant, select(PARTICIPANTS).where(inside, P.identity == identity))


async def called(tx: Tx, conversation_sid: str, name: str) -> Participant | None:
    """The participant that a message's author names, by identity or (projected) address."""
    named = (P.identity == name) | (P.address == name) | (P.projected_address == name)
    inside = P.conversation_sid == conversation_sid
    statement = select(PARTICIPANTS).where(inside, named).order_by(P.sid).limit(1)
    return await tx.first(Participant, statement)


async def mailed_by(tx: Tx, conversation_sid: str) -> str | None:
    """The address of ours that who was here first of those on e-mail writes to."""
    on_email = (P.conversation_sid == conversation_sid) & (P.channel == "email")
    statement = select(PARTICIPANTS).where(on_email, P.proxy_address.is_not(None))
    first = await tx.first(Participant, statement.order_by(P.sid).limit(1))
    return None if first is None else first.proxy_address


async def page(tx: Tx, conversation_sid: str, wanted: Slice) -> list[Participant]:
    """A slice of the participants of a conversation, in the order in which they joined."""
    inside = select(PARTICIPANTS).where(P.conversation_sid == conversation_sid)
    return await tx.every(Participant, cut(inside, (P.sid,), wanted))


def key(participant: Participant) -> Key:
    """Its place in `page`."""
    return (participant.sid,)


async def count(tx: Tx, conversation_sid: str) -> Count:
    """How many participants there are."""
    return Count(*await tx.sql.fetchrow(COUNT, conversation_sid))


async def add(tx: Tx, participant: Participant) -> None:
    """Somebody joins a locked conversation."""
    await tx.add(participant)
    _joined(tx, participant)


async def write(tx: Tx, participant: Participant) -> None:
    """Keep what changed."""
    changed = participant.model_dump(exclude=FIXED)
    await tx.run(update(PARTICIPANTS).where(P.sid == participant.sid).values(changed))
    _joined(tx, participant)


async def remove(tx: Tx, participant_sid: str) -> int:
    """Delete a participant whose binding is released; gives how many there were."""
    return await tx.run(delete(PARTICIPANTS).where(P.sid == participant_sid))


def _joined(tx: Tx, participant: Participant) -> None:
    """Whoever is connected with the participant's identity must be told of the conversation."""
    if participant.identity is not None:
        tx.moved.add(moves.person(participant.chat_service_sid, participant.identity))
