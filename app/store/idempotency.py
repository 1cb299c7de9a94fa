"""Answers of creates that carried a key, so that the same request again is answered and not done.

The key's row is written first in the transaction of what it guards: whoever comes with the same
key meanwhile waits for the row, and finds it answered, or finds none when nothing came of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

import asyncpg

LIFE = timedelta(hours=24)

CLAIM = """
INSERT INTO idempotency_keys AS k (account_sid, key, fingerprint, status, answer, created_at)
SELECT account_sid, key, fingerprint, 0, '', $4
FROM unnest($1::text[], $2::text[], $3::text[]) AS i (account_sid, key, fingerprint)
ORDER BY account_sid, key
ON CONFLICT (account_sid, key) DO UPDATE
  SET fingerprint = excluded.fingerprint, status = 0, answer = '', created_at = $4
  WHERE k.created_at < $5
RETURNING account_sid, key
"""

FIND = """
SELECT fingerprint, status, answer FROM idempotency_keys
WHERE account_sid = $1 AND key = $2 AND created_at >= $3
"""

ANSWER = """
UPDATE idempotency_keys k SET status = i.status, answer = i.answer
FROM unnest($1::text[], $2::text[], $3::int[], $4::text[]) AS i (account_sid, key, status, answer)
WHERE k.account_sid = i.account_sid COLLATE "C" AND k.key = i.key
"""

RELEASE = """
DELETE FROM idempotency_keys k USING unnest($1::text[], $2::text[]) AS i (account_sid, key)
WHERE k.account_sid = i.account_sid COLLATE "C" AND k.key = i.key
"""


class Key(NamedTuple):
    """A key that a request carried, and a hash of what was asked for with it."""

    account_sid: str
    key: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Kept:
    """What was answered to the first request with a key."""

    fingerprint: str
    status: int
    answer: str


async def claim(
    sql: asyncpg.Connection, keys: Sequence[Key], now: datetime
) -> set[tuple[str, str]]:
    """Claim these keys; gives (account, key) of those that are ours now. Waits for others that
    claimed the same: what it does not give is committed and answered. Old answers give way."""
    columns = [list(column) for column in zip(*sorted(keys), strict=True)]
    rows = await sql.fetch(CLAIM, *columns, now, now - LIFE)
    return {(row["account_sid"], row["key"]) for row in rows}


async def find(sql: asyncpg.Connection, key: Key, now: datetime) -> Kept | None:
    """What was answered to this key, unless that is too long ago."""
    row = await sql.fetchrow(FIND, key.account_sid, key.key, now - LIFE)
    return None if row is None else Kept(*row)


async def answer(sql: asyncpg.Connection, answers: Sequence[tuple[str, str, int, str]]) -> None:
    """Keep (account, key, status, answer) of keys that were claimed in this transaction."""
    await sql.execute(ANSWER, *(list(column) for column in zip(*answers, strict=True)))


async def release(sql: asyncpg.Connection, keys: Sequence[tuple[str, str]]) -> None:
    """Give up (account, key) that were claimed in this transaction and came to nothing."""
    await sql.execute(RELEASE, *(list(column) for column in zip(*keys, strict=True)))
