"""Questions about media and the files that they are.

A name is doomed before its file is written, and spared by the transaction that makes it somebody's:
whatever dies between leaves a doomed name, and `doomed` gives it to who removes files. Locks come
in one order: media, files.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import asyncpg

from app import ids
from app.errors import Unavailable
from app.model import Media
from app.model.traffic import KeptFile
from app.store.database import Tx
from app.store.scope import Scope

MEDIA, BODY = "media", "body"
"""Categories."""
BATCH_MAX = 500
COMING_S = 3600.0
"""How long a file may take to come in, all told; then its name is removed."""

IS_THERE = "(m.message_sid IS NOT NULL OR m.conversation_sid IS NULL)"

FOUND = f"""
SELECT m.*, f.shelf, f.size AS kept_size, coalesce(s.author, m.author) AS sender FROM media m
LEFT JOIN files f ON f.key = m.file_key
LEFT JOIN messages s ON s.sid = m.message_sid
WHERE {IS_THERE} AND
"""
FIND = f"{FOUND} m.sid = $1"
# In a conversation of theirs, or uploaded by them and in none yet.
SEEN = f"""{FOUND}
m.sid = ANY ($1::text[]) AND m.account_sid = $2 AND m.chat_service_sid = $3 AND (
  m.message_sid IS NULL AND m.author = $4
  OR EXISTS (SELECT FROM participants p
    WHERE p.conversation_sid = m.conversation_sid AND p.identity = $4))
"""

DOOM = "INSERT INTO doomed_files (key, shelf, due) VALUES ($1, $2, $3)"
SPARE = "DELETE FROM doomed_files WHERE key = $1"

# Two that come at once with the same content: the second waits here for the first, and takes its.
ADOPT = """
INSERT INTO files AS f (key, shelf, sha256, size, sealed_by, date_created)
VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (sha256) DO UPDATE SET size = f.size RETURNING key, shelf
"""

LOCK = """
SELECT sid, account_sid, chat_service_sid, message_sid, conversation_sid, content_type, filename,
  size, source_url, status, file_key
FROM media WHERE sid = ANY ($1::text[]) ORDER BY sid FOR UPDATE
"""

NAMED = "SELECT * FROM media WHERE sid = ANY ($1::text[])"
SAID = "SELECT * FROM messages m WHERE m.sid = ANY ($1::text[]) AND m.content IS NOT NULL"
SAID_TO = f"""{SAID} AND m.account_sid = $2 AND m.chat_service_sid = $3 AND EXISTS (
  SELECT FROM participants p WHERE p.conversation_sid = m.conversation_sid AND p.identity = $4)
"""
FETCHING = "SELECT sid, content_type, filename, source_url, message_sid, status FROM media"

STORED = """
UPDATE media SET status = 'stored', error = NULL, file_key = $2, size = $3, content_type = $4,
  filename = coalesce(filename, $5), date_updated = $6
WHERE sid = $1
"""
FAILED = "UPDATE media SET status = $2, error = $3, date_updated = $4 WHERE sid = $1"

COLLECT = """
DELETE FROM media WHERE ctid = ANY (ARRAY (
  SELECT ctid FROM media WHERE message_sid IS NULL
    AND (conversation_sid IS NOT NULL OR date_created < $1)
  ORDER BY date_created LIMIT $2 FOR UPDATE SKIP LOCKED))
RETURNING file_key
"""
# The lock first, and what refers to them in a statement of its own: who adds a reference meanwhile
# holds it, and is seen then.
HOLD = "SELECT key FROM files WHERE key = ANY ($1::text[]) ORDER BY key FOR UPDATE"
DROP = """
WITH gone AS (
  DELETE FROM files f WHERE f.key = ANY ($1::text[])
    AND NOT EXISTS (SELECT FROM media m WHERE m.file_key = f.key)
  RETURNING key, shelf
)
INSERT INTO doomed_files AS d (key, shelf, due) SELECT key, shelf, $2 FROM gone
ON CONFLICT (key) DO UPDATE SET due = greatest(d.due, excluded.due)
"""
DOOMED = """
SELECT key, shelf FROM doomed_files d WHERE due <= $1 AND shelf = ANY ($3::text[])
  AND NOT EXISTS (SELECT FROM files f WHERE f.key = d.key)
ORDER BY due LIMIT $2
"""
# One step from each key to the next in the index: there are few, and many files under each.
SEALS = """
WITH RECURSIVE seals AS (
  (SELECT sealed_by FROM files ORDER BY sealed_by LIMIT 1)
  UNION ALL
  SELECT (SELECT f.sealed_by FROM files f WHERE f.sealed_by > s.sealed_by
    ORDER BY f.sealed_by LIMIT 1)
  FROM seals s WHERE s.sealed_by IS NOT NULL
)
SELECT sealed_by FROM seals WHERE sealed_by IS NOT NULL
"""
SEALED = """
SELECT key, shelf, size FROM files WHERE sealed_by = $1 AND key > $2 ORDER BY key LIMIT $3
"""
# The file is written in its own place: if it goes meanwhile, what was written after it must go too.
# One that is gone is not doomed again, whose name is being removed and forgotten. Two at once would
# take the doom from each other: the second has to wait until the first is done, or was too long.
RISK = """
INSERT INTO doomed_files AS d (key, shelf, due)
SELECT key, shelf, $2 FROM files WHERE key = $1 FOR KEY SHARE
ON CONFLICT (key) DO UPDATE SET due = excluded.due WHERE d.due <= $3
RETURNING due
"""
RESEALED = """
WITH found AS (
  UPDATE files f SET sealed_by = $2 FROM doomed_files d
  WHERE f.key = $1 AND d.key = f.key AND d.due = $3
  RETURNING f.key
)
DELETE FROM doomed_files d USING found WHERE d.key = found.key AND d.due = $3
"""
LOOKED = "UPDATE files SET sealed_by = $3 WHERE key = $1 AND sealed_by = $2"
KEPT = "SELECT EXISTS (SELECT FROM files WHERE key = $1)"
FORGET = "DELETE FROM doomed_files WHERE key = ANY ($1::text[]) AND due <= $2"


@dataclass(frozen=True, slots=True)
class Found:
    """A media row, on which shelf its file lies (None: it is not ours) and who sent it. What a
    message says by a template is one of the category `body`, whose bytes are `content`."""

    row: Any
    shelf: str | None
    author: str | None
    category: str = MEDIA
    content: bytes | None = None


@dataclass(frozen=True, slots=True)
class Fetching:
    """What is known of a file that is to be fetched."""

    sid: str
    content_type: str
    filename: str | None
    source_url: str | None


async def find(tx: Tx, sid: str, scope: Scope | None = None) -> Found | None:
    """The media with this SID, of this service; without a scope of anybody's."""
    if not ids.is_sid(sid, ids.MEDIA):
        return None
    sid = ids.lowered(sid)
    row = await tx.sql.fetchrow(FIND, sid)
    said = await tx.sql.fetchrow(SAID, _messages([sid])) if row is None else None
    found = _found(row) if row else _said(said) if said else None
    if found is None or scope is None:
        return found
    return found if (found.row.account_sid, found.row.chat_service_sid) == tuple(scope) else None


async def seen_by(tx: Tx, scope: Scope, identity: str, sids: Sequence[str]) -> dict[str, Found]:
    """Those of these media that this identity may see, by SID."""
    wanted = [ids.lowered(sid) for sid in sids if ids.is_sid(sid, ids.MEDIA)]
    rows = await tx.sql.fetch(SEEN, wanted, *scope, identity)
    found = {row["sid"]: _found(row) for row in rows}
    others = _messages([sid for sid in wanted if sid not in found])
    rows = await tx.sql.fetch(SAID_TO, others, *scope, identity) if others else []
    return found | {one.row.sid: one for one in map(_said, rows)}


async def add(tx: Tx, media: Media) -> None:
    """Keep new media, attached to nothing yet."""
    await tx.add(media)


async def doom(sql: asyncpg.Connection, key: str, shelf: str, now: datetime) -> None:
    """A file comes in under this name: unless it is adopted in time, the name is removed."""
    await sql.execute(DOOM, key, shelf, now + timedelta(seconds=COMING_S))


async def adopt(sql: asyncpg.Connection, file: KeptFile, size: int, now: datetime) -> str:
    """Take a file that lies on its shelf for good; gives the name under which its content is kept.
    When that is another one, this one's file is not needed, and stays doomed. Raises Unavailable
    when it took so long that the name was removed."""
    said = file.key, file.shelf, file.sha256, size, file.sealed_by
    kept: str = await sql.fetchval(ADOPT, *said, now)
    if kept == file.key and not await spare(sql, file.key):
        raise Unavailable("the file came in too late")
    return kept


async def lock(sql: asyncpg.Connection, sids: Sequence[str]) -> dict[str, Any]:
    """These media, locked in the order of their SIDs; by SID, those that are there."""
    return {row["sid"]: row for row in await sql.fetch(LOCK, sids)}


async def named(tx: Tx, sids: Sequence[str]) -> dict[str, Media]:
    """These media as they are, by SID, to be read."""
    rows = await tx.rows(Media, NAMED, sids) if sids else []
    return {row.sid: row for row in rows}


async def fetching(sql: asyncpg.Connection, sids: Sequence[str]) -> dict[str, Fetching]:
    """Those of these media that are still to be fetched, by SID."""
    rows = await sql.fetch(f"{FETCHING} WHERE sid = ANY ($1::text[])", sids)
    return {row["sid"]: Fetching(*tuple(row)[:4]) for row in rows if _waits(row)}


async def stored(
    sql: asyncpg.Connection,
    sid: str,
    *,
    key: str,
    size: int,
    content_type: str,
    filename: str | None,
    now: datetime,
) -> None:
    """These (locked) media have this file."""
    await sql.execute(STORED, sid, key, size, content_type, filename, now)


async def failed(
    sql: asyncpg.Connection, sid: str, error: str, now: datetime, *, final: bool
) -> None:
    """What kept the file of these (locked) media from being fetched; for good, or for now."""
    await sql.execute(FAILED, sid, "failed" if final else "pending", error, now)


async def collect(sql: asyncpg.Connection, now: datetime, unattached_s: float) -> int:
    """Delete a batch of media whose message is gone, or that waited too long for one, and doom the
    files that nothing refers to any more; gives how many media there were."""
    before = now - timedelta(seconds=unattached_s)
    rows = await sql.fetch(COLLECT, before, BATCH_MAX)
    keys = sorted(set(_keys(rows)))
    if keys:
        await sql.execute(HOLD, keys)
        await sql.execute(DROP, keys, now)
    return len(rows)


async def doomed(
    sql: asyncpg.Connection, now: datetime, shelves: Sequence[str]
) -> list[tuple[str, str]]:
    """A batch of names on these shelves whose files are to be removed, with their shelves."""
    return [tuple(row) for row in await sql.fetch(DOOMED, now, BATCH_MAX, shelves)]


async def seals(sql: asyncpg.Connection) -> list[str]:
    """What the keys are known by that sealed any file; empty for those that nobody looked at."""
    return [row["sealed_by"] for row in await sql.fetch(SEALS)]


async def sealed(sql: asyncpg.Connection, by: str, after: str, limit: int) -> list[Any]:
    """The next files beyond this name that were sealed by this key: name, shelf and size."""
    found: list[Any] = await sql.fetch(SEALED, by, after, limit)
    return found


async def risk(sql: asyncpg.Connection, key: str, now: datetime) -> datetime | None:
    """A file that is kept is about to be written anew: should it be nobody's by then, what is
    written will be removed. Gives until when it may be written; None when it may not: it is kept no
    more, or somebody else writes it."""
    until: datetime | None = await sql.fetchval(RISK, key, now + timedelta(seconds=COMING_S), now)
    return until


async def resealed(sql: asyncpg.Connection, key: str, by: str, until: datetime) -> None:
    """This file was written anew, at the risk until then; if it is still kept, that is its key."""
    await sql.execute(RESEALED, key, by, until)


async def looked(sql: asyncpg.Connection, key: str, was: str, by: str) -> None:
    """This file, which was said to be sealed by one key, is sealed by another one, unless somebody
    said so meanwhile."""
    await sql.execute(LOOKED, key, was, by)


async def is_kept(sql: asyncpg.Connection, key: str) -> bool:
    """Whether anything refers to this file still."""
    found: bool = await sql.fetchval(KEPT, key)
    return found


async def forget(sql: asyncpg.Connection, keys: Sequence[str], now: datetime) -> None:
    """The files are removed of those that were due by now."""
    await sql.execute(FORGET, keys, now)


async def spare(sql: asyncpg.Connection, key: str) -> bool:
    """This name is not to be removed any more; whether it was."""
    done: str = await sql.execute(SPARE, key)
    return done == "DELETE 1"


def _found(row: Any) -> Found:
    return Found(SimpleNamespace(**row), row["shelf"], row["sender"])


def _messages(sids: Sequence[str]) -> list[str]:
    return [ids.twin(ids.MESSAGE, sid) for sid in sids]


def _said(row: Any) -> Found:
    content = row["content"].encode()
    shown = SimpleNamespace(
        sid=ids.twin(ids.MEDIA, row["sid"]),
        account_sid=row["account_sid"],
        chat_service_sid=row["chat_service_sid"],
        conversation_sid=row["conversation_sid"],
        message_sid=row["sid"],
        content_type=row["content_type"],
        filename=None,
        size=len(content),
        status="stored",
        error=None,
        date_created=row["date_created"],
        date_updated=row["date_created"],
    )
    return Found(shown, None, row["author"], BODY, content)


def _waits(row: Any) -> bool:
    return row["status"] == "pending" and row["message_sid"] is not None


def _keys(rows: Sequence[Any]) -> Iterator[str]:
    return (row["file_key"] for row in rows if row["file_key"] is not None)
