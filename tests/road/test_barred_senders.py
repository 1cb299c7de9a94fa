"""A sender whose own credential is no longer good holds up nobody but itself."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from tests.road.test_pauses import Seen, paused, until
from tests.support.house import House, house
from tests.support.meta_stand_in import NUMBER, PAGE, MetaStandIn, standing_in

OURS, OUR_PAGE = f"whatsapp:{NUMBER}", f"messenger:{PAGE}"
ANN = "whatsapp:+15551230001"
PEOPLE = [f"messenger:567{n}" for n in range(6)]
DELIVERY = {"waits_s": [0.02] * 200, "timeout_s": 2, "pause_after": 3, "pauses_s": [600]}
REFUSED = "SELECT count(DISTINCT receipt_sid) FROM attempts WHERE outcome = 'temporary'"
DETAILS = "SELECT detail FROM attempts WHERE kind = 'delivery'"
FIND = "SELECT conversation_sid FROM decisions WHERE external_id = $1"


@asynccontextmanager
async def meeting(
    dsn: str, seen: Seen, **page: Any
) -> AsyncIterator[tuple[House, MetaStandIn, dict[str, str]]]:
    """A house whose page has lost its token at `lab`, and has it still at `spare`; with the
    conversations of everybody."""
    async with standing_in() as (stand_in, url):
        stale = stand_in.options(url, pages={PAGE: "a token of last year"})
        senders = [
            {"address": address, "carrier": "lab", "messaging_service": "default", **more}
            for address, more in ((OURS, {}), (OUR_PAGE, page))
        ]
        carriers = {"lab": stale, "spare": stand_in.options(url)}
        sections = {"carriers": carriers, "senders": senders, "delivery": DELIVERY}
        async with house(dsn, seen.observe, **sections) as one:
            assert await stand_in.subscribe(f"{one.service.url}/carriers/lab/inbound")
            chats: dict[str, str] = {}
            for person, ours in [(ANN, OURS), *((person, OUR_PAGE) for person in PEOPLE)]:
                texted = await stand_in.world.phone(person).text(ours, "hi")
                async with one.service.runtime.db.begin() as tx:
                    chats[person] = await tx.sql.fetchval(FIND, texted.external_id)
            yield one, stand_in, chats


def got(stand_in: MetaStandIn, person: str) -> list[str]:
    return [received.body or "" for received in stand_in.world.phone(person).received]


async def test_a_page_without_a_token_does_not_hold_up_the_numbers_of_its_carrier(
    dsn: str, sql: asyncpg.Connection
) -> None:
    seen = Seen()
    async with meeting(dsn, seen) as (one, stand_in, chats):
        await asyncio.gather(*(one.say(chats[person], "hello") for person in PEOPLE))
        await until(lambda: _count(sql, len(PEOPLE)))
        await one.say(chats[ANN], "hello")
        await stand_in.world.until(lambda: got(stand_in, ANN) == ["hello"])
        assert (seen.turns, await paused(one)) == ([], {})
        assert all(got(stand_in, person) == [] for person in PEOPLE)


async def test_what_a_page_may_not_send_goes_by_its_fallback_carrier(
    dsn: str, sql: asyncpg.Connection
) -> None:
    seen = Seen()
    async with meeting(dsn, seen, fallback_carrier="spare") as (one, stand_in, chats):
        for body in ("1", "2"):
            await asyncio.gather(*(one.say(chats[person], body) for person in PEOPLE))
        world = stand_in.world
        await world.until(lambda: all(got(stand_in, one) == ["1", "2"] for one in PEOPLE))
        await until(lambda: sql.fetchval("SELECT count(*) = 0 FROM outbox WHERE kind = 'delivery'"))
        told = {row[0] for row in await sql.fetch(DETAILS)}
        assert told == {"by spare (lab: (190) Invalid OAuth access token)"}
        assert (seen.turns, await paused(one)) == ([], {})
        assert world.records.doubles() == []


async def _count(sql: asyncpg.Connection, people: int) -> bool:
    return bool(await sql.fetchval(REFUSED) == people)
