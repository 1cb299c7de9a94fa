"""What the roles of a user, and of their participant in a conversation, allow."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import asyncpg

POWERS = """
SELECT c.sid, c.unique_name, c.created_by, p.sid AS participant_sid,
  coalesce(r.permissions, '{}') AS service, coalesce(o.permissions, '{}') AS conversation
FROM (SELECT $1::text AS service_sid, $2::text AS identity, $3::text AS key) AS q
LEFT JOIN users u ON u.chat_service_sid = q.service_sid COLLATE "C" AND u.identity = q.identity
LEFT JOIN roles r ON r.sid = u.role_sid
LEFT JOIN conversations c ON c.chat_service_sid = q.service_sid COLLATE "C"
  AND {by} = q.key COLLATE "C"
LEFT JOIN participants p ON p.conversation_sid = c.sid AND p.identity = q.identity
LEFT JOIN roles o ON o.sid = p.role_sid
"""
BY_SID, BY_NAME = POWERS.replace("{by}", "c.sid"), POWERS.replace("{by}", "c.unique_name")
AUTHOR = """
SELECT author, participant_sid FROM messages WHERE conversation_sid = $1 AND sid = $2
"""
IDENTITY = """
SELECT sid, identity FROM participants
WHERE conversation_sid = $1 AND (sid = $2 COLLATE "C" OR identity = $2)
LIMIT 1
"""
UPLOADED = """
SELECT count(*) FROM media WHERE sid = ANY ($1::text[]) AND chat_service_sid = $2
  AND author = $3 AND message_sid IS NULL
"""
CREATOR = "SELECT default_conversation_creator_role_sid FROM services WHERE sid = $1"


@dataclass(frozen=True, slots=True)
class Powers:
    """Permissions of somebody's role in a service, and of their role in a conversation: which one
    that is (None: there is no such), who made it, and their participant in it, if they are in it.
    """

    service: frozenset[str]
    conversation: frozenset[str] = frozenset()
    conversation_sid: str | None = None
    created_by: str | None = None
    participant_sid: str | None = None


async def find(
    sql: asyncpg.Connection,
    service_sid: str,
    identity: str,
    key: str | None = None,
    *,
    by_name: bool = False,
) -> Powers:
    """What somebody may do in a service, and in its conversation with this SID or unique name."""
    row = await sql.fetchrow(BY_NAME if by_name else BY_SID, service_sid, identity, key)
    return Powers(
        frozenset(row["service"]),
        frozenset(row["conversation"]),
        row["sid"],
        row["created_by"],
        row["participant_sid"],
    )


async def author(sql: asyncpg.Connection, conversation_sid: str, sid: str) -> str | None:
    """Who wrote this message; None when it is not there."""
    found: str | None = await sql.fetchval(AUTHOR, conversation_sid, sid)
    return found


async def participant(sql: asyncpg.Connection, conversation_sid: str, key: str) -> str | None:
    """The SID of the participant with this SID or identity."""
    found: str | None = await sql.fetchval(IDENTITY, conversation_sid, key)
    return found


async def uploaded(
    sql: asyncpg.Connection, service_sid: str, identity: str, sids: Collection[str]
) -> bool:
    """Whether all these media are somebody's own, and in no message yet."""
    wanted = sorted(set(sids))
    found: int = await sql.fetchval(UPLOADED, wanted, service_sid, identity)
    return found == len(wanted)


async def creator_role(sql: asyncpg.Connection, service_sid: str) -> str | None:
    """The role of who made a conversation and joins it."""
    found: str | None = await sql.fetchval(CREATOR, service_sid)
    return found
