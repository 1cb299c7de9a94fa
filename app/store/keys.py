"""API keys: made, listed and revoked by the operator, read by whoever lets callers in."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from app.model import ApiKey
from app.store.database import Tx

LIVE = """
SELECT sid, account_sid, secret_hash, scopes FROM api_keys WHERE revoked_at IS NULL
"""

LISTED = """
SELECT sid, account_sid, friendly_name, scopes, date_created, revoked_at
FROM api_keys ORDER BY account_sid, sid
"""

REVOKE = """
UPDATE api_keys SET revoked_at = $2 WHERE sid = $1 AND revoked_at IS NULL RETURNING sid
"""


@dataclass(frozen=True, slots=True)
class Live:
    """A key that may be used: whose it is, the hash of its secret, what it may do."""

    sid: str
    account_sid: str
    secret_hash: str
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Listed:
    """A key as the operator sees it."""

    sid: str
    account_sid: str
    friendly_name: str | None
    scopes: Sequence[str]
    date_created: datetime
    revoked_at: datetime | None


def hashed(secret: str) -> str:
    """What is kept of a secret: its SHA-256.

    A slow hash makes guessing dear where people choose the secret. Ours has 256 bits of chance: no
    speed of guessing finds it, and a slow hash would only make every request slow.
    """
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


async def live(sql: asyncpg.Connection) -> dict[str, Live]:
    """Every key that is not revoked, by its SID; operators make them one by one: they are few."""
    return {
        row["sid"]: Live(
            row["sid"], row["account_sid"], row["secret_hash"], frozenset(row["scopes"])
        )
        for row in await sql.fetch(LIVE)
    }


async def add(tx: Tx, key: ApiKey) -> None:
    """Keep a new key."""
    await tx.add(key)


async def listed(sql: asyncpg.Connection) -> list[Listed]:
    """Every key that was ever made, by account, oldest first."""
    return [Listed(**row) for row in await sql.fetch(LISTED)]


async def revoke(sql: asyncpg.Connection, sid: str, now: datetime) -> bool:
    """End a key; says whether there was one to end."""
    return await sql.fetchval(REVOKE, sid, now) is not None
