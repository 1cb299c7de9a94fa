"""Which webhooks concern a conversation: the service's or else the account's, and its own. What
concerns no conversation is for the first two. The account's event stream comes with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple

import asyncpg
import orjson

from app.model import ScopedWebhook
from app.model.streams import STREAM
from app.model.webhooks import ENRICHED
from app.store import standing
from app.store.database import Tx

MESSAGES = frozenset({"onMessageAdded"})  # what flows and keywords are about
ROSTER_MAX = 50
"""Participants that an enriched payload names: every external one that the limits allow."""

CONFIGURED = """
SELECT json_agg(json_build_array(w.sid, w.chat_service_sid, w.post_url, w.method, w.filters,
    w.echo, w.payload) ORDER BY w.chat_service_sid NULLS FIRST)::text AS configured,
  bool_or(w.payload = 'enriched') AS enriched
FROM webhook_configurations w
WHERE w.account_sid = {account} AND coalesce(w.chat_service_sid, '') IN ('', {service})
  AND (w.chat_service_sid IS NULL OR coalesce(w.pre_url, w.post_url) IS NOT NULL)
"""

ROSTER = f"""
SELECT json_agg(json_strip_nulls(json_build_object('Sid', p.sid, 'Identity', p.identity,
  'Address', p.address, 'ProxyAddress', p.proxy_address, 'ProjectedAddress', p.projected_address,
  'Channel', CASE WHEN p.channel IN ({standing.SESSIONS}) THEN p.channel END,
  'LastInboundAt', {standing.last_inbound_at("p")}))
  ORDER BY p.sid)::text
FROM (SELECT * FROM {{participants}} p WHERE p.conversation_sid = {{conversation}}
  ORDER BY sid LIMIT {ROSTER_MAX + 1}) p
"""

CONFIGURED_OF = f"""
CROSS JOIN LATERAL ({CONFIGURED.format(account="c.account_sid", service="c.chat_service_sid")}) w
"""


def concerned(participants: str = "participants") -> str:
    """Columns for a statement over conversations `c` with `joined`: what `told` reads. Where some
    were made by the statement itself, the sources, here and there, are others."""
    roster = ROSTER.format(conversation="c.sid", participants=participants)
    return f"""
  w.configured, s.scoped, a.streamed,
  CASE WHEN w.enriched OR s.enriched THEN ({roster}) END AS roster
"""


def joined(configured: str = CONFIGURED_OF, scoped: str = "scoped_webhooks") -> str:
    """What `concerned` reads from."""
    return f"""
JOIN accounts a ON a.sid = c.account_sid
{configured}
CROSS JOIN LATERAL ({scoped_of(scoped)}) s
"""


def scoped_of(scoped: str = "scoped_webhooks") -> str:
    """The webhooks of a conversation `c`, as one row."""
    return f"""
  SELECT json_agg(json_build_array(s.sid, s.target, s.url, s.method, s.filters, s.triggers,
      s.flow_sid, s.retry_count, s.echo, s.payload) ORDER BY s.sid)::text AS scoped,
    bool_or(s.payload = 'enriched') AS enriched
  FROM {scoped} s WHERE s.conversation_sid = c.sid
"""


TARGETS = f"""
SELECT c.sid, c.account_sid, {concerned()}
FROM unnest($1::text[]) AS given (sid) JOIN conversations c ON c.sid = given.sid COLLATE "C"
{joined()}
"""

OF_SERVICES = f"""
SELECT s.sid, s.account_sid, w.configured, a.streamed
FROM services s JOIN accounts a ON a.sid = s.account_sid
CROSS JOIN LATERAL ({CONFIGURED.format(account="s.account_sid", service="s.sid")}) w
WHERE s.sid = ANY ($1::text[])
"""

OF_CONVERSATION = ROSTER.format(conversation="$1", participants="participants")


class Roster(NamedTuple):
    """Who is in a conversation, in the order in which they joined, as a JSON list; `cut` when
    there are more. Whoever has a session has the `Channel` of it, and `LastInboundAt` if they ever
    wrote."""

    text: str
    cut: bool

    def opened(self, last_inbound_at: Mapping[str, datetime]) -> Roster:
        """With these participants' messages, by SID, that are not written yet."""
        people = orjson.loads(self.text)
        for person in people:
            if person["Sid"] in last_inbound_at:
                person["LastInboundAt"] = last_inbound_at[person["Sid"]]
        return self._replace(text=orjson.dumps(people).decode())


@dataclass(frozen=True, slots=True)
class Target:
    """Somebody who is told. scope: global, service, scoped, studio (then `flow_sid` names the flow
    whose URL the settings give), or stream: what an account is subscribed to. `filters` are the
    events wanted; none: nothing. With `triggers`, a message is wanted only when it says one of
    these keywords.

    `echo`: quiet events are wanted too. `enriched`: in more words than the original's, with the
    conversation's `roster`. `overridden`: there is a service's configuration in its place.
    """

    sid: str
    scope: str
    url: str | None
    method: str
    filters: frozenset[str]
    flow_sid: str | None = None
    retries_max: int | None = None
    triggers: tuple[str, ...] = ()
    echo: bool = False
    enriched: bool = False
    roster: Roster | None = None
    overridden: bool = False


async def targets(
    sql: asyncpg.Connection, conversations: Iterable[str]
) -> dict[str, tuple[Target, ...]]:
    """The targets of each conversation, in a stable order."""
    rows = await sql.fetch(TARGETS, sorted(set(conversations)))
    return {row["sid"]: told(row) for row in rows}


def told(row: Any) -> tuple[Target, ...]:
    """The targets that the columns of `concerned` name for an account, in a stable order."""
    streamed = row["streamed"]
    every = _every(
        row["configured"], row["scoped"], row["account_sid"], tuple(streamed) if streamed else ()
    )
    known = _roster(row["roster"])
    return every if known is None else tuple(_with(every, known))


@lru_cache(maxsize=1024)  # most conversations have the same ones
def _every(
    configured: str | None, scoped: str | None, account_sid: str, streamed: tuple[str, ...]
) -> tuple[Target, ...]:
    return (*_configured(configured), *_scoped(scoped), *_streamed(account_sid, streamed))


def _streamed(account_sid: str, streamed: Sequence[str]) -> Iterator[Target]:
    """The stream hears of everything, whoever asked for it."""
    if streamed:
        yield Target(account_sid, STREAM, None, "", frozenset(streamed), echo=True)


async def of_services(
    sql: asyncpg.Connection, services: Iterable[str]
) -> dict[str, tuple[Target, ...]]:
    """The targets of each service, for what happens in no conversation."""
    rows = await sql.fetch(OF_SERVICES, sorted(set(services)))
    return {
        row["sid"]: (
            *_configured(row["configured"]),
            *_streamed(row["account_sid"], row["streamed"]),
        )
        for row in rows
    }


async def of_scoped(tx: Tx, webhook: ScopedWebhook) -> Target:
    """The target that a conversation's own webhook is."""
    w = webhook
    target = _target(
        w.sid,
        w.target,
        w.url,
        w.method,
        w.filters,
        w.triggers,
        w.flow_sid,
        w.retry_count,
        w.echo,
        w.payload,
    )
    if not target.enriched:
        return target
    return replace(
        target, roster=_roster(await tx.sql.fetchval(OF_CONVERSATION, w.conversation_sid))
    )


def _configured(text: str | None) -> Iterator[Target]:
    """The account's and the service's, in this order; the second takes the place of the first."""
    rows = orjson.loads(text or "[]")
    for sid, service, url, method, filters, echo, payload in rows:
        if url:
            yield Target(
                sid,
                "service" if service else "global",
                url,
                method,
                frozenset(filters),
                echo=echo,
                enriched=payload == ENRICHED,
                overridden=not service and len(rows) > 1,
            )


def _scoped(text: str | None) -> Iterator[Target]:
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
    echo: bool,
    payload: str,
) -> Target:
    studio, trigger = target == "studio", target == "trigger"
    return Target(
        sid,
        "studio" if studio else "scoped",
        None if studio else url,
        "POST" if studio else method,
        MESSAGES if trigger or (studio and not filters) else frozenset(filters),
        flow_sid=flow_sid if studio else None,
        retries_max=retries if studio else None,
        triggers=tuple(triggers) if trigger else (),
        echo=echo,
        enriched=payload == ENRICHED,
    )


def _with(targets: Iterable[Target], roster: Roster) -> Iterator[Target]:
    for target in targets:
        yield replace(target, roster=roster) if target.enriched else target


def _roster(text: str | None) -> Roster | None:
    if text is None:
        return None
    people = orjson.loads(text)
    return Roster(orjson.dumps(people[:ROSTER_MAX]).decode(), cut=len(people) > ROSTER_MAX)
