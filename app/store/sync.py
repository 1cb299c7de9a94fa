"""What connected clients read: conversations, rosters, messages and people as they are, and what
changed since a client saw them last.

A conversation is at a revision: whatever is shown of it with a greater one came later. Rows are
plain records; `app/realtime/shapes.py` makes of them what clients read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import asyncpg

ROWS_MAX = 200
"""Messages, or changes, of one conversation that are read at once."""
BACK_US = 60_000_000
"""How far to look back for memberships that were written before others and committed after them."""

Row = Any

DOCUMENTS = """
SELECT c.sid, c.chat_service_sid, c.friendly_name, c.unique_name, c.attributes, c.created_by,
  c.date_created, c.date_updated, c.state, c.state_at, c.message_count, c.revision,
  c.email_address, c.email_name, l.index AS last_index, l.date_created AS last_at
FROM conversations c LEFT JOIN LATERAL (
  SELECT m.index, m.date_created FROM messages m WHERE m.conversation_sid = c.sid
  ORDER BY m.index DESC LIMIT 1) l ON true
WHERE c.sid = ANY ($1::text[])
"""

ACCESS = """
SELECT c.sid, c.created_by, c.revision, c.state, p.sid AS participant_sid, p.role_sid,
  p.identity, c.message_count
FROM conversations c
LEFT JOIN participants p ON p.conversation_sid = c.sid AND p.identity = $3
WHERE c.chat_service_sid = $1 AND c.sid = $2
"""
ACCESSES = ACCESS.replace("c.sid = $2", "c.sid = ANY ($2::text[])")

MESSAGE = """
m.sid, m.conversation_sid, m.index, m.author, m.participant_sid, m.body, m.subject, m.attributes,
  m.content_sid, m.date_created, m.date_updated, m.revision,
  m.content_type, octet_length(m.content) AS content_size, m.channel_metadata IS NOT NULL AS told,
  (SELECT json_agg(json_build_array(f.sid, f.content_type, f.filename, f.size) ORDER BY f.position)
   FROM media f WHERE f.message_sid = m.sid)::text AS media,
  ARRAY (SELECT r.status FROM receipts r WHERE r.message_sid = m.sid) AS statuses
"""
ROSTER = """
p.sid, p.conversation_sid, p.identity, p.channel, p.address, p.proxy_address,
  p.projected_address, p.attributes, p.role_sid, p.last_read_message_index,
  p.last_read_timestamp, p.date_created, p.date_updated
"""

MESSAGES_UP = f"""
SELECT {MESSAGE} FROM messages m WHERE m.conversation_sid = $1 AND m.index >= $2
ORDER BY m.index LIMIT $3
"""
MESSAGES_DOWN = f"""
SELECT {MESSAGE} FROM messages m WHERE m.conversation_sid = $1 AND m.index <= $2
ORDER BY m.index DESC LIMIT $3
"""
MESSAGES_OF = f"SELECT {MESSAGE} FROM messages m WHERE m.sid = ANY ($1::text[])"
MESSAGE_BEYOND = """
SELECT EXISTS (SELECT FROM messages WHERE conversation_sid = $1 AND index {than} $2)
"""

ROSTER_UP = f"""
SELECT {ROSTER} FROM participants p WHERE p.conversation_sid = $1 AND p.sid >= $2
ORDER BY p.sid LIMIT $3
"""
ROSTER_DOWN = f"""
SELECT {ROSTER} FROM participants p WHERE p.conversation_sid = $1 AND p.sid <= $2
ORDER BY p.sid DESC LIMIT $3
"""
ROSTER_OF = f"SELECT {ROSTER} FROM participants p WHERE p.sid = ANY ($1::text[])"
ROSTER_BEYOND = """
SELECT EXISTS (SELECT FROM participants WHERE conversation_sid = $1 AND sid {than} $2)
"""

NEWER = f"""
SELECT {MESSAGE}
FROM unnest($1::text[], $2::int[]) AS w (sid, index)
CROSS JOIN LATERAL (
  SELECT * FROM messages m WHERE m.conversation_sid = w.sid COLLATE "C" AND m.index >= w.index
  ORDER BY m.index LIMIT {ROWS_MAX}) m
ORDER BY m.conversation_sid, m.index
"""
CHANGED = f"""
SELECT h.*
FROM unnest($1::text[], $2::bigint[]) AS w (sid, revision)
CROSS JOIN LATERAL (
  SELECT h.conversation_sid, h.revision, h.thing_sid, h.kind, h.index, h.identity FROM changes h
  WHERE h.conversation_sid = w.sid COLLATE "C" AND h.revision > w.revision
  ORDER BY h.revision, h.thing_sid LIMIT {ROWS_MAX}) h
ORDER BY h.conversation_sid, h.revision, h.thing_sid
"""
# From the newest on, as far as they are newer than what was seen.
SINCE = """
SELECT index, revision FROM messages
WHERE conversation_sid = $1 AND index < $2 ORDER BY index DESC LIMIT $3
"""
MEMBERS = """
SELECT conversation_sid, identity FROM participants
WHERE conversation_sid = ANY ($1::text[]) AND identity = ANY ($2::text[])
"""
REVISIONS = "SELECT sid, revision FROM conversations WHERE sid = ANY ($1::text[])"


class Access(NamedTuple):
    """A conversation as somebody may see it: its revision, who made it, and the caller's own
    participant and role in it, None for somebody who is not in it."""

    sid: str
    created_by: str
    revision: int
    state: str
    participant_sid: str | None
    role_sid: str | None
    identity: str | None
    message_count: int


async def access(
    sql: asyncpg.Connection, service_sid: str, sid: str, identity: str
) -> Access | None:
    """The conversation of this service with this SID, as this identity sees it."""
    row = await sql.fetchrow(ACCESS, service_sid, sid, identity)
    return None if row is None else Access(*row)


async def accesses(
    sql: asyncpg.Connection, service_sid: str, sids: Sequence[str], identity: str
) -> dict[str, Access]:
    """The same for several, as far as they are there."""
    rows = await sql.fetch(ACCESSES, service_sid, sids, identity)
    return {row["sid"]: Access(*row) for row in rows}


async def documents(sql: asyncpg.Connection, sids: Sequence[str]) -> dict[str, Row]:
    """These conversations, as far as they are there."""
    return {row["sid"]: row for row in await sql.fetch(DOCUMENTS, sids)}


class Page(NamedTuple):
    """Some rows, in the order that was asked for, and whether there are others on either side."""

    rows: Sequence[Row]
    before: bool
    after: bool


async def messages(
    sql: asyncpg.Connection, sid: str, start: int | None, limit: int, *, down: bool
) -> Page:
    """Messages of a conversation from an index on, it included."""
    place = (2**31 - 1 if down else 0) if start is None else start
    rows = await sql.fetch(MESSAGES_DOWN if down else MESSAGES_UP, sid, place, limit + 1)
    beyond = MESSAGE_BEYOND.format(than=">" if down else "<")
    before = start is not None and await sql.fetchval(beyond, sid, place)
    return Page(rows[:limit], bool(before), len(rows) > limit)


async def roster(
    sql: asyncpg.Connection, sid: str, start: str | None, limit: int, *, down: bool
) -> Page:
    """Participants of a conversation from a SID on, it included."""
    place = ("N" if down else "") if start is None else start
    rows = await sql.fetch(ROSTER_DOWN if down else ROSTER_UP, sid, place, limit + 1)
    beyond = ROSTER_BEYOND.format(than=">" if down else "<")
    before = start is not None and await sql.fetchval(beyond, sid, place)
    return Page(rows[:limit], bool(before), len(rows) > limit)


async def newer(sql: asyncpg.Connection, places: Sequence[tuple[str, int]]) -> list[Row]:
    """Messages from these indexes of these conversations on, at most ROWS_MAX of each."""
    return list(await sql.fetch(NEWER, [sid for sid, _ in places], [index for _, index in places]))


async def changed(sql: asyncpg.Connection, places: Sequence[tuple[str, int]]) -> list[Row]:
    """What changed in these conversations after these revisions, at most ROWS_MAX of each."""
    return list(
        await sql.fetch(CHANGED, [sid for sid, _ in places], [after for _, after in places])
    )


async def messages_of(sql: asyncpg.Connection, sids: Sequence[str]) -> dict[str, Row]:
    """These messages, as far as they are there."""
    return {row["sid"]: row for row in await sql.fetch(MESSAGES_OF, sids)} if sids else {}


async def roster_of(sql: asyncpg.Connection, sids: Sequence[str]) -> dict[str, Row]:
    """These participants, as far as they are there."""
    return {row["sid"]: row for row in await sql.fetch(ROSTER_OF, sids)} if sids else {}


async def members(
    sql: asyncpg.Connection, sids: Sequence[str], identities: Sequence[str]
) -> set[tuple[str, str]]:
    """Which of these identities are in which of these conversations."""
    return {(row[0], row[1]) for row in await sql.fetch(MEMBERS, sids, identities)}


async def first_newer(
    sql: asyncpg.Connection, sid: str, count: int, revision: int, most: int
) -> int | None:
    """The index of the first of the messages below `count` that came after a revision, `count` when
    none did; None when there are more than `most` of them."""
    found = count
    while count - found < most:
        rows = await sql.fetch(SINCE, sid, found, ROWS_MAX)
        for row in rows:
            if row["revision"] <= revision:
                return found
            found = row["index"]
        if len(rows) < ROWS_MAX:
            return found
    return None


async def revisions(sql: asyncpg.Connection, sids: Sequence[str]) -> dict[str, int]:
    """At which revision these conversations are, as far as they are there."""
    return {row["sid"]: row["revision"] for row in await sql.fetch(REVISIONS, sids)}
