"""Claims on pairs of address and proxy address: one open conversation per pair and account.

The partial unique index decides. Lock order: bindings first, then users, then conversations, so a
pair is claimed before the conversation that will hold it is locked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.model import Participant
from app.store.database import Tx

CLAIM = """
INSERT INTO bindings (account_sid, proxy_address, address, conversation_sid, participant_sid)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
  AS i (account_sid, proxy_address, address, conversation_sid, participant_sid)
ORDER BY account_sid, proxy_address, address
ON CONFLICT (account_sid, proxy_address, address) WHERE open DO NOTHING
RETURNING participant_sid
"""
HOLDER = """
SELECT b.conversation_sid, b.participant_sid, c.state
FROM bindings b JOIN conversations c ON c.sid = b.conversation_sid
WHERE b.account_sid = $1 AND b.proxy_address = $2 AND b.address = $3 AND b.open
"""
LOCK = "SELECT FROM bindings WHERE participant_sid = $1 FOR UPDATE"
RELEASE = "DELETE FROM bindings WHERE participant_sid = $1"
RELEASE_ALL = "DELETE FROM bindings WHERE conversation_sid = $1"
CLOSE = "UPDATE bindings SET open = false WHERE conversation_sid = $1 AND open"
ATTEMPTS = 5


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a pair: a participant of a conversation that is not closed."""

    conversation_sid: str
    participant_sid: str
    state: str


async def claim(tx: Tx, participant: Participant) -> Holder | None:
    """Claim the participant's pair; gives who holds it when somebody does.

    Waits for a transaction that claims the same pair. The participant's row may come later in this
    transaction.
    """
    held = await claim_all(tx, [participant])
    return held[0][1] if held else None


async def claim_all(
    tx: Tx, participants: Sequence[Participant]
) -> list[tuple[Participant, Holder]]:
    """Claim the (different) pairs of several participants in the order in which the road does;
    gives those that somebody holds, and who."""
    open_, held = list(participants), list[tuple[Participant, Holder]]()
    for _ in range(ATTEMPTS):
        if not open_:
            return held
        columns = [list(column) for column in zip(*map(_claim, open_), strict=True)]
        won = {row["participant_sid"] for row in await tx.sql.fetch(CLAIM, *columns)}
        lost = [one for one in open_ if one.sid not in won]
        holders = [await tx.sql.fetchrow(HOLDER, *_claim(one)[:3]) for one in lost]
        pairs = list(zip(lost, holders, strict=True))
        held += [(one, Holder(*holder)) for one, holder in pairs if holder is not None]
        open_ = [one for one, holder in pairs if holder is None]
    raise AssertionError("a pair changed hands again and again")


async def release(tx: Tx, participant_sid: str) -> None:
    """Free the pair of a participant that leaves or changes it: also the one that another
    transaction, which this one waits for, gave it meanwhile."""
    await tx.sql.execute(LOCK, participant_sid)
    await tx.sql.execute(RELEASE, participant_sid)


async def release_all(tx: Tx, conversation_sid: str) -> None:
    """Free all pairs of a conversation that is deleted."""
    await tx.sql.execute(RELEASE_ALL, conversation_sid)


async def close(tx: Tx, conversation_sid: str) -> None:
    """Free all pairs of a conversation that closes; who held them stays known."""
    await tx.sql.execute(CLOSE, conversation_sid)


def _claim(participant: Participant) -> tuple[str, str, str, str, str]:
    """A pair as the road claims it."""
    proxy_address, address = participant.proxy_address, participant.address
    assert proxy_address is not None
    assert address is not None
    return (
        participant.account_sid,
        proxy_address,
        address,
        participant.conversation_sid,
        participant.sid,
    )
