"""The road's questions, each for a whole convoy: arrays in, rows out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, cast

import asyncpg
import orjson

from app.model import AddressConfiguration, Conversation
from app.model.traffic import Member
from app.store.database import sentence

LEDGER = """
INSERT INTO inbox (carrier, external_id, account_sid, message_sid, received_at)
SELECT carrier, external_id, account_sid, message_sid, $5
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
  AS i (carrier, external_id, account_sid, message_sid)
ORDER BY carrier, external_id
ON CONFLICT DO NOTHING
RETURNING carrier, external_id
"""

KNOWN = """
SELECT i.carrier, i.external_id, b.message_sid, d.conversation_sid
FROM unnest($1::text[], $2::text[]) AS i (carrier, external_id)
JOIN inbox b ON b.carrier = i.carrier AND b.external_id = i.external_id
LEFT JOIN decisions d ON d.carrier = i.carrier AND d.external_id = i.external_id
"""

RESOLVE = """
SELECT i.account_sid AS in_account, i.proxy_address AS in_proxy, i.address AS in_address,
  b.conversation_sid, b.participant_sid, to_json(a)::text AS configuration
FROM unnest($1::text[], $2::text[], $3::text[]) AS i (account_sid, proxy_address, address)
LEFT JOIN bindings b ON b.account_sid = i.account_sid COLLATE "C"
  AND b.proxy_address = i.proxy_address AND b.address = i.address AND b.open
LEFT JOIN address_configurations a ON a.account_sid = i.account_sid COLLATE "C"
  AND a.address = i.proxy_address
"""

CLAIM_PAIRS = """
INSERT INTO bindings (account_sid, proxy_address, address, conversation_sid, participant_sid)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[])
  AS i (account_sid, proxy_address, address, conversation_sid, participant_sid)
ORDER BY account_sid, proxy_address, address
ON CONFLICT (account_sid, proxy_address, address) WHERE open DO NOTHING
RETURNING participant_sid
"""

CREATE = sentence(__file__, "road_create.sql")

LOCK = """
SELECT * FROM conversations WHERE sid = ANY ($1::text[]) ORDER BY sid FOR NO KEY UPDATE
"""

MEMBERS = """
SELECT conversation_sid, sid, identity, address, proxy_address, channel
FROM participants
WHERE conversation_sid = ANY ($1::text[]) AND address IS NOT NULL
UNION ALL
SELECT p.conversation_sid, p.sid, p.identity, p.address, p.proxy_address, p.channel
FROM unnest($2::text[], $3::text[]) AS author (conversation_sid, identity)
JOIN participants p ON p.conversation_sid = author.conversation_sid COLLATE "C"
  AND p.identity = author.identity
WHERE p.address IS NULL
"""

WRITE = sentence(__file__, "road_write.sql")


Key = tuple[str, str]
Pair = tuple[str, str, str]


async def enter(
    sql: asyncpg.Connection, keys: Sequence[tuple[str, str, str, str]], now: datetime
) -> set[Key]:
    """Enter (carrier, external id, account, message) into the ledger; gives those that are new.

    Waits for others that enter the same; what it does not give is committed by somebody else.
    """
    columns = [list(column) for column in zip(*sorted(keys), strict=True)]
    rows = await sql.fetch(LEDGER, *columns, now)
    return {(row["carrier"], row["external_id"]) for row in rows}


async def known(
    sql: asyncpg.Connection, keys: Sequence[Key]
) -> dict[Key, tuple[str | None, str | None]]:
    """The message and conversation that these inbounds became when they came first."""
    rows = await sql.fetch(KNOWN, [key[0] for key in keys], [key[1] for key in keys])
    return {
        (row["carrier"], row["external_id"]): (row["message_sid"], row["conversation_sid"])
        for row in rows
    }


async def facts(
    sql: asyncpg.Connection, pairs: Sequence[Pair]
) -> dict[Pair, tuple[str | None, str | None, AddressConfiguration | None]]:
    """For each (account, proxy address, address): the conversation and participant that hold the
    pair, and the configuration of our address."""
    columns = [list(column) for column in zip(*pairs, strict=True)]
    return {
        (row["in_account"], row["in_proxy"], row["in_address"]): (
            row["conversation_sid"],
            row["participant_sid"],
            _configuration(row["configuration"]),
        )
        for row in await sql.fetch(RESOLVE, *columns)
    }


async def claim_pairs(
    sql: asyncpg.Connection, claims: Sequence[tuple[str, str, str, str, str]]
) -> set[str]:
    """Claim (account, proxy address, address) for (conversation, participant); gives the
    participants that won. A loser's pair is held by a conversation that is committed now."""
    columns = [list(column) for column in zip(*claims, strict=True)]
    return {row["participant_sid"] for row in await sql.fetch(CLAIM_PAIRS, *columns)}


async def create(
    sql: asyncpg.Connection, rows: Sequence[dict[str, Any]], now: datetime
) -> dict[str, str | None]:
    """Create conversations with their participants and attached webhooks, for claimed pairs; gives
    the role of the participants of each."""
    made = await sql.fetch(CREATE, orjson.dumps(rows).decode(), now)
    return {row["sid"]: row["role_sid"] for row in made}


async def lock(sql: asyncpg.Connection, conversations: Sequence[str]) -> dict[str, Conversation]:
    """The rows of these conversations, locked in the order of their SIDs."""
    rows = await sql.fetch(LOCK, conversations)
    return {row["sid"]: cast(Conversation, SimpleNamespace(**row)) for row in rows}


async def members(
    sql: asyncpg.Connection, conversations: Sequence[str], authors: Sequence[tuple[str, str]]
) -> dict[str, list[Member]]:
    """The external participants of these conversations, and those that authors' identities name
    (conversation, identity). Read it after the lock: then it cannot change any more."""
    found: dict[str, list[Member]] = {}
    named = [sid for sid, _ in authors], [identity for _, identity in authors]
    for sid, *member in await sql.fetch(MEMBERS, conversations, *named):
        found.setdefault(sid, []).append(Member(*member))
    return found


async def write(
    sql: asyncpg.Connection, rows: Mapping[str, Sequence[dict[str, Any]]], now: datetime
) -> None:
    """Write everything that a convoy made: messages, media, conversations, receipts, decisions,
    and what the ledger keeps of those that made nothing."""
    await sql.execute(WRITE, *(orjson.dumps(rows[name]).decode() for name in WRITTEN), now)


WRITTEN = ("messages", "conversations", "receipts", "decisions", "media", "unkept")


@lru_cache(maxsize=256)  # to build a table's object costs as much as the rest of the decision
def _configuration(text: str | None) -> AddressConfiguration | None:
    return None if text is None else AddressConfiguration(**orjson.loads(text))
