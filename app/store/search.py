"""Searching the text of messages, with PostgreSQL's full text search ("websearch" syntax: words,
"a phrase", or, -not).

Newest first there are two ways: along the messages until a page is full, which is short for a word
that is frequent, and over the index of words, which is short for one that is rare. The server
cannot tell which is which (it keeps no statistics of words for a partial index), so it is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select, text
from sqlmodel import SQLModel

from app.model import Message
from app.store.database import Tx
from app.store.scope import Scope
from app.store.slices import Key, Slice, cut

MESSAGES = SQLModel.metadata.tables["messages"]
M = MESSAGES.c

# The start and the end of what was found, which no text of a message can hold: they are taken out.
START, STOP = "\x02", "\x03"
FREQUENT = 2000  # messages; so many are sorted in a few milliseconds

# What can be looked up in a query; nothing (or T) when it has no words, or says only what not.
LOOKED_UP = "SELECT querytree(websearch_to_tsquery('simple', $1))"
FOUND = text("to_tsvector('simple', body) @@ websearch_to_tsquery('simple', :query)")
HIGHLIGHTS = """
SELECT sid, ts_headline('simple', translate(body, $3 || $4, ''),
  websearch_to_tsquery('simple', $2),
  'MaxFragments=3, MaxWords=30, MinWords=10, StartSel="' || $3 || '", StopSel="' || $4 || '"')
FROM messages WHERE sid = ANY ($1::text[])
"""
BY_WORD = """
SET LOCAL plan_cache_mode = force_custom_plan;
SET LOCAL max_parallel_workers_per_gather = 0;
SET LOCAL enable_seqscan = off;
SET LOCAL enable_indexscan = off;
"""
ALONG = "SET LOCAL enable_indexscan = on; SET LOCAL enable_bitmapscan = off"


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for: `query`, perhaps in one conversation, perhaps by one author."""

    query: str
    conversation_sid: str | None = None
    author: str | None = None


async def is_empty(tx: Tx, query: str) -> bool:
    """Whether nothing can be looked up: no word, or only words that must not be there."""
    return await tx.sql.fetchval(LOOKED_UP, query) in ("", "T")


async def page(tx: Tx, scope: Scope, wanted: Search, slice_: Slice) -> list[Message]:
    """A slice of the messages found, newest first. It is planned in its own way, which holds until
    the end of a transaction: ask for it where none is open."""
    found = _found(scope, wanted)
    async with tx.sql.transaction():
        await tx.sql.execute(BY_WORD)
        some = found.with_only_columns(M.sid).limit(FREQUENT).subquery()
        many = await tx.connection.execute(select(func.count() == FREQUENT).select_from(some))
        if many.scalar_one():
            await tx.sql.execute(ALONG)
        return await tx.every(Message, cut(found, (M.sid,), slice_, descending=True))


def key(message: Message) -> Key:
    """Its place in `page`."""
    return (message.sid,)


async def highlights(tx: Tx, query: str, message_sids: Sequence[str]) -> dict[str, str]:
    """Where the words stand in these messages: the text around them, by message."""
    rows = await tx.sql.fetch(HIGHLIGHTS, message_sids, query, START, STOP)
    return {row[0]: row[1] for row in rows}


def _found(scope: Scope, wanted: Search) -> Select[Any]:
    statement = select(MESSAGES).where(
        M.account_sid == scope.account_sid,
        M.chat_service_sid == scope.service_sid,
        M.body.is_not(None),
        FOUND.bindparams(query=wanted.query),
    )
    if wanted.conversation_sid is not None:
        statement = statement.where(M.conversation_sid == wanted.conversation_sid)
    if wanted.author is not None:
        statement = statement.where(M.author == wanted.author)
    return statement
