"""Every carrier's doors over real HTTP: what is refused, what is stored, what is answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import asyncpg
import pytest
from aiohttp import ClientResponse
from yarl import URL

from app.channels.address import masked
from app.observe import InboundSeen, Observation, Observe
from tests.carriers.cases import KINDS, PUBLIC_URL, Case, Wire, case
from tests.support.house import House, house
from tests.support.settings import SMS, WHATSAPP
from tests.support.twilio_stand_in import ACCOUNT_SID, AUTH_TOKEN, standing_in

SENDERS = [
    {"address": SMS, "carrier": "lab", "messaging_service": "default"},
    {"address": WHATSAPP, "carrier": "lab", "messaging_service": "default"},
    {"address": "desk@example.com", "carrier": "lab", "messaging_service": "default"},
]


@dataclass
class Door:
    """One carrier's door and what was seen at it."""

    case: Case
    house: House
    seen: list[InboundSeen]
    sql: asyncpg.Connection

    async def knock(self, wire: Wire) -> tuple[int, str, str]:
        """Status, body and content type of the answer."""
        async with self.knocked(wire) as response:
            return response.status, await response.text(), response.content_type

    def knocked(self, wire: Wire) -> AbstractAsyncContextManager[ClientResponse]:
        """The answer."""
        url = URL(self.house.service.url + wire.target, encoded=True)
        body = BytesIO(wire.body)
        return self.house.http.request(wire.method, url, headers=wire.headers, data=body)

    async def count(self, table: str) -> int:
        """The rows of a table."""
        rows: int = await self.sql.fetchval(f"SELECT count(*) FROM {table}")
        return rows


@pytest.fixture(params=KINDS)
async def door(
    request: pytest.FixtureRequest, dsn: str, sql: asyncpg.Connection
) -> AsyncIterator[Door]:
    """The doors of one kind of carrier."""
    async with at_the_door(request.param, dsn, sql) as one:
        yield one


@asynccontextmanager
async def at_the_door(
    kind: str,
    dsn: str,
    sql: asyncpg.Connection,
    signature: str = "enforce",
    patience_s: float | None = None,
    **sections: Any,
) -> AsyncIterator[Door]:
    """The doors of one kind of carrier, with other settings."""
    one = case(kind)
    seen: list[InboundSeen] = []
    observe = Observe()

    def watch(observation: Observation) -> None:
        if isinstance(observation, InboundSeen):
            seen.append(observation)

    observe.to(watch)
    lab = {"kind": kind, "signature": signature, "patience_s": patience_s, **one.options}
    given: dict[str, Any] = {
        "carriers": {"lab": lab},
        "senders": SENDERS,
        "server": {"port": 0, "public_url": PUBLIC_URL},
    }
    async with house(dsn, observe, **given | sections) as running:
        yield Door(one, running, seen, sql)


async def test_a_signed_message_is_answered_after_its_commit(door: Door) -> None:
    status, body, content_type = await door.knock(door.case.inbound(door.case.new_id(1)))
    assert status == 200
    assert await door.count("messages") == 1
    expected = door.case.carrier().answer(())
    assert (body, content_type) == (expected.body, expected.content_type)
    assert [one.outcome for one in door.seen] == ["accepted"]
    assert door.seen[0].address == masked(door.case.address), "numbers are masked"


async def test_a_message_delivered_twice_at_once_is_one_message(door: Door) -> None:
    wire = door.case.inbound(door.case.new_id(1))
    answers = await asyncio.gather(*(door.knock(wire) for _ in range(10)))
    assert {status for status, _, _ in answers} == {200}
    assert await door.count("messages") == 1
    assert sorted(one.outcome for one in door.seen) == ["accepted", *["duplicate"] * 9]


@pytest.mark.parametrize("forge", ["forged", "unsigned"])
async def test_a_bad_signature_is_refused_and_nothing_stored(door: Door, forge: str) -> None:
    wire = getattr(door.case, forge)(door.case.inbound(door.case.new_id(1)))
    status, body, _ = await door.knock(wire)
    assert status == 403
    assert "signature" in body
    assert await door.count("inbox") == 0
    assert [one.outcome for one in door.seen] == ["bad_signature"]


async def test_a_changed_body_is_refused(door: Door) -> None:
    if "body" not in door.case.signs:
        pytest.skip("the provider only signs in")
    wire = door.case.inbound(door.case.new_id(1))
    changed = Wire(wire.method, wire.target, wire.headers, wire.body.replace(b"Hello", b"Jello"))
    assert (await door.knock(changed))[0] == 403


async def test_junk_is_answered_400_and_nothing_stored(door: Door) -> None:
    for junk in door.case.junk:
        status, body, _ = await door.knock(door.case.signed("inbound", junk))
        assert status in (400, 403), junk  # without an account there is no token to check with
        assert "Traceback" not in body
    assert await door.count("inbox") == 0


async def test_an_oversized_body_is_answered_413(door: Door) -> None:
    wire = door.case.signed("inbound", b"x" * 1_100_000)
    assert (await door.knock(wire))[0] == 413
    assert await door.count("inbox") == 0


async def test_an_unknown_carrier_is_404(door: Door) -> None:
    wire = door.case.inbound("SM1")
    strange = Wire(wire.method, "/carriers/nobody/inbound", wire.headers, wire.body)
    assert (await door.knock(strange))[0] == 404


async def test_a_status_of_something_we_never_sent_is_taken_in(door: Door) -> None:
    wire = door.case.status(door.case.new_id(7), receipt_sid=None)
    assert (await door.knock(wire))[0] == 200
    assert await door.count("early_statuses") <= 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["report", "off"])
async def test_the_signature_can_be_reported_only(
    dsn: str, sql: asyncpg.Connection, kind: str, mode: str
) -> None:
    async with at_the_door(kind, dsn, sql, signature=mode) as door:
        wire = door.case.forged(door.case.inbound(door.case.new_id(1)))
        assert (await door.knock(wire))[0] == 200
        expected = "invalid" if mode == "report" else "unchecked"
        assert await sql.fetchval("SELECT signature FROM decisions") == expected


async def test_too_many_form_fields_are_400(dsn: str, sql: asyncpg.Connection) -> None:
    async with at_the_door("twilio", dsn, sql) as door:
        many = "&".join(f"f{n}=1" for n in range(1001)).encode()
        assert (await door.knock(door.case.signed("inbound", many)))[0] == 400


async def test_whole_roads_run_with_a_stand_in_for_twilio(dsn: str) -> None:
    async with standing_in() as (stand_in, base_url):
        carriers = {
            "lab": {
                "kind": "twilio",
                "account_sid": ACCOUNT_SID,
                "auth_token": AUTH_TOKEN,
                "base_url": base_url,
            }
        }
        async with house(dsn, carriers=carriers, senders=SENDERS) as one:
            world = stand_in.world
            world.inbound_url = f"{one.service.url}/carriers/lab/inbound"
            texted = await world.phone("+15551230001").text(SMS, "hello", media=["https://m/1.jpg"])
            assert texted.acknowledged
            conversations = (await one.get("/v1/Conversations"))["conversations"]
            ch = conversations[0]["sid"]
            message = await one.say(ch, "hello back")
            await one.customer.until(
                lambda: (
                    [h.form["Status"] for h in one.customer.events("onDeliveryUpdated")]
                    == ["sent", "delivered"]
                )
            )
            assert [got.body for got in world.phone("+15551230001").received] == ["hello back"]
            receipt = (await one.receipts(message))[0]
            assert receipt["channel_message_sid"].startswith("SM")
            listed = (await one.get(f"/v1/Conversations/{ch}/Messages"))["messages"]
            assert [m["author"] for m in listed] == ["+15551230001", "ann"]
            assert len(listed[0]["media"]) == 1


async def test_a_hundred_first_messages_over_real_connections_make_one_conversation(
    dsn: str, sql: asyncpg.Connection
) -> None:
    async with at_the_door("twilio", dsn, sql) as door:
        wires = [door.case.inbound(door.case.new_id(n)) for n in range(100)]
        answers = await asyncio.gather(*(door.knock(wire) for wire in wires * 2))
        assert {status for status, _, _ in answers} == {200}
        assert await door.count("conversations") == 1
        rows = await sql.fetch("SELECT index FROM messages ORDER BY index")
        assert [row["index"] for row in rows] == list(range(100))


async def test_while_the_ledger_is_held_nobody_is_answered(
    dsn: str, sql: asyncpg.Connection
) -> None:
    async with at_the_door("twilio", dsn, sql) as door:
        async with sql.transaction():
            await sql.execute("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE")
            wire = door.case.inbound(door.case.new_id(1))
            waiting = asyncio.get_running_loop().create_task(door.knock(wire))
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(waiting), 0.3)
        assert (await waiting)[0] == 200


async def test_a_full_queue_is_503_with_retry_after(dsn: str, sql: asyncpg.Connection) -> None:
    async with at_the_door("twilio", dsn, sql, road={"queue_max": 3, "convoy_max": 1}) as door:
        async with sql.transaction():
            await sql.execute("LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE")
            wires = [door.case.inbound(door.case.new_id(n)) for n in range(10)]
            knocking = [asyncio.get_running_loop().create_task(door.knock(wire)) for wire in wires]
            async with asyncio.timeout(10):
                while sum(task.done() for task in knocking) < 6:
                    await asyncio.sleep(0.01)
            assert {task.result()[0] for task in knocking if task.done()} == {503}
        statuses = [(await task)[0] for task in knocking]
        refused = statuses.count(503)
        assert refused in (6, 7), "three wait, and perhaps one walks already"
        assert statuses.count(200) == len(knocking) - refused
        assert [one.outcome for one in door.seen].count("throttled") == refused
