"""How people stand to our senders: columns for statements that ask it of many at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from app.channels.facts import FACTS


def _among(channels: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in channels)


SESSIONS = _among([name for name, facts in FACTS.items() if facts.session_s])
KEYWORDS = _among([name for name, facts in FACTS.items() if facts.keywords])


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
