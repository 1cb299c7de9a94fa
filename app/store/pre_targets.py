"""Who is asked before something happens in a service: its own pre-event webhook, else the
account's. A service whose webhooks have any URL is not asked for by the account's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import asyncpg

# At most two rows of the unique index on this expression.
FIND = """
SELECT sid, chat_service_sid, pre_url, method, filters, pre_on_timeout, pre_timeout_ms
FROM webhook_configurations
WHERE account_sid = $1 AND coalesce(chat_service_sid, '') = ANY (ARRAY['', $2])
  AND (chat_service_sid IS NULL OR coalesce(pre_url, post_url) IS NOT NULL)
ORDER BY chat_service_sid NULLS LAST LIMIT 1
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


async def find(sql: asyncpg.Connection, account_sid: str, service_sid: str) -> PreTarget | None:
    """Who is asked of what happens in this service; None when nobody is."""
    row = await sql.fetchrow(FIND, account_sid, service_sid)
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
