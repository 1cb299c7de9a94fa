"""Whole roads with Telnyx, Bandwidth and Vonage: a phone writes, we reply, they report."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

from app.carriers.sandbox_world import World
from app.clock import Clock
from app.observe import Observe
from tests.road.test_templates import HELLO, content, made_of, started, submit
from tests.support import bandwidth_stand_in, telnyx_stand_in, vonage_stand_in
from tests.support.files import Files
from tests.support.house import House, house
from tests.support.settings import SMS, WHATSAPP

MARIA, ROSA = "+15558675310", "+15558675311"
QUICK = {"waits_s": [0.02] * 12, "timeout_s": 5}
WAIT_S = {"telnyx": "unknown_wait_s", "bandwidth": "look_up_after_s", "vonage": "unknown_wait_s"}
SENDERS = [
    {"address": SMS, "carrier": "lab", "messaging_service": "default"},
    {"address": WHATSAPP, "carrier": "lab", "messaging_service": "default"},
]


@dataclass
class Provider:
    """A running house whose carrier is this provider, and the provider's phones."""

    house: House
    world: World
    files: Files

    async def conversation(self, phone: str = MARIA, to: str = SMS, **parts: Any) -> str:
        """The conversation that a phone's first message makes."""
        texted = await self.world.phone(phone).text(to, "hello", **parts)
        assert texted.acknowledged, texted.tries
        listed = (await self.house.get("/v1/Conversations"))["conversations"]
        return str(listed[0]["sid"])

    async def told(self, steps: list[str]) -> None:
        """Wait until the customer was told of exactly these steps of deliveries."""
        customer = self.house.customer
        await customer.until(
            lambda: [one.form["Status"] for one in customer.events("onDeliveryUpdated")] == steps
        )


@asynccontextmanager
async def provided(
    kind: str,
    dsn: str,
    *,
    clock: Clock | None = None,
    observe: Observe | None = None,
    media: Any = None,
    **options: Any,
) -> AsyncIterator[Provider]:
    """A house with one carrier of this kind."""
    stand_ins: dict[str, tuple[Any, dict[str, Any]]] = {
        "telnyx": (
            telnyx_stand_in,
            {"api_key": telnyx_stand_in.API_KEY, "public_key": telnyx_stand_in.PUBLIC_KEY},
        ),
        "bandwidth": (bandwidth_stand_in, bandwidth_stand_in.OPTIONS),
        "vonage": (vonage_stand_in, vonage_stand_in.OPTIONS),
    }
    module, given = stand_ins[kind]
    async with module.standing_in() as (stand_in, base_url):
        lab = {"kind": kind, "base_url": base_url, **given, **options}
        sections: dict[str, Any] = {"carriers": {"lab": lab}, "senders": SENDERS, "delivery": QUICK}
        if media is not None:
            sections |= {"media": media, "secrets": {"key": "a key of thirty-two characters ..."}}
        async with house(dsn, observe, clock, **sections) as one:
            stand_in.world.inbound_url = f"{one.service.url}/carriers/lab/inbound"
            if kind == "bandwidth":
                stand_in.callback_url = f"{one.service.url}/carriers/lab/status"
            yield Provider(one, stand_in.world, stand_in.files)


@pytest.fixture(params=["telnyx", "bandwidth", "vonage"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_a_phone_writes_and_gets_a_reply_whose_delivery_is_known(
    kind: str, dsn: str, sql: asyncpg.Connection
) -> None:
    async with provided(kind, dsn) as one:
        ch = await one.conversation(media=["https://m.example/1.jpg"])
        message = await one.house.say(ch, "hello back")
        await one.told(["sent", "delivered"])
        assert [got.body for got in one.world.phone(MARIA).received] == ["hello back"]
        receipt = (await one.house.receipts(message))[0]
        assert (receipt["status"], receipt["error_code"]) == ("delivered", None)
        assert receipt["channel_message_sid"].startswith("SM")
        listed = (await one.house.get(f"/v1/Conversations/{ch}/Messages"))["messages"]
        assert [said["author"] for said in listed] == [MARIA, "ann"]
        assert len(listed[0]["media"]) == 1
        assert await sql.fetchval("SELECT signature FROM decisions") == "valid"


async def test_vonage_starts_a_conversation_with_what_whatsapp_approved(dsn: str) -> None:
    async with provided("vonage", dsn) as one:
        sid = await content(one.house, HELLO)
        await submit(one.house, sid, status="approved")
        ann = f"whatsapp:{MARIA}"
        message = await made_of(one.house, await started(one.house, ann, WHATSAPP), sid)
        await one.told(["sent", "delivered", "read"])
        assert [got.body for got in one.world.phone(ann).received] == ["hello"]  # by its name
        assert [each["status"] for each in await one.house.receipts(message)] == ["read"]


async def test_a_message_that_comes_again_is_one_message(kind: str, dsn: str) -> None:
    async with provided(kind, dsn) as one:
        one.world.behave(inbound_double_share=1.0)
        ch = await one.conversation()
        listed = (await one.house.get(f"/v1/Conversations/{ch}/Messages"))["messages"]
        assert [said["body"] for said in listed] == ["hello"]


async def test_a_throttled_reply_is_sent_once_when_it_may(kind: str, dsn: str) -> None:
    async with provided(kind, dsn) as one:
        ch = await one.conversation()
        one.world.behave(refuse="temporary", retry_after_s=1, times=1)
        await one.house.say(ch, "hello back")
        await one.told(["sent", "delivered"])
        assert [got.body for got in one.world.phone(MARIA).received] == ["hello back"]


async def test_a_bounce_is_on_the_receipt_in_the_original_s_numbers(kind: str, dsn: str) -> None:
    bounce = {"telnyx": 40006, "bandwidth": 4702, "vonage": 1180}[kind]
    async with provided(kind, dsn) as one:
        ch = await one.conversation()
        one.world.behave(bounce=bounce)
        message = await one.house.say(ch, "hello back")
        await one.told(["sent", "undelivered"])
        receipt = (await one.house.receipts(message))[0]
        assert (receipt["status"], receipt["error_code"]) == ("undelivered", 30003)


async def test_a_report_settles_a_send_whose_answer_was_lost(kind: str, dsn: str) -> None:
    """Each report names its receipt; `on_unknown: resend` would have doubled the message."""
    async with provided(kind, dsn, **{WAIT_S[kind]: 3600}) as one:
        ch = await one.conversation()
        one.world.behave(cut="after", times=1)
        await one.house.say(ch, "first")
        await one.house.say(ch, "second")
        await one.told(["sent", "delivered"])
        await one.house.again()
        await one.world.until(lambda: len(one.world.phone(MARIA).received) == 2)
        assert [got.body for got in one.world.phone(MARIA).received] == ["first", "second"]


async def test_bandwidth_s_list_settles_a_send_that_nobody_reports_on(dsn: str) -> None:
    async with provided("bandwidth", dsn, look_up_after_s=0.05) as one:
        ch = await one.conversation()
        one.world.behave(statuses=False, cut="after", times=1)
        await one.house.say(ch, "lost answer")
        await one.house.say(ch, "second")
        await one.world.until(lambda: len(one.world.phone(MARIA).received) == 2)
        assert [got.body for got in one.world.phone(MARIA).received] == ["lost answer", "second"]


async def test_a_whatsapp_message_by_vonage_is_answered_and_read(dsn: str) -> None:
    async with provided("vonage", dsn) as one:
        ch = await one.conversation(f"whatsapp:{MARIA}", WHATSAPP)
        message = await one.house.say(ch, "hello back")
        await one.told(["sent", "delivered", "read"])
        assert (await one.house.receipts(message))[0]["status"] == "read"
        (got,) = one.world.phone(f"whatsapp:{MARIA}").received
        assert (got.channel, got.sender, got.body) == ("whatsapp", WHATSAPP, "hello back")


@pytest.mark.parametrize("kind", ["telnyx", "bandwidth"])
async def test_a_group_text_is_one_send_and_each_recipient_s_report_its_own(
    kind: str, dsn: str, sql: asyncpg.Connection
) -> None:
    bounce = {"telnyx": 40006, "bandwidth": 4702}[kind]
    async with provided(kind, dsn) as one:
        ch = await one.conversation(others=[ROSA])
        one.world.behave(ROSA, bounce=bounce)
        message = await one.house.say(ch, "hello both", SMS)
        events = one.house.customer.events
        await one.house.customer.until(lambda: len(events("onDeliveryUpdated")) == 4)
        [got] = one.world.phone(MARIA).received
        assert (got.body, got.others, got.channel) == ("hello both", (ROSA,), "mms")
        assert len(list(one.world.records.taken())) == 2
        assert len({taken.external_id for taken in one.world.records.taken()}) == 1
        fared = await sql.fetch(
            "SELECT address, status, error_code FROM receipts WHERE message_sid = $1"
            " ORDER BY address",
            message["sid"],
        )
        assert [tuple(row) for row in fared] == [
            (MARIA, "delivered", None),
            (ROSA, "undelivered", 30003),
        ]
