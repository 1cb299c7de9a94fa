"""Which webhooks concern a conversation: the service's or else the account's, and its own. What
concerns no conversation is for the first two."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import asyncpg
import orjson

from app.model import ScopedWebhook

MESSAGES = frozenset({"onMessageAdded"})  # what flows and keywords are about

CONCERNED = """
  (SELECT json_build_array(w.sid, w.chat_service_sid, w.post_url, w.method, w.filters)
   FROM webhook_configurations w
   WHERE w.account_sid = c.account_sid
     AND (w.chat_service_sid IS NULL
       OR w.chat_service_sid = c.chat_service_sid AND coalesce(w.pre_url, w.post_url) IS NOT NULL)
   ORDER BY w.chat_service_sid NULLS LAST LIMIT 1)::text AS configured,
  (SELECT json_agg(json_build_array(s.sid, s.target, s.url, s.method, s.filters, s.triggers,
                                    s.flow_sid, s.retry_count) ORDER BY s.sid)
   FROM scoped_webhooks s WHERE s.conversation_sid = c.sid)::text AS scoped
"""
"""Columns for a statement over conversations `c`: what `told` reads."""

TARGETS = f"""
SELECT c.sid, {CONCERNED}
FROM unnest($1::text[]) AS given (sid) JOIN conversations c ON c.sid = given.sid COLLATE "C"
"""

OF_SERVICES = """
SELECT s.sid,
  (SELECT json_build_array(w.sid, w.chat_service_sid, w.post_url, w.method, w.filters)
   FROM webhook_configurations w
   WHERE w.account_sid = s.account_sid
     AND (w.chat_service_sid IS NULL
       OR w.chat_service_sid = s.sid AND coalesce(w.pre_url, w.post_url) IS NOT NULL)
   ORDER BY w.chat_service_sid NULLS LAST LIMIT 1)::text AS configured
FROM services s WHERE s.sid = ANY ($1::text[])
"""


@dataclass(frozen=True, slots=True)
class Target:
    """Somebody who is told. scope: global, service, scoped or studio (then `flow_sid` names the
    flow whose URL the settings give). `filters` are the events wanted; none: nothing. With
    `triggers`, a message is wanted only when it says one of these keywords."""

    sid: str
    scope: str
    url: str | None
    method: str
    filters: frozenset[str]
    flow_sid: str | None = None
    retries_max: int | None = None
    triggers: tuple[str, ...] = ()


async def targets(
    sql: asyncpg.Connection, conversations: Iterable[str]
) -> dict[str, tuple[Target, ...]]:
    """The targets of each conversation, in a stable order."""
    rows = await sql.fetch(TARGETS, sorted(set(conversations)))
    return {row["sid"]: told(row["configured"], row["scoped"]) for row in rows}


@lru_cache(maxsize=1024)  # most conversations have the same ones
def told(configured: str | None, scoped: str | None) -> tuple[Target, ...]:
    """The targets that the columns of `CONCERNED` name, in a stable order."""
    return (*_configured(configured), *_scoped(scoped))


async def of_services(
    sql: asyncpg.Connection, services: Iterable[str]
) -> dict[str, tuple[Target, ...]]:
    """The targets of each service, for what happens in no conversation."""
    rows = await sql.fetch(OF_SERVICES, sorted(set(services)))
    return {row["sid"]: tuple(_configured(row["configured"])) for row in rows}


def _configured(text: str | None) -> Iterable[Target]:
    if text is not None:
        sid, service, url, method, filters = orjson.loads(text)
        if url:
            scope = "service" if service else "global"
            yield Target(sid, scope, url, method, frozenset(filters))


def of_scoped(webhook: ScopedWebhook) -> Target:
    """The target that a conversation's own webhook is."""
    w = webhook
    return _target(
        w.sid, w.target, w.url, w.method, w.filters, w.triggers, w.flow_sid, w.retry_count
    )


def _scoped(text: str | None) -> Iterable[Target]:
    for row in orjson.loads(text or "[]"):
        yield _target(*row)


def _target(
    sid: str,
    target: str,
    url: str | None,
    method: str,
    filters: Sequence[str],
    triggers: Sequence[str],
    flow_sid: str | None,
    retries: int | None,
) -> Target:
    if target == "studio":
        wanted = frozenset(filters or MESSAGES)
        return Target(sid, "studio", None, "POST", wanted, flow_sid, retries)
    if target == "trigger":
        return Target(sid, "scoped", url, method, MESSAGES, triggers=tuple(triggers))
    return Target(sid, "scoped", url, method, frozenset(filters))
