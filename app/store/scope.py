"""Whose: every question about a conversation or anything below it is asked within one service."""

from __future__ import annotations

from typing import NamedTuple

from app.store.database import Tx

SERVICE = """
SELECT s.sid,
  EXISTS (SELECT FROM webhook_configurations w WHERE w.account_sid = a.sid AND w.echo)
  OR EXISTS (SELECT FROM scoped_webhooks h WHERE h.account_sid = a.sid AND h.echo)
  OR a.streamed <> '{}' AS echoes
FROM accounts a JOIN services s ON s.account_sid = a.sid
WHERE a.sid = $1 AND s.sid = coalesce($2, a.default_chat_service_sid) AND s.deleted_at IS NULL
"""


class Scope(NamedTuple):
    """An account and one of its conversation services."""

    account_sid: str
    service_sid: str


async def find(tx: Tx, account_sid: str, service_sid: str | None) -> Scope | None:
    """The scope of a service of this account (None: its default one), or None if it has none
    such: into one that is being deleted nothing leads any more.

    The transaction knows from it whether anybody in the account hears of what callers did not ask
    to be told: where nobody does, it costs nothing."""
    found = await tx.sql.fetchrow(SERVICE, account_sid, service_sid)
    if found is None:
        return None
    tx.echoes = found["echoes"]
    return Scope(account_sid, found["sid"])
