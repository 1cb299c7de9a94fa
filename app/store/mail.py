"""Questions about mails: whose conversation an answer belongs to, and files that came along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from app.model.traffic import KeptFile

# A receipt says whom its mail went to; the pair is held while its conversation is open.
ANSWERED = """
SELECT r.sid, r.account_sid, r.address, r.proxy_address
FROM receipts r
WHERE r.sid = ANY ($1::text[]) AND r.carrier = $2 AND r.channel = 'email'
  AND EXISTS (SELECT FROM bindings b
              WHERE b.account_sid = r.account_sid AND b.proxy_address = r.proxy_address
                AND b.address = r.address AND b.open)
"""

SPARE = "DELETE FROM doomed_files WHERE key = ANY ($1::text[]) RETURNING key"
# As in store/media.py: of two with the same content the second takes the name of the first.
ADOPT = """
INSERT INTO files AS f (key, shelf, sha256, size, sealed_by, date_created)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::text[])
  AS k (key, shelf, sha256, size, sealed_by), (SELECT $6::timestamptz) AS t (now)
ORDER BY sha256
ON CONFLICT (sha256) DO UPDATE SET size = f.size RETURNING sha256, key
"""
DOOM = """
INSERT INTO doomed_files (key, shelf, due)
SELECT key, shelf, $3 FROM unnest($1::text[], $2::text[]) AS k (key, shelf)
"""


@dataclass(frozen=True, slots=True)
class Answered:
    """Whom a mail of ours went to, by its receipt."""

    receipt_sid: str
    account_sid: str
    address: str
    proxy_address: str


async def answered(
    sql: asyncpg.Connection, carrier: str, receipts: Sequence[str]
) -> dict[str, Answered]:
    """Those of these sends of a carrier whose pair is still held by an open conversation."""
    rows = await sql.fetch(ANSWERED, receipts, carrier)
    return {row["sid"]: Answered(*row) for row in rows}


async def adopt(
    sql: asyncpg.Connection, files: Sequence[tuple[KeptFile, int]], now: datetime
) -> dict[str, str]:
    """Take files (with their sizes) that lie on their shelf for good: the name under which the
    content of each is kept, by its own. One that waited so long that it was removed has none."""
    spared = {row["key"] for row in await sql.fetch(SPARE, [file.key for file, _ in files])}
    # One row for each content, or the statement would touch a row twice.
    first = {file.sha256: (file, size) for file, size in reversed(files) if file.key in spared}
    if not first:
        return {}
    columns = [
        [file.key for file, _ in first.values()],
        [file.shelf for file, _ in first.values()],
        list(first),
        [size for _, size in first.values()],
        [file.sealed_by for file, _ in first.values()],
    ]
    names = {row["sha256"]: row["key"] for row in await sql.fetch(ADOPT, *columns, now)}
    kept = {file.key: names[file.sha256] for file, _ in files if file.key in spared}
    known = [file for file, _ in files if kept.get(file.key, file.key) != file.key]
    if known:
        await sql.execute(DOOM, [one.key for one in known], [one.shelf for one in known], now)
    return kept
