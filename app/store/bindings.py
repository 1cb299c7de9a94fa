"""Claims on pairs of address and proxy address: one open conversation per pair and account.

The partial unique index decides. A pair that is a group text of two is not free either: what comes
from it belongs there. Lock order: bindings first, then number groups, users, conversations, so a
pair is claimed before the conversation that will hold it is locked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.model import Participant
from app.model.conversations import number_group
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
  AND b.participant_sid <> $5
UNION ALL
SELECT g.conversation_sid, p.sid, c.state
FROM number_groups g JOIN conversations c ON c.sid = g.conversation_sid
JOIN participants p ON p.conversation_sid = g.conversation_sid AND p.address = $3
WHERE g.account_sid = $1 AND g.numbers = $4 AND g.open
LIMIT 1
"""
GROUPED = """
SELECT g.numbers FROM number_groups g
WHERE g.account_sid = $1 AND g.numbers = ANY ($2::text[]) AND g.open
"""
LOCK = "SELECT FROM bindings WHERE participant_sid = $1 FOR UPDATE"
RELEASE = "DELETE FROM bindings WHERE participant_sid = $1"
RELEASE_ALL = """
WITH pair AS (DELETE FROM bindings WHERE conversation_sid = $1)
DELETE FROM number_groups WHERE conversation_sid = $1
"""
CLOSE = """
WITH pair AS (UPDATE bindings SET open = false WHERE conversation_sid = $1 AND open)
UPDATE number_groups SET open = false WHERE conversation_sid = $1 AND open
"""
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
        grouped = await _grouped(tx, open_)
        lost = [one for one in open_ if one.sid not in won or _numbers(one) in grouped]
        pairs = [(one, await _holder(tx, one)) for one in lost]
        held += [(one, holder) for one, holder in pairs if holder is not None]
        open_ = [one for one, holder in pairs if holder is None]
    raise AssertionError("a pair changed hands again and again")


async def release(tx: Tx, participant_sid: str) -> None:
    """Free the pair of a participant that leaves or changes it: also the one that another
    transaction, which this one waits for, gave it meanwhile."""
    await tx.sql.execute(LOCK, participant_sid)
    await tx.sql.execute(RELEASE, participant_sid)


async def release_all(tx: Tx, conversation_sid: str) -> None:
    """Free all pairs of a conversation that is deleted, and its number group."""
    await tx.sql.execute(RELEASE_ALL, conversation_sid)


async def close(tx: Tx, conversation_sid: str) -> None:
    """Free all pairs of a conversation that closes, and its number group; who held them stays
    known."""
    await tx.sql.execute(CLOSE, conversation_sid)


async def _holder(tx: Tx, participant: Participant) -> Holder | None:
    """Who holds this pair, by a binding of another participant or as a group of two."""
    asked = (*_claim(participant)[:3], _numbers(participant), participant.sid)
    row = await tx.sql.fetchrow(HOLDER, *asked)
    return None if row is None else Holder(*row)


async def _grouped(tx: Tx, participants: Sequence[Participant]) -> set[str]:
    """The number groups that these (of one account) would be, of those that are held."""
    numbers = [_numbers(one) for one in participants]
    rows = await tx.sql.fetch(GROUPED, participants[0].account_sid, numbers)
    return {row["numbers"] for row in rows}


def _numbers(participant: Participant) -> str:
    """The pair as a number group."""
    _, proxy_address, address, *_ = _claim(participant)
    return number_group((proxy_address, address))


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
