"""Which webhooks concern a conversation: the service's or else the account's, and its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import asyncpg
import orjson

TARGETS = """
SELECT c.sid,
  (SELECT json_build_array(w.sid, w.chat_service_sid, w.post_url, w.method, w.filters)
   FROM webhook_configurations w
   WHERE w.account_sid = c.account_sid
     AND (w.chat_service_sid = c.chat_service_sid OR w.chat_service_sid IS NULL)
   ORDER BY w.chat_service_sid NULLS LAST LIMIT 1)::text AS configured,
  (SELECT json_agg(json_build_array(s.sid, s.target, s.url, s.method, s.filters, s.flow_sid,
                                    s.retry_count) ORDER BY s.sid)
   FROM scoped_webhooks s WHERE s.conversation_sid = c.sid)::text AS scoped
FROM unnest($1::text[]) AS given (sid) JOIN conversations c ON c.sid = given.sid COLLATE "C"
"""


@dataclass(frozen=True, slots=True)
class Target:
    """Somebody who is told. scope: global, service, scoped or studio (then `flow_sid` names the
    flow whose URL the settings give). `filters` are the events wanted; none: nothing."""

    sid: str
    scope: str
    url: str | None
    method: str
    filters: frozenset[str]
    flow_sid: str | None = None
    retries_max: int | None = None


async def targets(
    sql: asyncpg.Connection, conversations: Iterable[str]
) -> dict[str, tuple[Target, ...]]:
    """The targets of each conversation, in a stable order."""
    rows = await sql.fetch(TARGETS, sorted(set(conversations)))
    return {row["sid"]: (*_configured(row["configured"]), *_scoped(row["scoped"])) for row in rows}


def _configured(text: str | None) -> Iterable[Target]:
    if text is not None:
        sid, service, url, method, filters = orjson.loads(text)
        if url:
            scope = "service" if service else "global"
            yield Target(sid, scope, url, method, frozenset(filters))


def _scoped(text: str | None) -> Iterable[Target]:
    for sid, target, url, method, filters, flow_sid, retries in orjson.loads(text or "[]"):
        if target == "studio":
            wanted = frozenset(filters or ["onMessageAdded"])
            yield Target(sid, "studio", None, "POST", wanted, flow_sid, retries)
        elif target == "webhook":
            yield Target(sid, "scoped", url, method, frozenset(filters))
