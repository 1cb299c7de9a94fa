"""Which sender of a messaging service people had, and which of its senders they can have now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.store.database import Tx

# Besides who was given one: who wrote to one first, by the last conversation that they are in.
KNOWN = """
SELECT
  (SELECT s.sender FROM sticky_senders s
   WHERE s.account_sid = $1 AND s.messaging_service_sid = $2 AND s.address = $3) AS given,
  (SELECT p.proxy_address FROM participants p
   WHERE p.chat_service_sid = $4 AND p.address = $3 AND p.proxy_address = ANY ($5::text[])
   ORDER BY p.conversation_sid DESC LIMIT 1) AS last
"""
HELD = """
SELECT proxy_address, conversation_sid FROM bindings
WHERE account_sid = $1 AND proxy_address = ANY ($2::text[]) AND address = $3 AND open
"""
KEEP = """
INSERT INTO sticky_senders AS s (account_sid, messaging_service_sid, address, sender, date_created)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (account_sid, messaging_service_sid, address)
DO UPDATE SET sender = excluded.sender, date_created = excluded.date_created
WHERE s.sender <> ALL ($6::text[])
"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Somebody who is to get a sender of a messaging service, and the senders that they may get."""

    account_sid: str
    chat_service_sid: str
    messaging_service_sid: str
    address: str
    senders: Sequence[str]


async def had(tx: Tx, wanted: Wanted) -> str | None:
    """The sender that they were given, if it still is one of these; else the one that they wrote
    to last; None: they are new."""
    row = await tx.sql.fetchrow(
        KNOWN,
        wanted.account_sid,
        wanted.messaging_service_sid,
        wanted.address,
        wanted.chat_service_sid,
        wanted.senders,
    )
    given: str | None = row["given"]
    last: str | None = row["last"]
    return given if given in wanted.senders else last


async def held(tx: Tx, wanted: Wanted) -> dict[str, str]:
    """The senders whose pair with them is held, and the conversation, which is not closed."""
    rows = await tx.sql.fetch(HELD, wanted.account_sid, wanted.senders, wanted.address)
    return {row["proxy_address"]: row["conversation_sid"] for row in rows}


async def keep(tx: Tx, wanted: Wanted, sender: str) -> None:
    """Remember the first sender that they were given, for as long as it is one of these."""
    await tx.sql.execute(
        KEEP,
        wanted.account_sid,
        wanted.messaging_service_sid,
        wanted.address,
        sender,
        tx.now,
        wanted.senders,
    )
