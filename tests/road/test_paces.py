"""The texts and the files of a number leave at paces of their own, and in the order of each."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg

from tests.road.test_parts import picture
from tests.support.house import House, house
from tests.support.settings import SMS

PHONES = [f"+1555123{n:04d}" for n in range(3)]
LONDON = "+442079460001"


def sending(**rates: str) -> dict[str, Any]:
    """A number with these rates."""
    named = {key.replace("_", " "): rate for key, rate in rates.items()}
    sender = {"address": SMS, "carrier": "lab", "messaging_service": "default", "rates": named}
    return {"senders": [sender]}


async def look(one: House, conversation: str) -> Any:
    """An agent shows a picture."""
    return await one.say(conversation, "look", MediaSid=await picture(one, conversation))


def when(one: House, phone: str) -> list[float]:
    """When the carrier took what a phone got."""
    return [got.taken_at.timestamp() for got in one.world.phone(phone).received]


def channels(one: House, phone: str) -> list[str]:
    return [got.channel for got in one.world.phone(phone).received]


async def test_files_keep_the_pace_of_mms_and_texts_do_not_wait_for_them(dsn: str) -> None:
    async with house(dsn, **sending(mms="2/s")) as one:
        chats = [await one.conversation(phone) for phone in (*PHONES, LONDON)]
        await asyncio.gather(*(look(one, ch) for ch in chats[:3]))
        await one.say(chats[3], "words")
        await one.world.until(lambda: all(when(one, phone) for phone in (*PHONES, LONDON)))
        taken = sorted(when(one, phone)[0] for phone in PHONES)
        began = await one.began(*PHONES)
        assert (began[-1] - began[0]).total_seconds() >= 1, "three at two per second"
        assert when(one, LONDON)[0] < taken[-1]


async def test_words_behind_a_file_keep_their_place_and_their_own_pace(dsn: str) -> None:
    async with house(dsn, **sending(mms="1/s", sms="100/s")) as one:
        chats = [await one.conversation(phone) for phone in PHONES[:2]]
        for ch in chats:
            await look(one, ch)
            await one.say(ch, "first")
            await one.say(ch, "second")
        await one.world.until(lambda: all(len(when(one, phone)) == 3 for phone in PHONES[:2]))
        for phone in PHONES[:2]:
            assert channels(one, phone) == ["mms", "sms", "sms"]
            bodies = [got.body for got in one.world.phone(phone).received]
            assert bodies[1:] == ["first", "second"]
        late, early = sorted((when(one, phone) for phone in PHONES[:2]), reverse=True)
        first, second = await one.began(*PHONES[:2])
        assert (second - first).total_seconds() >= 1, "a second between the files"
        assert early[2] < late[0], "the words of one do not wait for the file of the other"


async def test_channel_and_country_together_go_before_each_alone(
    dsn: str, sql: asyncpg.Connection
) -> None:
    rates = sending(mms="1000/s", GB="1000/s", mms_GB="500/s")
    async with house(dsn, **rates) as one:
        for phone in (PHONES[0], LONDON):
            ch = await one.conversation(phone)
            await look(one, ch)
            await one.say(ch, "words")
        people = (PHONES[0], LONDON)
        await one.world.until(lambda: all(len(when(one, phone)) == 2 for phone in people))
        kept = await sql.fetch("SELECT country FROM sender_paces ORDER BY country")
        assert [row[0] for row in kept] == ["GB", "mms", "mms GB"]  # not: sms to the US


async def test_the_parts_of_a_message_keep_the_paces_of_their_own_channels(
    dsn: str, sql: asyncpg.Connection
) -> None:
    sections = sending(mms="1000/s", sms="500/s") | {"limits": {"profile": "relaxed"}}
    async with house(dsn, **sections) as one:
        ch = await one.conversation(PHONES[0])
        await look(one, ch)
        long = " ".join(f"{n:04d}" for n in range(700))
        await one.say(ch, long, MediaSid=await picture(one, ch))
        await one.world.until(lambda: "sms" in channels(one, PHONES[0]))
        parts = await sql.fetchval("SELECT parts::text FROM receipts WHERE parts IS NOT NULL")
        assert '"mms"' in parts and '"sms"' in parts
        kept = await sql.fetch("SELECT country FROM sender_paces ORDER BY country")
        assert [row[0] for row in kept] == ["mms", "sms"]
