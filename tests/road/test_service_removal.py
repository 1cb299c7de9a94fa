"""Messages that come in while a service goes, and keywords on the road."""

from __future__ import annotations

import asyncio

from app import ids
from app.model import AddressConfiguration, ScopedWebhook, Service
from app.road.items import Taken
from app.store import removal
from tests.support.settings import ACCOUNT, SMS


async def a_service(side) -> Service:
    """A service in which messages to our address create conversations."""
    async with side.runtime.db.begin() as tx:
        dates = {"date_created": tx.now, "date_updated": tx.now}
        sid = ids.new(ids.SERVICE)
        service = Service(sid=sid, account_sid=ACCOUNT, friendly_name="x", **dates)
        await tx.add(service)
        rule = AddressConfiguration(
            sid=ids.new(ids.ADDRESS_CONFIGURATION),
            account_sid=ACCOUNT,
            type="sms",
            address=SMS,
            auto_enabled=True,
            auto_service_sid=sid,
            **dates,
        )
        await tx.add(rule)
    return service


async def service_of(side, taken: Taken) -> str:
    return await side.sql.fetchval(
        "SELECT chat_service_sid FROM conversations WHERE sid = $1", taken.conversation_sid
    )


async def test_what_was_created_in_a_service_that_goes_is_created_in_the_default_one(
    open_road,
) -> None:
    async with open_road() as side:
        service = await a_service(side)
        assert await service_of(side, await side.arrive("1")) == service.sid
        async with side.runtime.db.begin() as tx:
            await removal.mark(tx, service)
        # A convoy that read the rule before the mark finds it gone all the same.
        await side.sql.execute(
            "UPDATE address_configurations SET auto_service_sid = $1", service.sid
        )
        default = side.runtime.settings.service_sid(side.runtime.settings.default_service)
        taken = await side.arrive("2", "+15551230002")
        assert (taken.outcome, await service_of(side, taken)) == ("created", default)


async def test_no_message_is_lost_or_stuck_while_a_service_goes(open_road) -> None:
    async with open_road() as side:
        service = await a_service(side)
        for n in range(30):
            await side.arrive(f"before {n}", f"+1555123{n:04}")

        async def go() -> None:
            db, ended = side.runtime.db, False
            async with db.begin() as tx:
                locked = await removal.lock(tx, ACCOUNT, service.sid)
                await removal.mark(tx, locked)
            while not ended:
                batch = ["x"]
                while batch:
                    async with db.begin() as tx:
                        batch = await removal.conversations(tx, service.sid)
                    async with db.begin() as tx:
                        await removal.shed(tx, batch)
                        await removal.locked(tx, batch)
                        await removal.remove(tx, batch)
                async with db.begin() as tx:
                    ended = await removal.end(tx, service.sid)

        taken, _ = await asyncio.gather(
            asyncio.gather(*(side.arrive(f"meanwhile {n}", f"+1555124{n:04}") for n in range(100))),
            go(),
        )
        assert {one.outcome for one in taken} == {"created"}
        left = await side.sql.fetchval("SELECT count(*) FROM services WHERE sid = $1", service.sid)
        assert left == 0
        after = await side.arrive("after", "+15551230001")
        assert after.outcome == "created"


async def test_a_trigger_hears_its_keyword_from_a_channel(open_road) -> None:
    async with open_road() as side:
        conversation = (await side.arrive("1")).conversation_sid
        async with side.runtime.db.begin() as tx:
            webhook = ScopedWebhook(
                sid=ids.new(ids.WEBHOOK),
                account_sid=ACCOUNT,
                chat_service_sid="",
                conversation_sid=conversation,
                target="trigger",
                url="https://example.com/t",
                triggers=["agent"],
                date_created=tx.now,
                date_updated=tx.now,
            )
            await tx.add(webhook)
        for n, body in enumerate(("agents", "an AGENT, please", "no")):
            await side.arrive(f"said {n}", body=body)
        told = await side.sql.fetch(
            "SELECT params->>'Body' AS body FROM outbox WHERE url = 'https://example.com/t'"
        )
        assert [row["body"] for row in told] == ["an AGENT, please"]
