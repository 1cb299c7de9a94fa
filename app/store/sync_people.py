"""What connected clients read of people: what they are in, and what is shown of them.

A membership's place in time is a stamp. It is taken before the commit: one that comes a moment
later may have a lower stamp, and whoever follows them looks back (`sync.BACK_US`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import asyncpg

from app.store.sync import BACK_US, Page

STIRRED_MAX = 20_000
"""Changes that one look at everybody's reads."""
CHANGES_MAX = 5000
"""Changes of one person's memberships that are read at once."""

Row = Any

LATEST = """
SELECT coalesce((SELECT stamp FROM changes WHERE chat_service_sid = $1 AND identity = $2
  ORDER BY stamp DESC LIMIT 1), 0)
"""
STAMPS = """
SELECT DISTINCT ON (conversation_sid) conversation_sid, stamp FROM changes
WHERE chat_service_sid = $1 AND identity = $2 AND conversation_sid = ANY ($3::text[])
ORDER BY conversation_sid, stamp DESC
"""
PLAIN = """
SELECT p.conversation_sid, p.sid, p.last_read_message_index, p.notification_level,
  p.date_created, p.date_updated
FROM participants p WHERE p.chat_service_sid = $1 AND p.identity = $2
"""
UP = f"{PLAIN} AND p.conversation_sid >= $3 ORDER BY p.conversation_sid LIMIT $4"
DOWN = f"{PLAIN} AND p.conversation_sid <= $3 ORDER BY p.conversation_sid DESC LIMIT $4"
THESE = f"{PLAIN} AND p.conversation_sid = ANY ($3::text[])"
BEYOND = """
SELECT EXISTS (SELECT FROM participants
  WHERE chat_service_sid = $1 AND identity = $2 AND conversation_sid {than} $3)
"""
MOVED = """
SELECT conversation_sid, max(stamp) AS stamp,
  coalesce(max(stamp) FILTER (WHERE kind = 'added'), 0) AS added, count(*) AS rows
FROM (
  SELECT conversation_sid, stamp, kind FROM changes
  WHERE chat_service_sid = $1 AND identity = $2 AND stamp > $3
  ORDER BY stamp DESC LIMIT $4) AS h
GROUP BY conversation_sid ORDER BY max(stamp)
"""
STIRRED = """
SELECT DISTINCT chat_service_sid, identity FROM (
  SELECT chat_service_sid, identity FROM changes WHERE stamp > $1 AND identity IS NOT NULL
  ORDER BY stamp DESC LIMIT $2) AS h
"""
NOW = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint"

USER = """
u.sid, u.chat_service_sid, u.identity, u.friendly_name, u.attributes, u.revision, u.role_sid,
  u.date_created, u.date_updated,
  s.reachability_enabled AS shown,
  s.reachability_enabled AND EXISTS (SELECT FROM presences o WHERE o.identity = u.identity
    AND o.chat_service_sid = u.chat_service_sid) AS online,
  s.reachability_enabled AND EXISTS (SELECT FROM push_bindings b WHERE b.identity = u.identity
    AND b.chat_service_sid = u.chat_service_sid) AS notifiable
"""
USERS = f"""
SELECT {USER} FROM users u JOIN services s ON s.sid = u.chat_service_sid
WHERE u.chat_service_sid = $1 AND u.identity = ANY ($2::text[])
"""
USER_BY_SID = f"""
SELECT {USER} FROM users u JOIN services s ON s.sid = u.chat_service_sid
WHERE u.chat_service_sid = $1 AND u.sid = $2
"""
REVISIONS = "SELECT sid, revision FROM users WHERE sid = ANY ($1::text[])"


class Moved(NamedTuple):
    """A conversation that somebody came into, left, or sees otherwise: when last, and when it was
    that they came in, 0 when that is not known."""

    conversation_sid: str
    stamp: int
    added: int


class Moves(NamedTuple):
    """The conversations, and whether these are all: of very many, the latest are read."""

    rows: Sequence[Moved]
    whole: bool


async def latest(sql: asyncpg.Connection, service_sid: str, identity: str) -> int:
    """The stamp of the last change of somebody's memberships."""
    found: int = await sql.fetchval(LATEST, service_sid, identity)
    return found


async def memberships(
    sql: asyncpg.Connection,
    service_sid: str,
    identity: str,
    start: str | None,
    limit: int,
    *,
    down: bool,
) -> tuple[Page, Mapping[str, int]]:
    """What somebody is in, from a conversation's SID on, it included, and the stamps of these."""
    place = ("D" if down else "") if start is None else start
    who = (service_sid, identity)
    rows = await sql.fetch(DOWN if down else UP, *who, place, limit + 1)
    beyond = BEYOND.format(than=">" if down else "<")
    before = start is not None and await sql.fetchval(beyond, *who, place)
    page = Page(rows[:limit], bool(before), len(rows) > limit)
    sids = [row["conversation_sid"] for row in page.rows]
    stamps = {row[0]: row[1] for row in await sql.fetch(STAMPS, *who, sids)}
    return page, stamps


async def these(
    sql: asyncpg.Connection, service_sid: str, identity: str, sids: Sequence[str]
) -> dict[str, Row]:
    """Somebody's memberships in these conversations, as far as they are there."""
    rows = await sql.fetch(THESE, service_sid, identity, sids)
    return {row["conversation_sid"]: row for row in rows}


async def moved(sql: asyncpg.Connection, service_sid: str, identity: str, since: int) -> Moves:
    """Where somebody came in, left, or sees something otherwise since a stamp, and a little before
    it, in the order of the stamps."""
    rows = await sql.fetch(MOVED, service_sid, identity, since - BACK_US, CHANGES_MAX)
    whole = sum(row["rows"] for row in rows) < CHANGES_MAX
    return Moves([Moved(*row[:3]) for row in map(tuple, rows)], whole)


async def stirred(sql: asyncpg.Connection, since: int) -> list[tuple[str, str]]:
    """Whose memberships changed after a stamp: service and identity."""
    return [(row[0], row[1]) for row in await sql.fetch(STIRRED, since, STIRRED_MAX)]


async def now_us(sql: asyncpg.Connection) -> int:
    """The database's present as a stamp."""
    found: int = await sql.fetchval(NOW)
    return found


async def users(sql: asyncpg.Connection, service_sid: str, identities: Sequence[str]) -> list[Row]:
    """What is shown of these identities of a service."""
    return list(await sql.fetch(USERS, service_sid, identities))


async def user(sql: asyncpg.Connection, service_sid: str, sid: str) -> Row | None:
    """What is shown of the user with this SID."""
    return await sql.fetchrow(USER_BY_SID, service_sid, sid)


async def revisions(sql: asyncpg.Connection, sids: Sequence[str]) -> dict[str, int]:
    """At which revision these users are, as far as they are there."""
    return {row["sid"]: row["revision"] for row in await sql.fetch(REVISIONS, sids)}
