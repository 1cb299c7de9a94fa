"""The road out with simulated phones: order, retries, unknown outcomes, rates, receipts."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from app.model.traffic import Status
from app.observe import Observation, Observe, Said
from app.store import deliveries
from tests.support.house import house
from tests.support.settings import SMS, WHATSAPP
from tests.support.twilio_stand_in import ACCOUNT_SID, AUTH_TOKEN, standing_in

MARIA = "+15551230001"
TOM = "whatsapp:+15551230003"
QUICK = {"waits_s": [0.02] * 12, "timeout_s": 2}


def lab(**more: Any) -> dict[str, Any]:
    return {"lab": {"kind": "sandbox", "secret": "s", "look_up_after_s": 0.05, **more}}


async def test_a_reply_reaches_every_external_participant_and_is_read(dsn: str) -> None:
    async with house(dsn) as one:
        before = await one.conversation(TOM, WHATSAPP)  # opens his session
        await one.delete(f"/v1/Conversations/{before}")
        ch = await one.conversation(MARIA)
        await one.post(f"/v1/Conversations/{ch}/Participants", Identity="ann")
        await one.post(
            f"/v1/Conversations/{ch}/Participants",
            MessagingBinding_Address=TOM,
            MessagingBinding_ProxyAddress=WHATSAPP,
        )
        message = await one.say(ch, "hello both")
        await one.customer.until(lambda: len(one.customer.events("onDeliveryUpdated")) == 5)
        receipts = {r["channel_message_sid"][:2]: r for r in await one.receipts(message)}
        assert receipts["SM"]["status"] == "delivered"
        assert receipts["WA"]["status"] == "read"
        for phone in (MARIA, TOM):
            assert [got.body for got in one.world.phone(phone).received] == ["hello both"]
        steps = [hook.form["Status"] for hook in one.customer.events("onDeliveryUpdated")]
        assert sorted(steps) == ["delivered", "delivered", "read", "sent", "sent"]
        assert all(hook.signed for hook in one.customer.hooks)
        delivery = (await one.get(message["url"]))["delivery"]
        assert delivery == {
            "total": 2,
            "sent": "all",
            "delivered": "all",
            "read": "some",
            "failed": "none",
            "undelivered": "none",
        }


async def test_a_recipient_gets_messages_in_their_order_through_failures(dsn: str) -> None:
    async with house(dsn, delivery=QUICK) as one:
        ch = await one.conversation(MARIA)
        one.world.behave(MARIA, refuse="temporary", refuse_share=0.5, times=10, code=30001)
        for n in range(20):
            await one.say(ch, f"{n}")
        await one.world.until(lambda: len(one.world.phone(MARIA).received) == 20)
        assert [got.body for got in one.world.phone(MARIA).received] == [str(n) for n in range(20)]


async def test_a_stuck_recipient_delays_nobody_else(dsn: str) -> None:
    slow = {"waits_s": [3600], "timeout_s": 2}
    async with house(dsn, delivery=slow) as one:
        stuck = await one.conversation(MARIA)
        other = await one.conversation("+15551230009")
        one.world.behave(MARIA, refuse="temporary")
        await one.say(stuck, "waits")
        await one.say(stuck, "waits behind")
        await one.say(other, "goes")
        await one.world.until(lambda: len(one.world.phone("+15551230009").received) == 1)
        assert one.world.phone(MARIA).received == []


async def test_a_permanent_refusal_fails_the_receipt_with_its_code(dsn: str) -> None:
    async with house(dsn, delivery=QUICK) as one:
        ch = await one.conversation(MARIA)
        one.world.behave(MARIA, refuse="permanent", code=21610, times=1)
        refused = await one.say(ch, "no")
        await one.say(ch, "yes")
        await one.world.until(lambda: len(one.world.phone(MARIA).received) == 1)
        await one.customer.until(lambda: len(one.customer.events("onDeliveryUpdated")) >= 1)
        receipt = (await one.receipts(refused))[0]
        assert (receipt["status"], receipt["error_code"]) == ("failed", 21610)
        assert one.world.phone(MARIA).received[0].body == "yes"


async def test_a_number_that_us_carriers_block_is_told_how_it_is_registered(dsn: str) -> None:
    pending = {"campaign": "CE1", "status": "pending"}
    pool = {"default": {"autocreate": True, "registration": pending}}
    async with house(dsn, messaging_services=pool) as one:
        ch = await one.conversation(MARIA)
        one.world.behave(MARIA, bounce=30034)
        message = await one.say(ch, "no")
        await one.customer.until(
            lambda: (
                one.customer.events("onDeliveryUpdated")[-1:] != []
                and one.customer.events("onDeliveryUpdated")[-1].form["Status"] == "undelivered"
            )
        )
        assert (await one.receipts(message))[0]["error_code"] == 30034
        entries = (await one.get(f"/ops/trace/{message['sid']}"))["entries"]
        [status] = [entry for entry in entries if entry["what"] == "status"]
        assert "its A2P 10DLC registration is pending (campaign CE1;" in status["error_message"]


async def test_the_start_warns_of_senders_that_us_carriers_will_block(dsn: str) -> None:
    seen: list[Observation] = []
    observe = Observe()
    observe.to(seen.append)
    wire = {"kind": "twilio", "account_sid": ACCOUNT_SID, "auth_token": AUTH_TOKEN}
    senders = [{"address": SMS, "carrier": "lab"}, {"address": "+12125550101", "carrier": "wire"}]
    async with house(dsn, observe, senders=senders, carriers=lab() | {"wire": wire}):
        said = [one.detail for one in seen if isinstance(one, Said) and one.event == "A2P 10DLC"]
    assert len(said) == 1
    assert "US carriers block what ***0101 send" in said[0]


async def test_after_the_schedule_the_letter_is_dead_and_the_lane_goes_on(dsn: str) -> None:
    async with house(dsn, delivery={"waits_s": [0.02, 0.02], "timeout_s": 2}) as one:
        ch = await one.conversation(MARIA)
        one.world.behave(MARIA, refuse="temporary", code=30001, times=3)
        given_up = await one.say(ch, "never")
        await one.say(ch, "later")
        await one.world.until(lambda: len(one.world.phone(MARIA).received) == 1)
        assert one.world.phone(MARIA).received[0].body == "later"
        receipt = (await one.receipts(given_up))[0]
        assert (receipt["status"], receipt["error_code"]) == ("failed", 30001)
        async with one.service.runtime.db.begin() as tx:
            dead = await tx.sql.fetchrow("SELECT kind, attempts FROM dead_letters")
        assert tuple(dead) == ("delivery", 3)


@pytest.mark.parametrize("cut", ["before", "after"])
async def test_a_lost_answer_is_settled_by_asking_the_carrier(dsn: str, cut: str) -> None:
    async with house(dsn, delivery=QUICK, carriers=lab()) as one:
        ch = await one.conversation(MARIA)
        one.world.behave(cut=cut, times=1, statuses=False)
        await one.say(ch, "first")
        await one.say(ch, "second")
        await one.world.until(lambda: len(one.world.phone(MARIA).received) == 2)
        assert [got.body for got in one.world.phone(MARIA).received] == ["first", "second"]
        assert one.world.records.doubles() == []


@pytest.mark.parametrize(
    ("policy", "bodies", "status"),
    [("resend", ["first", "first", "second"], None), ("fail", ["first", "second"], "failed")],
)
async def test_where_the_carrier_cannot_be_asked_the_policy_decides(
    dsn: str, policy: str, bodies: list[str], status: str | None
) -> None:
    carriers = lab(look_up=False, on_unknown=policy)
    async with house(dsn, delivery=QUICK, carriers=carriers) as one:
        ch = await one.conversation(MARIA)
        one.world.behave(cut="after", times=1, statuses=False)
        message = await one.say(ch, "first")
        await one.say(ch, "second")
        await one.world.until(lambda: len(one.world.phone(MARIA).received) == len(bodies))
        assert [got.body for got in one.world.phone(MARIA).received] == bodies
        assert (await one.receipts(message))[0]["status"] == status


async def test_a_status_settles_an_unknown_send_without_asking(dsn: str) -> None:
    """The status URL names the receipt: what was taken is known to be taken."""
    carriers = lab(look_up=False, on_unknown="resend")
    waits = {"waits_s": [3600], "timeout_s": 2}
    async with house(dsn, delivery=waits, carriers=carriers) as one:
        ch = await one.conversation(MARIA)
        one.world.behave(cut="after", times=1)
        await one.say(ch, "once")
        await one.say(ch, "then")
        await one.customer.until(lambda: len(one.customer.events("onDeliveryUpdated")) == 2)
        await one.again()
        await one.world.until(lambda: len(one.world.phone(MARIA).received) == 2)
        assert [got.body for got in one.world.phone(MARIA).received] == ["once", "then"]


async def test_statuses_never_go_backwards(dsn: str) -> None:
    async with house(dsn) as one:
        ch = await one.conversation(TOM, WHATSAPP)
        one.world.behave(status_double_share=1.0, status_reorder_share=1.0, status_gap_s=0.01)
        messages = [await one.say(ch, f"{n}") for n in range(10)]
        await one.customer.until(
            lambda: sum(h.form.get("Status") == "read" for h in one.customer.hooks) == 10
        )
        for message in messages:
            assert (await one.receipts(message))[0]["status"] == "read"
        ranks = {"sent": 1, "delivered": 2, "read": 3}
        seen: dict[str, list[int]] = {}
        for hook in one.customer.events("onDeliveryUpdated"):
            seen.setdefault(hook.form["DeliveryReceiptSid"], []).append(ranks[hook.form["Status"]])
        assert all(steps == sorted(set(steps)) for steps in seen.values())


async def test_a_rated_sender_keeps_its_pace_and_others_do_not_wait(dsn: str) -> None:
    senders = [
        {"address": SMS, "carrier": "lab", "messaging_service": "default", "rate": "5/s"},
        {"address": WHATSAPP, "carrier": "lab", "messaging_service": "default"},
    ]
    async with house(dsn, senders=senders) as one:
        phones = [f"+1555123{n:04d}" for n in range(6)]
        rated = [await one.conversation(phone) for phone in phones]
        free = await one.conversation(TOM, WHATSAPP)
        await asyncio.gather(*(one.say(ch, "paced") for ch in rated), one.say(free, "now"))
        received = one.world.phone
        await one.world.until(lambda: all(received(phone).received for phone in (*phones, TOM)))
        taken = sorted(received(phone).received[0].taken_at for phone in phones)
        began = await one.began(*phones)
        spread = (began[-1] - began[0]).total_seconds()
        assert spread >= 1, "six messages at five per second take a second"
        assert received(TOM).received[0].taken_at < taken[-1]


async def test_people_of_a_country_are_written_to_at_a_pace_of_their_own(dsn: str) -> None:
    sender = {"address": SMS, "carrier": "lab", "messaging_service": "default"}
    async with house(dsn, senders=[{**sender, "rates": {"GB": "2/s"}}]) as one:
        british = [f"+44207946{n:04d}" for n in range(3)]
        chats = [await one.conversation(phone) for phone in (*british, MARIA)]
        await asyncio.gather(*(one.say(ch, "hello") for ch in chats))
        received = one.world.phone
        await one.world.until(lambda: all(received(phone).received for phone in (*british, MARIA)))
        taken = sorted(received(phone).received[0].taken_at for phone in british)
        began = await one.began(*british)
        assert (began[-1] - began[0]).total_seconds() >= 1, "three at two per second"
        assert received(MARIA).received[0].taken_at < taken[-1]


async def test_a_deleted_message_is_not_sent(dsn: str) -> None:
    async with house(dsn, delivery={"waits_s": [3600], "timeout_s": 2}) as one:
        ch = await one.conversation(MARIA)
        one.world.behave(MARIA, refuse="temporary", times=1)
        gone = await one.say(ch, "gone")
        await one.world.until(lambda: one.world.counts["refuse"] == 1)
        await one.delete(gone["url"])
        await one.say(ch, "stays")
        await one.again()
        await one.world.until(lambda: len(one.world.phone(MARIA).received) == 1)
        assert one.world.phone(MARIA).received[0].body == "stays"


async def test_a_look_up_does_not_take_an_earlier_message_for_this_one(dsn: str) -> None:
    """Twilio keeps no reference of ours: the same text a moment before looks the same."""
    async with standing_in() as (stand_in, base_url):
        carriers = {
            "lab": {
                "kind": "twilio",
                "account_sid": ACCOUNT_SID,
                "auth_token": AUTH_TOKEN,
                "base_url": base_url,
                "look_up_after_s": 0.05,
            }
        }
        async with house(dsn, delivery=QUICK, carriers=carriers) as one:
            world = stand_in.world
            world.inbound_url = f"{one.service.url}/carriers/lab/inbound"
            await world.phone(MARIA).text(SMS, "hi")
            ch = (await one.get("/v1/Conversations"))["conversations"][0]["sid"]
            await one.say(ch, "ok")
            await world.until(lambda: len(world.phone(MARIA).received) == 1)
            world.behave(cut="before", times=1)
            await one.say(ch, "ok")
            await one.say(ch, "done")
            await world.until(lambda: len(world.phone(MARIA).received) == 3)
            assert [got.body for got in world.phone(MARIA).received] == ["ok", "ok", "done"]


async def test_statuses_of_sends_that_we_do_not_know_yet_keep_the_furthest(
    dsn: str, sql: asyncpg.Connection
) -> None:
    async with house(dsn):
        for status in ("sent", "delivered", "sent"):
            async with sql.transaction():
                early = [Status("lab", "SM1", status)]  # type: ignore[arg-type]
                await deliveries.keep_early(sql, early, datetime.now(UTC))
        assert await sql.fetchval("SELECT status FROM early_statuses") == "delivered"


async def test_no_carrier_speaks_for_what_another_one_sent(dsn: str) -> None:
    carriers = lab() | {"other": {"kind": "sandbox"}}
    async with house(dsn, carriers=carriers) as one:
        ch = await one.conversation(MARIA)
        one.world.behave(statuses=False)
        message = await one.say(ch, "hello")
        await one.world.until(lambda: len(one.world.phone(MARIA).received) == 1)
        receipt = (await one.receipts(message))[0]
        url = f"{one.service.url}/carriers/other/status?receipt={receipt['sid']}"
        forged = {"type": "status", "id": "SM1", "status": "failed", "error_code": 1}
        async with one.http.post(url, json=forged) as response:
            assert response.status == 200
        assert (await one.receipts(message))[0]["status"] is None
