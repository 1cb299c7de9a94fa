"""A status that comes before the answer to the send: what went is known all the same."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import asyncpg
import pytest

from app.delivery.attempt import broken
from app.delivery.pauses import Pauses
from app.delivery.settle import Settler
from app.delivery.tried import Tried
from app.errors import Unknown
from app.model.traffic import Accepted, Status
from app.store import deliveries, outbox
from app.store.outbox import Claimed
from tests.road.conftest import Open, Roadside
from tests.road.test_fallback_templates import TOM, arrived, got, sections
from tests.road.test_parts import LONG
from tests.road.test_sessions import expire
from tests.support.clock import AheadClock, TurnedClock
from tests.support.house import house
from tests.support.settings import WHATSAPP, settings

LONGER = " ".join([LONG] * 2)  # on WhatsApp two messages
INSTEAD = "body (the template HX1 in their place)"
RELAXED = {
    "limits": {"profile": "relaxed"},
    "delivery": {"waits_s": [60.0], "jitter": 0, "timeout_s": 2},
}
BLIND = {"lab": {"kind": "sandbox", "look_up": False, "on_unknown": "fail"}}


async def until(sql: asyncpg.Connection, question: str) -> None:
    async with asyncio.timeout(10):
        while not await sql.fetchval(question):
            await asyncio.sleep(0.01)


async def answered(one: Any) -> None:
    """He answers: his session is open again."""
    assert (await one.world.phone(TOM).text(WHATSAPP, "yes")).acknowledged


async def silent(_: Any) -> None:
    """He does not."""


@pytest.mark.parametrize("body", [LONGER, "short."], ids=["two parts", "one part"])
@pytest.mark.parametrize("then", [silent, answered])
async def test_after_a_template_nothing_more_goes_though_only_its_status_told_of_it(
    dsn: str, sql: asyncpg.Connection, body: str, then: Any
) -> None:
    clock = AheadClock()
    async with house(dsn, clock=clock, **sections(carriers=BLIND, **RELAXED)) as one:
        ch = await one.conversation(TOM, WHATSAPP)
        await expire(one)
        one.world.behave(TOM, cut="after", times=1)
        message = await one.say(ch, body)
        await one.world.until(lambda: one.world.counts["statuses"] == 3)
        await until(sql, "SELECT count(*) > 0 FROM attempts WHERE kind = 'delivery'")
        await then(one)
        clock.ahead_s = 61.0
        await arrived(one)
        clock.ahead_s = 122.0  # an attempt that the clock passed by begins once more
        await until(sql, "SELECT count(*) = 0 FROM outbox WHERE kind = 'delivery'")
        [said] = got(one)
        assert said is not None and said.startswith("We wrote to you: ")
        [receipt] = await one.receipts(message)
        assert (receipt["status"], receipt["error_code"]) == ("read", None)
        row = await sql.fetchrow("SELECT dropped, parts FROM receipts")
        assert row["dropped"].endswith("in their place)") and row["parts"] is None


async def on_its_way(roadside: Roadside, body: str = LONGER) -> Claimed:
    """A message to somebody on WhatsApp, begun."""
    ch = (await roadside.arrive("SM1", TOM, WHATSAPP)).conversation_sid
    await roadside.post(ch or "", body=body)
    async with roadside.runtime.db.begin() as tx:
        [item] = await outbox.claim(
            tx.sql, "delivery", limit=10, lease="l", now=tx.now, lease_s=60, rates={}
        )
    return item


async def settled(roadside: Roadside, items: Sequence[Tried | Status]) -> Any:
    """These, settled one after the other: the receipt."""
    settler = Settler(roadside.runtime, Pauses(roadside.runtime.settings.delivery))
    try:
        for one in items:
            assert await settler([one]) == [True]
    finally:
        await settler.close()
    return await roadside.sql.fetchrow("SELECT status, dropped, parts FROM receipts")


@pytest.mark.parametrize("word", ["sent", "delivered", "read"])
@pytest.mark.parametrize("outcome", ["accepted", "unknown", "settled"])
async def test_what_was_heard_of_the_first_part_was_said_of_the_template(
    open_road: Open, outcome: str, word: Any
) -> None:
    async with open_road(settings(limits={"profile": "relaxed"})) as roadside:
        item = await on_its_way(roadside)
        status = Status("lab", "SM9", word, receipt_sid=item.receipt_sid)
        answers: dict[str, Any] = {
            "accepted": {"accepted": Accepted("SM9")},
            "unknown": {"error": Unknown("lost")},
        }
        tried = Tried(item, outcome, instead=INSTEAD, **answers.get(outcome, {}))
        row = await settled(roadside, [status, tried])
        assert tuple(row) == (word, INSTEAD, None)
        assert await roadside.sql.fetchval("SELECT count(*) FROM outbox WHERE kind='delivery'") == 0


async def test_an_attempt_that_broke_off_is_what_its_item_says(
    open_road: Open, clock: TurnedClock
) -> None:
    async with open_road(settings(limits={"profile": "relaxed"})) as roadside:
        runtime = roadside.runtime
        item = await on_its_way(roadside)
        async with runtime.db.begin() as tx:
            assert await deliveries.note_instead(tx.sql, item, INSTEAD)
            parcels = await deliveries.parcels(tx.sql, [item])
        status = Status("lab", "SM9", "delivered", receipt_sid=item.receipt_sid)
        cut = broken(runtime, item, parcels[item.seq], TimeoutError())
        assert (await settled(roadside, [status, cut]))["parts"] is not None
        async with runtime.db.begin() as tx:
            [again] = await outbox.claim(
                tx.sql, "delivery", limit=10, lease="m", now=tx.now, lease_s=60, rates={}
            )
        assert (again.instead, again.part, again.attempts) == (INSTEAD, 0, 1)
        row = await settled(roadside, [Tried(again, "settled", instead=again.instead)])
        assert tuple(row) == ("delivered", INSTEAD, None)


async def test_what_an_attempt_sends_is_noted_by_whoever_holds_the_lane(
    open_road: Open, clock: TurnedClock
) -> None:
    async with open_road(settings(limits={"profile": "relaxed"})) as roadside:
        item = await on_its_way(roadside)
        params = "SELECT params::text FROM outbox WHERE kind = 'delivery'"
        async with roadside.runtime.db.begin() as tx:
            assert await deliveries.note_instead(tx.sql, item, INSTEAD)
            assert INSTEAD in await tx.sql.fetchval(params)
            assert await deliveries.note_instead(tx.sql, item, None)
            assert await tx.sql.fetchval(params) is None
        clock.turn(120.0)
        async with roadside.runtime.db.begin() as tx:
            await outbox.claim(
                tx.sql, "delivery", limit=10, lease="m", now=tx.now, lease_s=60, rates={}
            )
            assert not await deliveries.note_instead(tx.sql, item, INSTEAD)


async def test_what_is_heard_of_a_part_again_moves_nothing(open_road: Open) -> None:
    async with open_road(settings(limits={"profile": "relaxed"})) as roadside:
        item = await on_its_way(roadside)
        revision = "SELECT revision FROM conversations"
        seen = [await roadside.sql.fetchval(revision)]
        for word in ("sent", "delivered", "sent", "delivered", None):
            await settled(roadside, [Status("lab", "SM9", word, receipt_sid=item.receipt_sid)])
            seen.append(await roadside.sql.fetchval(revision))
        assert [after - before for before, after in pairwise(seen)] == [1, 1, 0, 0, 0]
