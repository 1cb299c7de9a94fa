"""A database of any size, made in SQL."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from pathlib import Path

from tests.support.database import connected

TABLES = (("conversations", "participants", "bindings"), ("messages", "inbox", "decisions"))
"""Both groups are filled at once: nothing of one is asked for while the other is filled."""

HELPERS = """
CREATE FUNCTION pg_temp.sid(text, bigint) RETURNS text IMMUTABLE LANGUAGE sql
RETURN $1 || lpad(to_hex(1000000000000 + $2), 12, '0') || '70008000000000000000';
CREATE FUNCTION pg_temp.address(text, bigint) RETURNS text IMMUTABLE LANGUAGE sql
RETURN $1 || lpad((2000000 + $2)::text, 7, '0');
"""

SESSION = """
SET session_replication_role = replica; SET synchronous_commit = off; SET jit = off;
SET work_mem = '256MB'; SET maintenance_work_mem = '512MB'
"""

# Indexes that no constraint needs: made afterwards they cost a third.
INDEXES = """
SELECT i.indexrelid::regclass::text AS name, pg_get_indexdef(i.indexrelid) AS definition
FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid
WHERE t.relname = $1 AND t.relnamespace = 'public'::regnamespace
  AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conindid = i.indexrelid)
"""


async def fill(dsn: str, conversations: int, messages_each: int) -> None:
    """Fill a migrated database, in which the account is declared."""
    async with asyncio.TaskGroup() as group:
        for tables in TABLES:
            group.create_task(_fill(dsn, tables, conversations, messages_each))
    async with connected(dsn) as sql:
        await sql.execute("VACUUM (ANALYZE)")
        await sql.execute("CHECKPOINT")


async def _fill(dsn: str, tables: Sequence[str], conversations: int, messages_each: int) -> None:
    async with connected(dsn) as sql:
        await sql.execute(SESSION)
        await sql.execute(HELPERS)
        for table in tables:
            indexes = await sql.fetch(INDEXES, table)
            for index in indexes:
                await sql.execute(f"DROP INDEX {index['name']}")
            statement = STATEMENTS[table].replace(":conversations", str(conversations))
            await sql.execute(statement.replace(":messages", str(messages_each)))
            for index in indexes:
                await sql.execute(index["definition"])


def _statements() -> dict[str, str]:
    text = Path(__file__).with_name("fill.sql").read_text()
    _, *parts = re.split(r"^-- name: (\w+)\n", text, flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


STATEMENTS = _statements()
