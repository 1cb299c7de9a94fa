"""Whose: every question about a conversation or anything below it is asked within one service."""

from __future__ import annotations

from typing import NamedTuple

from app.store.database import Tx

SERVICE = """
SELECT s.sid, a.streamed FROM accounts a JOIN services s ON s.account_sid = a.sid
WHERE a.sid = $1 AND s.sid = coalesce($2, a.default_chat_service_sid) AND s.deleted_at IS NULL
"""


class Scope(NamedTuple):
    """An account and one of its conversation services. `streamed` are the events, by their webhook
    names, that somebody follows in the account's stream."""

    account_sid: str
    service_sid: str
    streamed: frozenset[str] = frozenset()


async def find(tx: Tx, account_sid: str, service_sid: str | None) -> Scope | None:
    """The scope of a service of this account (None: its default one), or None if it has none
    such: into one that is being deleted nothing leads any more."""
    row = await tx.sql.fetchrow(SERVICE, account_sid, service_sid)
    return None if row is None else Scope(account_sid, row["sid"], frozenset(row["streamed"]))
