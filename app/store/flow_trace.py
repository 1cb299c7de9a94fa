"""Questions about what flows did, for operators."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg

EXECUTIONS_MAX = 50
STEPS_MAX = 500

EXECUTION = """
SELECT sid, account_sid, flow_sid, flow_version, conversation_sid, contact_channel_address,
  initiated_by, status, reason, due, date_created, date_updated
FROM executions WHERE sid = $1 AND ($2::text IS NULL OR account_sid = $2)
"""
STEPS = """
SELECT name, transitioned_from, transitioned_to, type, context, date_created
FROM execution_steps WHERE execution_sid = $1 ORDER BY sid DESC LIMIT $2
"""
FLOW = """
SELECT sid, account_sid, friendly_name, status, revision, published, declared_as
FROM flows WHERE sid = $1 AND ($2::text IS NULL OR account_sid = $2)
"""
OF_FLOW = """
SELECT sid, flow_version, conversation_sid, contact_channel_address, status, reason, due,
  date_created, date_updated
FROM executions WHERE flow_sid = $1 ORDER BY date_created DESC, sid DESC LIMIT $2
"""


async def execution(sql: asyncpg.Connection, sid: str, account_sid: str | None) -> Any:
    """An execution (of this account); None when it is not there."""
    return await sql.fetchrow(EXECUTION, sid, account_sid)


async def steps(sql: asyncpg.Connection, sid: str) -> Sequence[Any]:
    """The last steps of an execution, in their order."""
    return list(reversed(await sql.fetch(STEPS, sid, STEPS_MAX)))


async def flow(sql: asyncpg.Connection, sid: str, account_sid: str | None) -> Any:
    """A flow (of this account); None when it is not there."""
    return await sql.fetchrow(FLOW, sid, account_sid)


async def executions(sql: asyncpg.Connection, flow_sid: str) -> Sequence[Any]:
    """The last executions of a flow, the newest first."""
    found: Sequence[Any] = await sql.fetch(OF_FLOW, flow_sid, EXECUTIONS_MAX)
    return found
