"""Pairs are claimed, conversations created and others locked in one step: in which order, and what
becomes of those who lose a claim."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app import ids
from app.convoy import Convoy
from app.model.conversations import number_group
from app.model.traffic import Inbound
from app.road.convoy import Load
from app.road.items import Arrival, Draft, Posted, Road, Taken
from app.road.walk import Walker, order_of, walk
from app.settings.models import Settings
from app.store.database import Tx
from tests.support.database import connected
from tests.support.settings import ACCOUNT, SMS, WHATSAPP, settings

from .conftest import Open, Roadside

MARIA, BOB = "+15551230001", "+15551230003"
TOM = "whatsapp:+15551230002"
RULE = {
    "type": "webhook",
    "webhook_url": "https://crm.example.com/hook",
    "webhook_filters": ["onMessageAdded"],
    "webhook_payload": "enriched",
    "default_identities": ["bob", "ann"],
}
BY_RULE = [{"address": SMS, "auto_creation": RULE}]
WAITS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
LOCKED = "pair, with locks"
KINDS = pytest.mark.parametrize("kind", ["pair", LOCKED, "pair of a rule", "group text"])
"""What is claimed: pairs alone have statements of their own, and walk lightly or with locks."""


def chosen(kind: str, **sections: Any) -> Settings:
    """Settings by which this kind is created."""
    return settings(**sections, **({"addresses": BY_RULE} if kind == "pair of a rule" else {}))


def text(external_id: str, address: str = MARIA, to: str = SMS, *others: str) -> Arrival:
    """An inbound; with `others` it is a group text."""
    channel = "whatsapp" if to == WHATSAPP else "mms" if others else "sms"
    said = {"body": external_id, "others": others}
    return Arrival(ACCOUNT, Inbound("lab", external_id, channel, address, to, **said))


def first(kind: str, external_id: str) -> Arrival:
    """A text of Maria's to us, or to us and Bob."""
    return text(external_id, MARIA, SMS, *([BOB] if kind == "group text" else []))


def draft(roadside: Roadside, conversation_sid: str | None) -> Draft:
    """A message that is posted."""
    own = roadside.runtime.settings
    service_sid = own.service_sid(own.default_service)
    return Draft(ACCOUNT, service_sid, conversation_sid or "", "system", body="posted")


@asynccontextmanager
async def under_way(roadside: Roadside, *items: Arrival | Draft) -> AsyncIterator[Tx]:
    """A convoy of another process, which commits at the end of the block."""
    runtime = roadside.runtime
    async with runtime.db.begin() as tx:
        await walk(tx.sql, Load.of(items, runtime.settings, runtime.clock.now()))
        yield tx


@asynccontextmanager
async def walking(
    roadside: Roadside, *items: Arrival | Draft, kind: str = "", asked: list[str] | None = None
) -> AsyncIterator[asyncio.Future[list[Any]]]:
    """A convoy that waits for somebody else's lock by the time the block runs; what became of it
    is there some time after, and what it asked the database."""
    walker = walker_of(roadside, kind)
    connection = await walker._held.live()
    if asked is not None:
        connection.add_query_logger(lambda query: asked.append(query.query))
    results = asyncio.ensure_future(walker(items))
    try:
        async with asyncio.timeout(10):
            while not await roadside.sql.fetchval(WAITS):
                assert not results.done(), results.result()
                await asyncio.sleep(0.002)
        yield results  # type: ignore[misc]
    finally:
        await asyncio.wait([results], timeout=10)
        await walker.close()


def walker_of(roadside: Roadside, kind: str) -> Walker:
    """One that walks lightly, or that always locks."""
    walker = Walker(roadside.runtime)
    if kind == LOCKED:
        walker._heavy_until = math.inf
    return walker


async def count(roadside: Roadside, table: str) -> int:
    found: int = await roadside.sql.fetchval(f"SELECT count(*) FROM {table}")
    return found


SOMEBODYS = (ids.new(ids.PARTICIPANT), ids.new(ids.CONVERSATION), ACCOUNT)
TAKEN: dict[str, tuple[str, tuple[str, ...]]] = {
    "pair": (
        "INSERT INTO bindings (participant_sid, conversation_sid, account_sid, proxy_address,"
        " address) VALUES ($1, $2, $3, $4, $5)",
        (*SOMEBODYS, SMS, MARIA),
    ),
    "group text": (
        "INSERT INTO number_groups (conversation_sid, account_sid, numbers) VALUES ($1, $2, $3)",
        (*SOMEBODYS[1:], number_group((SMS, MARIA, BOB))),
    ),
    "user": (
        "INSERT INTO users (sid, account_sid, chat_service_sid, identity, date_created,"
        " date_updated) SELECT $1, account_sid, sid, 'ann', now(), now() FROM services",
        (ids.new(ids.USER),),
    ),
}
TAKEN["pair of a rule"] = TAKEN[LOCKED] = TAKEN["pair"]


@pytest.mark.parametrize("kind", [*TAKEN])
async def test_who_waits_to_create_holds_no_conversation_meanwhile(
    open_road: Open, dsn: str, kind: str
) -> None:
    """Whoever is waited for may want that conversation next."""
    creates = "pair of a rule" if kind == "user" else kind
    async with open_road(chosen(creates)) as roadside:
        toms = await roadside.arrive("SM0", TOM, WHATSAPP)
        async with connected(dsn) as other:
            claim = other.transaction()
            await claim.start()
            statement, values = TAKEN[kind]
            await other.execute(statement, *values)
            items = text("SM1", TOM, WHATSAPP), first(creates, "SM2")
            async with walking(roadside, *items, kind=kind) as results:
                await other.execute(
                    "SELECT FROM conversations WHERE sid = $1 FOR UPDATE NOWAIT",
                    toms.conversation_sid,
                )
                assert not results.done()
                await claim.rollback()
                joined, created = await results
        assert (joined.outcome, created.outcome) == ("joined", "created")
        assert await roadside.indices(toms.conversation_sid or "") == [0, 1]


@KINDS
async def test_who_loses_a_claim_joins_the_winners_conversation(open_road: Open, kind: str) -> None:
    """With all that go along: a new pair, a pair that is held, and a post."""
    async with open_road(chosen(kind)) as roadside:
        toms = await roadside.arrive("SM0", TOM, WHATSAPP)
        items = (
            text("SM1", TOM, WHATSAPP),
            first(kind, "SM2"),
            draft(roadside, toms.conversation_sid),
            text("SM3", "+15551230009"),
            first(kind, "SM4"),
        )
        async with (
            under_way(roadside, first(kind, "SM-other")) as winner,
            walking(roadside, *items, kind=kind) as results,
        ):
            won = await winner.sql.fetchval("SELECT sid FROM conversations ORDER BY sid DESC")
            await end(winner)
            said = await results
        assert [one.outcome for one in said if isinstance(one, Taken)] == [
            "joined",
            "joined",
            "created",
            "joined",
        ]
        assert isinstance(said[2], Posted)
        assert [one.conversation_sid for one in (said[1], said[4])] == [won, won]
        assert await roadside.indices(won) == [0, 1, 2]
        assert await roadside.indices(toms.conversation_sid or "") == [0, 1, 2]
        counted = [await count(roadside, one) for one in ("conversations", "messages", "inbox")]
        assert counted == [3, 7, 6]
        assert await count(roadside, "decisions") == 6
        assert await count(roadside, "users") == (2 if kind == "pair of a rule" else 0)


async def end(tx: Tx) -> None:
    """Commit now what would commit at the end of its block; the block goes on in another."""
    await tx.sql.execute("COMMIT AND CHAIN")


@KINDS
async def test_what_changes_before_its_lock_is_read_as_it_became(
    open_road: Open, kind: str
) -> None:
    colleague = "+15551230007"
    async with open_road(chosen(kind)) as roadside:
        toms = await roadside.arrive("SM0", TOM, WHATSAPP)
        ch = toms.conversation_sid or ""
        async with under_way(roadside, draft(roadside, ch)) as other:
            items = text("SM1", TOM, WHATSAPP), first(kind, "SM2")
            async with walking(roadside, *items, kind=kind) as results:
                await other.sql.execute(
                    "INSERT INTO participants (sid, account_sid, chat_service_sid,"
                    " conversation_sid, channel, address, proxy_address, date_created,"
                    " date_updated) SELECT $1, account_sid, chat_service_sid, sid, 'sms', $3, $4,"
                    " now(), now() FROM conversations WHERE sid = $2",
                    ids.new(ids.PARTICIPANT),
                    ch,
                    colleague,
                    SMS,
                )
                await end(other)
                joined, created = await results
        assert (joined.outcome, created.outcome) == ("joined", "created")
        assert await roadside.indices(ch) == [0, 1, 2]
        reached = await roadside.sql.fetch(
            "SELECT address FROM receipts WHERE message_sid = $1", joined.message_sid
        )
        assert [row["address"] for row in reached] == [colleague]


@KINDS
async def test_what_closes_before_its_lock_makes_the_convoy_walk_again(
    open_road: Open, kind: str
) -> None:
    async with open_road(chosen(kind)) as roadside:
        toms = await roadside.arrive("SM0", TOM, WHATSAPP)
        async with under_way(roadside, draft(roadside, toms.conversation_sid)) as other:
            items = text("SM1", TOM, WHATSAPP), first(kind, "SM2")
            async with walking(roadside, *items, kind=kind) as results:
                closes = (
                    "UPDATE conversations SET state = 'closed' WHERE sid = $1",
                    "UPDATE bindings SET open = false WHERE conversation_sid = $1",
                )
                for statement in closes:
                    await other.sql.execute(statement, toms.conversation_sid)
                await end(other)
                said = await results
        assert [one.outcome for one in said] == ["created", "created"]
        assert await count(roadside, "conversations") == 3
        assert await count(roadside, "messages") == 4


@KINDS
async def test_many_new_pairs_over_two_roads_lose_and_double_nothing(
    open_road: Open, kind: str
) -> None:
    """Their convoys want the same pairs at the same time, in every mixture."""
    pairs, each = 12, 8
    others = (BOB,) if kind == "group text" else ()
    async with open_road(chosen(kind)) as roadside:
        other = walker_of(roadside, kind)
        second: Road = Convoy(other, longest=5, waiting_max=1000, order=order_of)
        async with asyncio.TaskGroup() as group:
            group.create_task(second.run())
            said = await asyncio.gather(
                *(
                    way.submit(text(f"SM{n}-{pair}-{at}", f"+1555124{pair:04d}", SMS, *others))
                    for n in range(each)
                    for pair in range(pairs)
                    for at, way in enumerate((roadside.road, second))
                )
            )
            second.close()
        await other.close()
        outcomes = Counter(one.outcome for one in said)
        assert outcomes == {"created": pairs, "joined": 2 * pairs * each - pairs}
        rows = await roadside.sql.fetch("SELECT sid FROM conversations")
        assert len(rows) == pairs
        for row in rows:
            assert await roadside.indices(row["sid"]) == list(range(2 * each))
        assert await count(roadside, "inbox") == await count(roadside, "decisions") == len(said)
