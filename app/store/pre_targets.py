"""Who is asked before something happens in a service: its own pre-event webhook, else the
account's. A service whose webhooks have any URL is not asked for by the account's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import asyncpg

# At most two rows of the unique index on this expression.
FIND = """
SELECT sid, chat_service_sid, pre_url, method, filters, pre_on_timeout, pre_timeout_ms
FROM webhook_configurations
WHERE account_sid = $1 AND coalesce(chat_service_sid, '') = ANY (ARRAY['', $2])
  AND (chat_service_sid IS NULL OR coalesce(pre_url, post_url) IS NOT NULL)
ORDER BY chat_service_sid NULLS LAST LIMIT 1
"""


# The same for many at once, each in a conversation or in a service (none, or one that is deleted:
# the account's default one).
PLACES = """
SELECT home.chat_service_sid AS service_sid, home.messaging_service_sid,
  w.sid, w.chat_service_sid, w.pre_url, w.method, w.filters, w.pre_on_timeout, w.pre_timeout_ms
FROM unnest($1::text[], $2::text[], $3::text[]) WITH ORDINALITY
  AS p (account_sid, conversation_sid, service_sid, number)
LEFT JOIN accounts a ON a.sid = p.account_sid COLLATE "C"
LEFT JOIN conversations c ON c.sid = p.conversation_sid COLLATE "C"
LEFT JOIN services s ON s.sid = p.service_sid COLLATE "C" AND s.deleted_at IS NULL
CROSS JOIN LATERAL (
  SELECT coalesce(c.chat_service_sid, s.sid, a.default_chat_service_sid) AS chat_service_sid,
    CASE WHEN c.sid IS NULL THEN a.default_messaging_service_sid ELSE c.messaging_service_sid END
      AS messaging_service_sid) home
LEFT JOIN LATERAL (
  SELECT * FROM webhook_configurations w
  WHERE w.account_sid = a.sid
    AND coalesce(w.chat_service_sid, '') = ANY (ARRAY['', home.chat_service_sid])
    AND (w.chat_service_sid IS NULL OR coalesce(w.pre_url, w.post_url) IS NOT NULL)
  ORDER BY w.chat_service_sid NULLS LAST LIMIT 1) w ON true
ORDER BY p.number
"""


@dataclass(frozen=True, slots=True)
class PreTarget:
    """Somebody who is asked. scope: global or service. `filters` are the events that it wants to
    decide on; `on_timeout` is what happens without an answer within `timeout_s`."""

    sid: str
    scope: str
    url: str
    method: str
    filters: frozenset[str]
    on_timeout: Literal["open", "closed"]
    timeout_s: float


@dataclass(frozen=True, slots=True)
class Place:
    """Where something would happen, and who is asked of it there."""

    service_sid: str
    messaging_service_sid: str | None
    target: PreTarget | None


async def find(sql: asyncpg.Connection, account_sid: str, service_sid: str) -> PreTarget | None:
    """Who is asked of what happens in this service; None when nobody is."""
    return _target(await sql.fetchrow(FIND, account_sid, service_sid))


async def places(
    sql: asyncpg.Connection, wanted: Sequence[tuple[str, str | None, str | None]]
) -> list[Place]:
    """For each (account, conversation, service): where that is, and who is asked there."""
    if not wanted:
        return []
    columns = [list(column) for column in zip(*wanted, strict=True)]
    return [
        Place(row["service_sid"] or "", row["messaging_service_sid"], _target(row))
        for row in await sql.fetch(PLACES, *columns)
    ]


def _target(row: Any) -> PreTarget | None:
    if row is None or not row["pre_url"]:
        return None
    return PreTarget(
        sid=row["sid"],
        scope="service" if row["chat_service_sid"] else "global",
        url=row["pre_url"],
        method=row["method"],
        filters=frozenset(row["filters"]),
        on_timeout=row["pre_on_timeout"],
        timeout_s=row["pre_timeout_ms"] / 1000,
    )
