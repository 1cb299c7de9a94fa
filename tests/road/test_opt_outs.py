"""STOP, START and HELP on the road: who opted out is sent nothing, and is answered once."""

from __future__ import annotations

from typing import Any

import asyncpg

from app.model.traffic import Inbound
from app.road.items import Arrival, Draft, Posted
from app.road.walk import Walker
from tests.road.conftest import Open, Roadside
from tests.support.house import house
from tests.support.settings import ACCOUNT, SMS, WHATSAPP, settings

MARIA, BOB, TOM = "+15551230001", "+15551230002", "whatsapp:+15551230001"
SECOND = "+15005550007"
PATIENT = {"waits_s": [3600], "timeout_s": 2}


def numbers(**first: Any) -> list[dict[str, Any]]:
    """Two numbers in one messaging service, one on its own."""
    pool = {"carrier": "lab", "messaging_service": "default"}
    return [
        {"address": SMS, **pool, **first},
        {"address": SECOND, **pool},
        {"address": WHATSAPP, **pool},
    ]


async def receipts(sql: asyncpg.Connection) -> list[tuple[str, str, int | None]]:
    rows = await sql.fetch("SELECT address, status, error_code FROM receipts ORDER BY sid")
    return [(row["address"], row["status"], row["error_code"]) for row in rows]


async def test_a_stop_is_a_message_and_the_last_thing_that_is_answered(
    roadside: Roadside,
) -> None:
    taken = await roadside.arrive("SM1", MARIA)
    ch = taken.conversation_sid or ""
    await roadside.join(ch, channel="sms", address=BOB, proxy_address=SMS)
    stopped = await roadside.arrive("SM2", MARIA, body="Stop")
    assert (stopped.outcome, stopped.conversation_sid) == ("joined", ch)
    assert await roadside.indices(ch) == [0, 1]
    posted = await roadside.post(ch)
    assert posted.statuses == ("failed", "queued")  # only hers fails
    assert (await receipts(roadside.sql))[1:] == [(MARIA, "failed", 21610), (BOB, "queued", None)]
    await roadside.arrive("SM3", MARIA, body="start")
    assert (await roadside.post(ch)).statuses == ("queued", "queued")


async def test_opting_in_without_having_opted_out_leaves_nothing(roadside: Roadside) -> None:
    await roadside.arrive("SM1", MARIA, body="YES")
    assert await roadside.sql.fetchval("SELECT count(*) FROM opt_outs") == 0


async def test_who_opts_out_of_one_number_opts_out_of_its_messaging_service(
    open_road: Open,
) -> None:
    async with open_road(settings(senders=numbers())) as roadside:
        await roadside.arrive("SM1", MARIA, body="STOP")
        second = await roadside.arrive("SM2", MARIA, SECOND)
        whatsapp = await roadside.arrive("SM3", TOM, WHATSAPP)
        assert (await roadside.post(second.conversation_sid or "")).statuses == ("failed",)
        assert (await roadside.post(whatsapp.conversation_sid or "")).statuses == ("queued",)


async def test_a_number_of_its_own_is_opted_out_of_alone_and_for_good(open_road: Open) -> None:
    senders = numbers(messaging_service=None)
    addresses = [{"address": SMS}, {"address": SECOND}]
    async with open_road(settings(senders=senders, addresses=addresses)) as roadside:
        first = await roadside.arrive("SM1", MARIA, body="STOP")
        second = await roadside.arrive("SM2", MARIA, SECOND)
        assert (await roadside.post(first.conversation_sid or "")).statuses == ("failed",)
        assert (await roadside.post(second.conversation_sid or "")).statuses == ("queued",)
    async with open_road(settings(senders=numbers())) as roadside:  # now it is in the service
        assert (await roadside.post(first.conversation_sid or "")).statuses == ("failed",)
        assert (await roadside.post(second.conversation_sid or "")).statuses == ("queued",)
        await roadside.arrive("SM3", MARIA, body="START")
        assert (await roadside.post(first.conversation_sid or "")).statuses == ("queued",)


async def test_a_stop_that_nobody_takes_counts(open_road: Open) -> None:
    async with open_road(settings(messaging_services={"default": {}})) as roadside:
        assert (await roadside.arrive("SM1", MARIA, body="STOP")).outcome == "dropped"
        assert await roadside.sql.fetchval("SELECT opted_out FROM opt_outs")


async def test_in_one_convoy_the_last_word_counts(roadside: Roadside) -> None:
    taken = await roadside.arrive("SM1", MARIA)
    ch = taken.conversation_sid or ""
    service_sid = roadside.runtime.settings.service_sid("default")
    walker = Walker(roadside.runtime)

    async def together(*words: str) -> Posted:
        convoy = [
            Arrival(ACCOUNT, Inbound("lab", f"{words}{n}", "sms", MARIA, SMS, word))
            for n, word in enumerate(words)
        ]
        *_, posted = await walker([*convoy, Draft(ACCOUNT, service_sid, ch, "system", "hi")])
        assert isinstance(posted, Posted)
        return posted

    assert (await together("STOP")).statuses == ("failed",)
    assert (await together("START", "STOP")).statuses == ("failed",)
    assert (await together("STOP", "START")).statuses == ("queued",)
    await walker.close()
    assert (await roadside.post(ch)).statuses == ("queued",)


async def test_help_is_answered_once_to_its_author_alone_also_when_opted_out(
    open_road: Open,
) -> None:
    words = {"replies": "parley", "help_reply": "Call us.", "stop_reply": "Bye."}
    async with open_road(settings(senders=numbers(opt_outs=words))) as roadside:
        ch = (await roadside.arrive("SM1", MARIA)).conversation_sid or ""
        await roadside.join(ch, channel="sms", address=BOB, proxy_address=SMS)
        for n, word in enumerate(("stop", "HELP", "help")):
            await roadside.arrive(f"SM2{n}", MARIA, body=word)
        assert (await roadside.arrive("SM20", MARIA, body="stop")).outcome == "duplicate"
        rows = await roadside.sql.fetch("SELECT author, body, index FROM messages ORDER BY index")
        assert [(row["author"], row["body"]) for row in rows] == [
            (MARIA, "hi"),
            (MARIA, "stop"),
            (SMS, "Bye."),
            (MARIA, "HELP"),
            (SMS, "Call us."),
            (MARIA, "help"),
            (SMS, "Call us."),
        ]
        assert [row["index"] for row in rows] == list(range(7))
        to_maria = [one for one in await receipts(roadside.sql) if one[0] == MARIA]
        assert to_maria == [(MARIA, "queued", None)] * 3
        to_bob = [one for one in await receipts(roadside.sql) if one[0] == BOB]
        assert len(to_bob) == 3  # what Maria wrote, and none of our answers


async def test_who_opts_out_while_a_message_waits_does_not_get_it_but_the_answer(
    dsn: str,
) -> None:
    words = {"replies": "parley", "stop_reply": "Bye."}
    async with house(dsn, delivery=PATIENT, senders=numbers(opt_outs=words)) as one:
        ch = await one.conversation(MARIA)
        one.world.behave(MARIA, refuse="temporary", times=1)
        message = await one.say(ch, "never")
        await one.world.until(lambda: one.world.counts["refuse"] == 1)
        await one.world.phone(MARIA).text(SMS, "STOP")
        await one.again()
        await one.world.until(lambda: len(one.world.phone(MARIA).received) == 1)
        assert [got.body for got in one.world.phone(MARIA).received] == ["Bye."]
        [receipt] = await one.receipts(message)
        assert (receipt["status"], receipt["error_code"]) == ("failed", 21610)


async def test_an_attempt_knows_the_segments_of_its_text(dsn: str, sql: asyncpg.Connection) -> None:
    async with house(dsn) as one:
        ch = await one.conversation(MARIA)
        await one.say(ch, "x" * 161)
        await one.say(ch, "приве́т" * 12)
        whatsapp = await one.conversation(TOM, WHATSAPP)
        await one.say(whatsapp, "x" * 161)
        await one.customer.until(lambda: len(one.customer.events("onDeliveryUpdated")) == 7)
        rows = await sql.fetch(
            "SELECT segments, encoding FROM attempts WHERE kind = 'delivery' ORDER BY id"
        )
        assert sorted(map(tuple, rows), key=str) == [
            (2, "GSM-7"),
            (2, "UCS-2"),
            (None, None),
        ]
