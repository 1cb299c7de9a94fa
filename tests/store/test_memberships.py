"""What lists of memberships and counts of messages ask goes through indexes, and reads as much of a
long conversation as of a short one."""

from __future__ import annotations

import re
from typing import Any

import asyncpg
import pytest

from app.realtime import people
from app.store import conversations, memberships

WORLD = """
INSERT INTO accounts (sid, default_chat_service_sid, date_created, date_updated)
VALUES ('AC1', 'IS1', now(), now());
INSERT INTO services (sid, account_sid, friendly_name, date_created, date_updated)
VALUES ('IS1', 'AC1', 'x', now(), now());
INSERT INTO conversations (sid, account_sid, chat_service_sid, message_count, removed_count,
  active_at, state_at, state, date_created, date_updated)
SELECT 'CH' || n, 'AC1', 'IS1', 2000, 1, now(), now(), 'active', now(), now()
FROM generate_series(1, 100) AS n;
INSERT INTO participants (sid, account_sid, chat_service_sid, conversation_sid, identity,
  last_read_message_index, date_created, date_updated)
SELECT 'MB' || sid, 'AC1', 'IS1', sid, 'ann', 0, now(), now() FROM conversations;
INSERT INTO messages (sid, account_sid, chat_service_sid, conversation_sid, index, author, source,
  date_created, date_updated)
SELECT 'IM' || sid || '.' || i, 'AC1', 'IS1', sid, i, 'system', 'API', now(), now()
FROM conversations, generate_series(0, 199) AS i WHERE i <> 7;
ANALYZE;
"""
LISTED = [f"MBCH{n}" for n in range(1, 101)]
QUESTIONS: dict[str, tuple[str, tuple[Any, ...]]] = {
    "what is unread of a list": (memberships.BEYOND, (LISTED, memberships.LISTED_MAX + 1)),
    "what is unread of one": (memberships.BEYOND, (LISTED[:1], memberships.COUNTED_MAX + 1)),
    "how many are there": (people.COUNTS, ("CH1",)),
    "one less": (conversations.SHRINK, ("CH1",)),
}


@pytest.mark.parametrize("name", QUESTIONS)
async def test_messages_are_counted_along_an_index(sql: asyncpg.Connection, name: str) -> None:
    await sql.execute(WORLD)
    statement, values = QUESTIONS[name]
    await sql.execute("SET enable_seqscan = off")
    rows = await sql.fetch(f"EXPLAIN (ANALYZE, TIMING off) {statement}", *values)
    plan = "\n".join(row[0] for row in rows)
    assert "Seq Scan" not in plan and "Sort" not in plan
    read = [int(rows) for rows in re.findall(r"messages_index.*?actual rows=(\d+)", plan)]
    listed = name == "what is unread of a list"
    assert read == [memberships.LISTED_MAX + 1 if listed else 198] * ("unread" in name), plan
