"""API keys: made, listed and revoked by the operator, read by whoever lets callers in."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from app.errors import Unsealable
from app.model import ApiKey
from app.store.bells import CHANNEL
from app.store.database import Tx
from app.vault import Vault

BELL = "keys"
"""Rung in every process when a key is revoked."""

LIVE = """
SELECT sid, account_sid, secret_hash, scopes, sealed_secret FROM api_keys WHERE revoked_at IS NULL
"""

LISTED = """
SELECT sid, account_sid, friendly_name, scopes, date_created, revoked_at
FROM api_keys ORDER BY account_sid, sid
"""

REVOKE = """
UPDATE api_keys SET revoked_at = $2, sealed_secret = NULL
WHERE sid = $1 AND revoked_at IS NULL RETURNING sid
"""
RING = "SELECT pg_notify($1, $2)"  # heard when it is committed

SEALED = """
SELECT sid, sealed_secret FROM api_keys
WHERE sid > $1 AND sealed_secret IS NOT NULL AND revoked_at IS NULL
ORDER BY sid LIMIT $2 FOR NO KEY UPDATE
"""
SEAL = "UPDATE api_keys SET sealed_secret = $2 WHERE sid = $1"


@dataclass(frozen=True, slots=True)
class Live:
    """A key that may be used: whose it is, the hash of its secret, what it may do, and the secret
    sealed, when it is one that signs access tokens."""

    sid: str
    account_sid: str
    secret_hash: str
    scopes: frozenset[str]
    sealed_secret: str | None = None


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
            row["sid"],
            row["account_sid"],
            row["secret_hash"],
            frozenset(row["scopes"]),
            row["sealed_secret"],
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
    """End a key, and let every process know; says whether there was one to end."""
    if await sql.fetchval(REVOKE, sid, now) is None:
        return False
    await sql.execute(RING, CHANNEL, BELL)
    return True


def seal(vault: Vault, sid: str, secret: str) -> str:
    """The secret of a key, sealed. Raises Forbidden when there is nothing to seal with."""
    return vault.seal_text(secret, _about(sid))


def reveal(vault: Vault, sid: str, sealed: str) -> str:
    """The secret of a key. Raises Unsealable."""
    return vault.open_text(sealed, _about(sid))


async def reseal(
    sql: asyncpg.Connection, vault: Vault, after: str, limit: int
) -> tuple[str | None, int]:
    """Seal by the first key of the vault what another one sealed, of the next API keys beyond this
    SID; gives the last SID, None at the end, and how many could not be opened."""
    rows = await sql.fetch(SEALED, after, limit)
    lost = 0
    for sid, sealed in rows:
        if sealed.startswith(vault.prefix or ""):
            continue
        try:
            secret = reveal(vault, sid, sealed)
        except Unsealable:
            lost += 1
            continue
        await sql.execute(SEAL, sid, seal(vault, sid, secret))
    return (rows[-1]["sid"] if len(rows) == limit else None), lost


def _about(sid: str) -> str:
    return f"api_keys {sid} secret"
