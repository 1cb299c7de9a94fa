"""What takes several messages of a channel: one place in the lane, one receipt, nothing twice."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from app.ops.trace import trace
from tests.support.house import House, house
from tests.support.settings import SMS, WHATSAPP
from tests.support.twilio_stand_in import ACCOUNT_SID, AUTH_TOKEN, standing_in

PAGE = "messenger:10045"
MARIA, TOM, RITA = "+15551230001", "whatsapp:+15551230003", "messenger:20077"
QUICK = {"waits_s": [0.02] * 12, "timeout_s": 2}
SENDERS = [
    {"address": address, "carrier": "lab", "messaging_service": "default"}
    for address in (SMS, WHATSAPP, PAGE)
]
HEARD = """
SELECT count(*) FROM receipts, jsonb_array_elements(parts) AS part WHERE part ->> 'id' IS NOT NULL
"""
LONG = " ".join(f"{n:04d}" for n in range(700))  # 3,499 characters
PNG = b"\x89PNG\r\n\x1a\n" + b"p" * 300


def relaxed(**more: Any) -> dict[str, Any]:
    given = more.pop("lab", {})
    lab = {"look_up_after_s": 0.05} | (
        {} if "kind" in given else {"kind": "sandbox", "secret": "s"}
    )
    return {
        "limits": {"profile": "relaxed"},
        "senders": SENDERS,
        "delivery": QUICK,
        "carriers": {"lab": lab | given},
    } | more


async def picture(one: House, conversation: str) -> str:
    """A picture that waits for its message."""
    service = (await one.get(f"/v1/Conversations/{conversation}"))["chat_service_sid"]
    url = f"{one.service.url}/v1/Services/{service}/Media"
    async with one.http.post(url, data=PNG, headers={"Content-Type": "image/png"}) as response:
        assert response.status == 201
        sid: str = (await response.json())["sid"]
        return sid


def told(one: House) -> list[str]:
    return [hook.form["Status"] for hook in one.customer.events("onDeliveryUpdated")]


def got(one: House, phone: str) -> list[str]:
    return [
        each.body or "".join(f"[{f.content_type}]" for f in each.media)
        for each in one.world.phone(phone).received
    ]


async def test_a_file_goes_before_the_text_that_it_cannot_carry(dsn: str) -> None:
    async with house(dsn, **relaxed()) as one:
        ch = await one.conversation(RITA, PAGE)
        message = await one.say(ch, "look", MediaSid=await picture(one, ch))
        await one.say(ch, "then")
        await one.customer.until(lambda: told(one).count("delivered") == 2)
        assert got(one, RITA) == ["[image/png]", "look", "then"]
        [receipt] = await one.receipts(message)
        assert (receipt["status"], receipt["error_code"]) == ("delivered", None)
        assert sorted(told(one)) == ["delivered", "delivered", "sent", "sent"]
        first = one.world.phone(RITA).received[0].external_id
        assert receipt["channel_message_sid"] == f"SM{first[2:]}"


async def test_a_long_text_goes_in_pieces_and_the_log_counts_their_segments(dsn: str) -> None:
    async with house(dsn, **relaxed()) as one:
        ch = await one.conversation(MARIA)
        message = await one.say(ch, LONG)
        await one.say(ch, "then")
        await one.customer.until(lambda: told(one).count("delivered") == 2)
        texts = got(one, MARIA)
        assert " ".join(texts) == f"{LONG} then"
        assert len(texts) == 4
        part = one.world.phone(MARIA).received[1]
        assert part.reference.endswith(".1")
        async with one.service.runtime.db.begin() as tx:
            rows = await tx.sql.fetch(
                "SELECT number, outcome, detail, segments FROM attempts WHERE message_sid = $1"
                " AND kind = 'delivery' ORDER BY id",
                message["sid"],
            )
            found = await trace(tx.sql, message["sid"])
        assert [tuple(row) for row in rows] == [
            (1, "accepted", "part 1 of 3", 11),
            (1, "accepted", "part 2 of 3", 11),
            (1, "accepted", "part 3 of 3", 2),
        ]
        assert found is not None
        [fanned] = [entry.details for entry in found.entries if entry.what == "fan-out"]
        assert fanned["parts"] == 3
        async with one.service.runtime.db.begin() as tx:
            for name in (part.external_id, part.reference):
                again = await trace(tx.sql, name)
                assert again is not None
                assert again.entries == found.entries


@pytest.mark.parametrize("cut", ["before", "after"])
async def test_an_answer_lost_between_parts_repeats_nothing_and_reorders_nothing(
    dsn: str, cut: str
) -> None:
    async with house(dsn, **relaxed()) as one:
        ch = await one.conversation(MARIA)
        one.world.behave(cut=cut, times=2, statuses=False)
        message = await one.say(ch, LONG)
        await one.say(ch, "then")
        await one.world.until(lambda: len(one.world.phone(MARIA).received) == 4)
        assert " ".join(got(one, MARIA)) == f"{LONG} then"
        assert one.world.records.doubles() == []
        assert (await one.receipts(message))[0]["status"] is None


async def test_statuses_settle_parts_that_the_carrier_cannot_be_asked_about(
    dsn: str, sql: asyncpg.Connection
) -> None:
    """Every answer is lost; the status URL names the part."""
    waits = {"waits_s": [3600] * 9, "timeout_s": 2}
    blind = relaxed(lab={"look_up": False, "on_unknown": "fail"}, delivery=waits)
    async with house(dsn, **blind) as one:
        ch = await one.conversation(MARIA)
        one.world.behave(cut="after", times=3)
        message = await one.say(ch, LONG)
        for parts in range(1, 4):
            async with asyncio.timeout(10):
                while await sql.fetchval(HEARD) < parts:
                    await asyncio.sleep(0.01)
            await one.again()
        await one.customer.until(lambda: "delivered" in told(one))
        assert " ".join(got(one, MARIA)) == LONG
        assert (await one.receipts(message))[0]["status"] == "delivered"


async def test_trouble_with_one_part_is_tried_again_on_a_schedule_of_its_own(dsn: str) -> None:
    two_tries = {"waits_s": [0.02], "timeout_s": 2}
    async with house(dsn, **relaxed(delivery=two_tries)) as one:
        ch = await one.conversation(MARIA)
        one.world.behave(MARIA, refuse="temporary", refuse_share=1.0, times=1, code=30001)
        await one.say(ch, LONG)
        await one.world.until(lambda: len(one.world.phone(MARIA).received) == 1)
        one.world.behave(MARIA, times=1)
        await one.world.until(lambda: len(one.world.phone(MARIA).received) == 3)
        assert " ".join(got(one, MARIA)) == LONG


async def test_the_first_failure_is_that_of_the_whole_and_ends_it(dsn: str) -> None:
    async with house(dsn, **relaxed()) as one:
        ch = await one.conversation(MARIA)
        one.world.behave(MARIA, latency_s=0.3)
        message = await one.say(ch, LONG)
        await one.world.until(lambda: len(one.world.phone(MARIA).received) == 1)
        one.world.behave(MARIA, refuse="permanent", code=30007, times=1, latency_s=0)
        await one.say(ch, "then")
        await one.world.until(lambda: len(one.world.phone(MARIA).received) == 2)
        assert got(one, MARIA)[1] == "then"
        [receipt] = await one.receipts(message)
        assert (receipt["status"], receipt["error_code"]) == ("failed", 30007)
        await one.customer.until(lambda: told(one).count("delivered") == 1)
        assert "failed" in told(one)


async def test_a_part_that_comes_back_ends_the_rest(dsn: str) -> None:
    async with house(dsn, **relaxed()) as one:
        ch = await one.conversation(MARIA)
        one.world.behave(MARIA, bounce=30005, latency_s=0.3)
        message = await one.say(ch, LONG)
        await one.customer.until(lambda: "undelivered" in told(one))
        one.world.behave(MARIA, bounce=None, latency_s=0)
        await one.say(ch, "then")
        await one.world.until(lambda: "then" in got(one, MARIA))
        [receipt] = await one.receipts(message)
        assert (receipt["status"], receipt["error_code"]) == ("undelivered", 30005)
        assert got(one, MARIA)[-1] == "then"
        assert one.world.counts["taken"] < 4


async def test_a_group_text_in_pieces_is_one_send_each_and_a_receipt_for_everybody(
    dsn: str,
) -> None:
    async with house(dsn, **relaxed()) as one:
        other = "+15551230002"
        ch = (await one.post("/v1/Conversations"))["sid"]
        path = f"/v1/Conversations/{ch}/Participants"
        await one.post(path, MessagingBinding_Address=MARIA)
        await one.post(path, MessagingBinding_Address=other)
        await one.post(path, Identity="ann", MessagingBinding_ProjectedAddress=SMS)
        message = await one.say(ch, LONG)
        await one.customer.until(lambda: told(one).count("delivered") == 2)
        for phone in (MARIA, other):
            assert " ".join(got(one, phone)) == LONG
        receipts = await one.receipts(message)
        assert [each["status"] for each in receipts] == ["delivered"] * 2


async def test_the_twilio_profile_knows_no_parts(dsn: str) -> None:
    async with house(dsn, senders=SENDERS) as one:
        ch = await one.conversation(RITA, PAGE)
        await one.say(ch, "look", MediaSid=await picture(one, ch))
        long = await one.say(ch, LONG)
        await one.customer.until(lambda: "delivered" in told(one))
        assert got(one, RITA) == ["[image/png]"]
        assert (await one.receipts(long))[0]["error_code"] == 21617


@pytest.mark.parametrize("cut", ["before", "after"])
async def test_a_look_up_does_not_take_the_part_before_for_this_one(dsn: str, cut: str) -> None:
    """Twilio keeps no reference of ours, and both parts say the same."""
    async with standing_in() as (stand_in, base_url):
        twilio = {
            "kind": "twilio",
            "account_sid": ACCOUNT_SID,
            "auth_token": AUTH_TOKEN,
            "base_url": base_url,
        }
        senders = [{"address": SMS, "carrier": "lab", "messaging_service": "default"}]
        async with house(dsn, **relaxed(lab=twilio, senders=senders)) as one:
            world = stand_in.world
            world.inbound_url = f"{one.service.url}/carriers/lab/inbound"
            await world.phone(MARIA).text(SMS, "hi")
            ch = (await one.get("/v1/Conversations"))["conversations"][0]["sid"]
            world.behave(cut=cut, times=2, statuses=False)
            await one.say(ch, "x" * 3200)
            await one.say(ch, "then")
            await world.until(lambda: len(world.phone(MARIA).received) == 3)
            received = [len(each.body or "") for each in world.phone(MARIA).received]
            assert received == [1600, 1600, 4]
