"""What carriers brought to group texts lately, and to which numbers of ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

ORIGINALS = """
SELECT digest, message_sid, min(conversation_sid) AS conversation_sid,
  array_agg(proxy_address) AS came_to
FROM decisions
WHERE digest = ANY ($1::text[]) AND received_at > $2 AND message_sid IS NOT NULL
GROUP BY digest, message_sid ORDER BY message_sid
"""


@dataclass(slots=True)
class Original:
    """A message, what it came as (`Decision.digest`), and the numbers of ours that it came to."""

    digest: str
    message_sid: str
    conversation_sid: str
    came_to: set[str]


async def originals(
    sql: asyncpg.Connection, digests: Sequence[str], since: datetime
) -> list[Original]:
    """The messages that came as these since then, the oldest first."""
    rows = await sql.fetch(ORIGINALS, digests, since)
    return [
        Original(row["digest"], row["message_sid"], row["conversation_sid"], set(row["came_to"]))
        for row in rows
    ]
