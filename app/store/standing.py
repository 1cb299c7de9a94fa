"""How people stand to our senders: columns for statements that ask it of many at once, and what
operators ask of opt-outs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg

from app.channels.facts import FACTS


def _among(channels: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in channels)


SESSIONS = _among([name for name, facts in FACTS.items() if facts.session_s])
KEYWORDS = _among([name for name, facts in FACTS.items() if facts.keywords])


LISTED = """
SELECT address, sender, opted_out, word, date_updated FROM opt_outs
WHERE account_sid = $1 AND ($2::text IS NULL OR address = $2) AND (address, sender) > ($3, $4)
ORDER BY address, sender LIMIT $5
"""
OPTED_OUT_BY = """
SELECT DISTINCT sender FROM opt_outs
WHERE account_sid = $1 AND address = ANY ($2::text[]) AND opted_out
"""
CLEAR = """
UPDATE opt_outs SET opted_out = false, word = 'OPERATOR', date_updated = $4
WHERE account_sid = $1 AND address = $2 AND ($3::text IS NULL OR sender = $3) AND opted_out
"""


class Standing(NamedTuple):
    """When they last wrote, where that opens a session, and the senders (addresses, or SIDs of
    messaging services) that they want nothing from."""

    last_inbound_at: datetime | None = None
    opted_out: tuple[str, ...] = ()


NEWCOMER = Standing()


def last_inbound_at(of: str) -> str:
    """When they last wrote, for rows `of` with an account, a channel and a pair."""
    return f"""
  CASE WHEN {of}.channel IN ({SESSIONS}) THEN (
    SELECT w.last_inbound_at FROM messaging_windows w WHERE w.account_sid = {of}.account_sid
      AND w.proxy_address = {of}.proxy_address AND w.address = {of}.address) END
"""


def columns(of: str) -> str:
    """Two columns for rows `of` with an account, a channel and a pair: what `standing` reads.
    Channels that have no such thing are not looked for, and nobody is while nobody opted out."""
    return f"""
  {last_inbound_at(of)},
  CASE WHEN {of}.channel IN ({KEYWORDS}) AND (SELECT EXISTS (SELECT FROM opt_outs)) THEN (
    SELECT json_agg(o.sender) FROM opt_outs o WHERE o.account_sid = {of}.account_sid
      AND o.address = {of}.address AND o.opted_out) END
"""


def standing(last_inbound_at: datetime | str | None, opted_out: Sequence[Any] | None) -> Standing:
    """What such columns say, as they are or in JSON."""
    if isinstance(last_inbound_at, str):
        last_inbound_at = datetime.fromisoformat(last_inbound_at)
    return Standing(last_inbound_at, tuple(opted_out or ()))


async def opted_out_by(
    sql: asyncpg.Connection, account_sid: str, addresses: Sequence[str]
) -> set[str]:
    """The senders (addresses, or SIDs of messaging services) that any of these opted out of."""
    return {row["sender"] for row in await sql.fetch(OPTED_OUT_BY, account_sid, addresses)}


async def listed(
    sql: asyncpg.Connection,
    account_sid: str,
    address: str | None,
    after: tuple[str, str],
    limit: int,
) -> list[dict[str, Any]]:
    """Who opted out and who opted in again, in the order of (address, sender), after this one."""
    return [dict(row) for row in await sql.fetch(LISTED, account_sid, address, *after, limit)]


async def clear(
    sql: asyncpg.Connection, account_sid: str, address: str, sender: str | None, now: datetime
) -> int:
    """Opt somebody in again, to one sender or (None) to all; gives to how many."""
    tag: str = await sql.execute(CLEAR, account_sid, address, sender, now)
    return int(tag.rpartition(" ")[2])
