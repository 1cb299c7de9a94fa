"""The road's questions, each for a whole convoy: arrays in, rows out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

import asyncpg
import orjson

from app.model import AddressConfiguration, Conversation
from app.model.traffic import Member
from app.store import standing
from app.store.database import sentence
from app.store.webhooks import CONFIGURED_OF, Target, concerned, joined, told
from app.values import value

ASKED = """
  CASE WHEN (SELECT EXISTS (SELECT FROM webhook_configurations WHERE pre_url IS NOT NULL))
    THEN EXISTS (SELECT FROM webhook_configurations w
                 WHERE w.account_sid = i.account_sid COLLATE "C" AND w.pre_url IS NOT NULL)
    ELSE false END AS asks,
  CASE WHEN (SELECT EXISTS (SELECT FROM lanes WHERE kind = 'ask'))
    THEN (SELECT l.lane FROM lanes l WHERE l.lane = 'a:' || i.account_sid || ' '
      || CASE i.numbers WHEN '' THEN i.proxy_address || ':' || i.address ELSE i.numbers END
      COLLATE "C") IS NOT NULL
    ELSE false END AS waits
"""
"""Columns for a statement over inbounds `i`. Where nobody asks and nothing waits, which is found
out once for the whole statement, no row is looked for."""

HELD = f"""
  coalesce(b.conversation_sid, g.conversation_sid) AS conversation_sid,
  coalesce(b.participant_sid, g.participant_sid) AS participant_sid,
  b.conversation_sid IS NULL AS grouped,
  CASE WHEN b.conversation_sid IS NULL AND g.conversation_sid IS NULL THEN to_json(a)::text END
    AS configuration,
  {ASKED}
"""
"""Columns for a statement over inbounds `i` with `HOLDERS`: what `Facts` are made of."""

HOLDERS = """
LEFT JOIN bindings b ON i.numbers = '' AND b.account_sid = i.account_sid COLLATE "C"
  AND b.proxy_address = i.proxy_address AND b.address = i.address AND b.open
LEFT JOIN LATERAL (
  SELECT g.conversation_sid, p.sid AS participant_sid
  FROM number_groups g JOIN participants p ON p.conversation_sid = g.conversation_sid
    AND i.address IN (p.address, p.projected_address)
  WHERE b.conversation_sid IS NULL AND g.account_sid = i.account_sid COLLATE "C" AND g.open
    AND g.numbers = CASE WHEN i.numbers <> '' THEN i.numbers
      WHEN i.address COLLATE "C" < i.proxy_address THEN i.address || ' ' || i.proxy_address
      ELSE i.proxy_address || ' ' || i.address END
  ORDER BY p.sid LIMIT 1
) g ON true
LEFT JOIN address_configurations a ON a.account_sid = i.account_sid COLLATE "C"
  AND a.address = i.proxy_address
"""
"""The pair first, then the number group, of two as well; one that has a pair is not looked for."""

ENTER = sentence(__file__, "road_enter.sql").replace("{held}", HELD).replace("{holders}", HOLDERS)

KNOWN = """
SELECT i.carrier, i.external_id, b.message_sid, d.conversation_sid
FROM unnest($1::text[], $2::text[]) AS i (carrier, external_id)
JOIN inbox b ON b.carrier = i.carrier AND b.external_id = i.external_id
LEFT JOIN decisions d ON d.message_sid = b.message_sid AND d.outcome <> 'duplicate'
"""

RESOLVE = f"""
SELECT i.account_sid AS in_account, i.proxy_address AS in_proxy, i.address AS in_address,
  i.numbers AS in_numbers,
  {HELD}
FROM unnest($1::text[], $2::text[], $3::text[], $4::text[])
  AS i (account_sid, proxy_address, address, numbers)
{HOLDERS}
"""

MEMBER = f"""json_build_array(p.sid, p.identity, p.address, p.proxy_address, p.channel,
{standing.columns("p")})"""
PROJECTED = """json_build_array(p.sid, p.identity, p.address, p.proxy_address, p.channel,
  p.projected_address)"""


def _below_of(participants: str = "participants", others: str = "participants") -> str:
    """Who is in a conversation `c` as far as a message matters to them, and who is told of it. The
    sources are those with an address of their own, and all `others`."""
    return f"""
  (SELECT json_agg({MEMBER} ORDER BY p.sid) FROM {participants} p
   WHERE p.conversation_sid = c.sid AND p.address IS NOT NULL)::text AS external,
  (SELECT json_agg({MEMBER} ORDER BY p.sid)
   FROM unnest($2::text[], $3::text[]) AS n (conversation_sid, identity)
   JOIN {others} p ON p.conversation_sid = n.conversation_sid COLLATE "C"
     AND p.identity = n.identity
   WHERE n.conversation_sid = c.sid COLLATE "C" AND p.address IS NULL
     AND p.projected_address IS NULL)::text AS named,
  CASE WHEN c.grouped THEN (
    SELECT json_agg({PROJECTED} ORDER BY p.sid) FROM {others} p
    WHERE p.conversation_sid = c.sid AND p.projected_address IS NOT NULL)::text END AS projected,
  {concerned(participants)}
"""


LOCK = sentence(__file__, "road_lock.sql").replace("{below}", _below_of()) + joined()

EVERYBODY = "(SELECT * FROM participants UNION ALL SELECT * FROM newcomer WHERE c.made)"
ATTACHED = "(SELECT * FROM scoped_webhooks UNION ALL SELECT * FROM attached WHERE c.made)"
"""With those that the statement makes, which it does not see in the tables. By its condition the
second half costs nothing elsewhere, and leaves the first to its indexes."""
TOLD = "JOIN told w ON w.account_sid = c.account_sid AND w.chat_service_sid = c.chat_service_sid"
MORE = re.compile(r"-- \(more\)\n.*?-- \(/more\)\n", re.DOTALL)

CREATE = sentence(__file__, "road_create.sql").replace("{configured}", CONFIGURED_OF)
CREATE_PAIRS = MORE.sub("", CREATE).replace("{below}", _below_of(EVERYBODY)) + joined(TOLD)
CREATE = CREATE.replace("{below}", _below_of(EVERYBODY, EVERYBODY)) + joined(TOLD, ATTACHED)

BELOW_OF = f"""
SELECT c.sid, c.account_sid, {_below_of()} FROM conversations c {joined()}
WHERE c.sid = ANY ($1::text[])
"""


Key = tuple[str, str]
Pair = tuple[str, str, str, str]
"""Where an inbound comes from: the account, the address of ours, theirs, and of a group text its
number group, which takes the pair's place (else nothing)."""


@value(frozen=True, slots=True)
class Entry:
    """An inbound in the ledger; `message_sid` is what it will become, `channel` its pair's."""

    carrier: str
    external_id: str
    account_sid: str
    message_sid: str
    proxy_address: str
    address: str
    numbers: str
    channel: str

    @property
    def pair(self) -> Pair:
        """Where it comes from."""
        return self.account_sid, self.proxy_address, self.address, self.numbers


@value(frozen=True, slots=True)
class Facts:
    """What is known of a pair: who holds it (conversation, participant; `grouped`: as a number
    group), or else how our address is configured; whether somebody of the account wants to be
    asked before things happen, and whether something of this pair waits for such an answer."""

    holder: tuple[str, str] | None
    grouped: bool
    configuration: AddressConfiguration | None
    asks: bool
    waits: bool


class Met(NamedTuple):
    """A user that came into being with a conversation."""

    sid: str
    identity: str
    role_sid: str | None


@value(frozen=True, slots=True)
class Below:
    """The external participants of a conversation, in a group text everybody in it, those that
    identities name, and who is told. `grouped`: it is a group text with a number of ours."""

    members: tuple[Member, ...]
    targets: tuple[Target, ...]
    grouped: bool = False


Locked = tuple[dict[str, Conversation], dict[str, Below]]
"""Locked conversations, and what is below each of them."""


async def enter(
    sql: asyncpg.Connection,
    inbounds: Sequence[Entry],
    now: datetime,
) -> tuple[set[Key], dict[Pair, Facts]]:
    """Enter inbounds into the ledger; gives those that are new, and what is known of all pairs.

    Waits for others that enter the same; what it does not give is committed by somebody else.
    """
    rows = await sql.fetch(ENTER, orjson.dumps(inbounds).decode(), now)
    facts = {one.pair: _facts(row) for one, row in zip(inbounds, rows, strict=True)}
    return {(row["carrier"], row["external_id"]) for row in rows if row["new"]}, facts


async def known(
    sql: asyncpg.Connection, keys: Sequence[Key]
) -> dict[Key, tuple[str | None, str | None]]:
    """The message and conversation that these inbounds became when they came first."""
    rows = await sql.fetch(KNOWN, [key[0] for key in keys], [key[1] for key in keys])
    return {
        (row["carrier"], row["external_id"]): (row["message_sid"], row["conversation_sid"])
        for row in rows
    }


async def facts(sql: asyncpg.Connection, pairs: Sequence[Pair]) -> dict[Pair, Facts]:
    """What is known of each pair by now."""
    rows = await sql.fetch(RESOLVE, *_columns(pairs, 4))
    return {
        (row["in_account"], row["in_proxy"], row["in_address"], row["in_numbers"]): _facts(row)
        for row in rows
    }


async def create(
    sql: asyncpg.Connection,
    claims: Sequence[dict[str, Any]],
    conversations: Sequence[str],
    named: Sequence[tuple[str, str]],
    now: datetime,
) -> tuple[Locked, dict[str, str | None], dict[str, list[Met]]]:
    """Claim pairs, or number groups, and create conversations for those that are ours, with their
    participants and attached webhooks; then lock these others as `lock` does, and no sooner. Gives
    all of them, and, of each that was made, the role of its participants and the users that came
    into being with it. The pair of one that was not is held by a conversation that is committed
    now; to claim again, the locks must go."""
    pairs = not any(row["numbers"] or row["identities"] or row["webhook_sid"] for row in claims)
    statement, text = CREATE_PAIRS if pairs else CREATE, orjson.dumps(claims).decode()
    rows = await sql.fetch(statement, conversations, *_columns(named, 2), text, now)
    made = [row for row in rows if row["made"]]
    met = {row["sid"]: orjson.loads(row["met"]) for row in made if row.get("met")}
    users = {sid: [Met(*one) for one in people] for sid, people in met.items()}
    return await _locked(sql, rows, named), {row["sid"]: row["role_sid"] for row in made}, users


async def lock(
    sql: asyncpg.Connection, conversations: Sequence[str], named: Sequence[tuple[str, str]]
) -> Locked:
    """The rows of these conversations, locked in the order of their SIDs, and what is below them,
    with the participants that (conversation, identity) name; none of it can change any more."""
    return await _locked(sql, await sql.fetch(LOCK, conversations, *_columns(named, 2)), named)


async def _locked(
    sql: asyncpg.Connection, rows: Sequence[asyncpg.Record], named: Sequence[tuple[str, str]]
) -> Locked:
    """With what is below them as it is now, also of those that changed before their lock."""
    held = {row["sid"]: _below(row) for row in rows if row["unchanged"]}
    if len(held) < len(rows):
        changed = [row["sid"] for row in rows if row["sid"] not in held]
        held |= await below(sql, changed, named)
    return {row["sid"]: conversation_of(row) for row in rows}, held


async def below(
    sql: asyncpg.Connection, conversations: Sequence[str], named: Sequence[tuple[str, str]]
) -> dict[str, Below]:
    """What is below these conversations now."""
    rows = await sql.fetch(BELOW_OF, conversations, *_columns(named, 2))
    return {row["sid"]: _below(row) for row in rows}


@lru_cache(maxsize=256)  # to build a table's object costs as much as the rest of the decision
def configuration_of(text: str | None) -> AddressConfiguration | None:
    """The configuration that `HELD` gives as JSON."""
    return None if text is None else AddressConfiguration(**orjson.loads(text))


def conversation_of(row: asyncpg.Record) -> Conversation:
    """The row as a plain object: to build a table's, or to ask a record by name, takes longer."""
    plain = SimpleNamespace()
    plain.__dict__.update(zip(row.keys(), row, strict=True))
    return cast(Conversation, plain)


def _columns(rows: Sequence[tuple[str, ...]], width: int) -> list[list[str]]:
    return [[row[column] for row in rows] for column in range(width)]


def _facts(row: Any) -> Facts:
    holder = row["conversation_sid"], row["participant_sid"]
    configuration = configuration_of(row["configuration"])
    grouped = bool(holder[0]) and row["grouped"]
    return Facts(holder if holder[0] else None, grouped, configuration, row["asks"], row["waits"])


def _below(row: Any) -> Below:
    return Below(
        (*members(row["external"]), *members(row["named"]), *_ours(row["projected"])),
        told(row),
        row["projected"] is not None,
    )


def members(text: str | None) -> Iterator[Member]:
    """What a list of `MEMBER`s says."""
    return map(_member, orjson.loads(text)) if text else iter(())


def _ours(text: str | None) -> Iterator[Member]:
    """Members of a group text who are there by a number of ours."""
    for sid, identity, address, proxy_address, channel, ours in orjson.loads(text) if text else ():
        yield Member(sid, identity, address, proxy_address, channel, projected_address=ours)


def _member(row: Sequence[Any]) -> Member:
    sid, identity, address, proxy_address, channel, *stands = row
    if not any(stands):
        return Member(sid, identity, address, proxy_address, channel)
    found = standing.standing(*stands)
    return Member(sid, identity, address, proxy_address, channel, *found)
