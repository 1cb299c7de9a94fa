"""What is read of conversations that are created, beside others that are locked."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from typing import Any

import asyncpg
import orjson

from app.model import Conversation
from app.road import creation, ledger
from app.road.convoy import Load
from app.road.walk import lock
from app.store import road
from app.store.held import PINNED
from app.store.webhooks import ROSTER_MAX
from tests.support.clock import START
from tests.support.database import connected
from tests.support.settings import ACCOUNT, SMS, WHATSAPP

from .conftest import Open
from .test_claims import BOB, KINDS, LOCKED, MARIA, TOM, chosen, first, text


@KINDS
async def test_a_new_conversation_is_read_as_its_lock_would_read_it(
    open_road: Open, dsn: str, kind: str
) -> None:
    hooks = {"post_url": "https://app.example.com/hooks", "filters": ["onMessageAdded"]}
    async with open_road(chosen(kind, webhooks=hooks | {"payload": "enriched"})) as roadside:
        bobs = await roadside.arrive("SM0", BOB)
        await roadside.sql.execute(
            "INSERT INTO opt_outs (account_sid, address, sender, opted_out, word, date_updated)"
            " VALUES ($1, $2, $3, true, 'STOP', now())",
            ACCOUNT,
            MARIA,
            SMS,
        )
        await roadside.sql.execute(
            "INSERT INTO messaging_windows (account_sid, proxy_address, address, last_inbound_at)"
            " VALUES ($1, $2, $3, now())",
            ACCOUNT,
            WHATSAPP,
            TOM,
        )
        items = text("SM1", BOB), first(kind, "SM2"), text("SM3", TOM, WHATSAPP)
        load = Load.of(items, roadside.runtime.settings, roadside.runtime.clock.now())
        async with connected(dsn) as sql, sql.transaction():
            await pin(sql)
            await ledger.enter(sql, load)
            await creation.decide(sql, load)
            await lock(sql, load)
            named = [(sid, name) for sid in load.new_conversations for name in ("bob", "ann")]
            conversations, below = await road.lock(sql, sorted(load.conversations), named)
        assert bobs.conversation_sid in below
        assert dict(load.below) == below
        assert [columns(load.conversations[sid]) for sid in sorted(conversations)] == [
            columns(conversations[sid]) for sid in sorted(conversations)
        ]
        members = [member for one in load.below.values() for member in one.members]
        assert {member.address: member.opted_out for member in members}[MARIA] == (SMS,)
        assert {member.address: member.last_inbound_at for member in members}[TOM] is not None
        rosters = [one.roster for below in load.below.values() for one in below.targets]
        assert all(roster is not None and roster.text for roster in rosters)
        by_rule = kind == "pair of a rule"
        assert len(rosters) == (5 if by_rule else 3)
        people = Counter(member.identity for member in members if member.identity)
        assert people == (Counter(ann=1, bob=1) if by_rule else Counter())


CROWD = """
INSERT INTO participants (sid, account_sid, chat_service_sid, conversation_sid, identity,
  date_created, date_updated)
SELECT 'MB' || md5(sid || n), account_sid, chat_service_sid, sid, 'p' || n, now(), now()
FROM conversations, generate_series(1, 900) AS n
"""


@KINDS
async def test_authors_among_many_are_found_by_their_names(open_road: Open, kind: str) -> None:
    """Of a large conversation not everybody is read because another one is created."""
    async with open_road(chosen(kind)) as roadside:
        await asyncio.gather(*(roadside.arrive(f"SM{n}", f"+155512400{n:02d}") for n in range(20)))
        there = [row["sid"] for row in await roadside.sql.fetch("SELECT sid FROM conversations")]
        load = Load.of([first(kind, "SM-new")], roadside.runtime.settings, START)
        undone = roadside.sql.transaction()
        await undone.start()
        await pin(roadside.sql)
        await roadside.sql.execute(CROWD)
        await roadside.sql.execute("ANALYZE participants")
        await ledger.enter(roadside.sql, load)
        await creation.decide(roadside.sql, load)
        statement = road.CREATE_PAIRS if kind in ("pair", LOCKED) else road.CREATE
        claims = orjson.dumps(load.claims).decode()
        rows = await roadside.sql.fetch(
            f"EXPLAIN (ANALYZE, TIMING off) {statement}",
            there,
            there,
            ["p5"] * len(there),
            claims,
            START,
        )
        await undone.rollback()
    plan = "\n".join(row[0] for row in rows)
    read = [float(rows) for rows in re.findall(r"Scan.* on participants.*?actual rows=(\S+)", plan)]
    assert read and max(read) <= ROSTER_MAX + 1, plan


async def pin(sql: asyncpg.Connection) -> None:
    """Plans as the walkers have them."""
    for name, value in PINNED.items():
        await sql.execute(f"SET LOCAL {name} = '{value}'")


def columns(conversation: Conversation) -> dict[str, Any]:
    """What the table says of it."""
    table = Conversation.__table__  # type: ignore[attr-defined]
    return {name: getattr(conversation, name) for name in table.columns.keys()}  # noqa: SIM118
