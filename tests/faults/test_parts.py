"""The service is killed while texts go in several pieces: none is lost, doubled or out of place."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.faults.ground import Ground
from tests.faults.load import storm
from tests.faults.town import SMS, WHATSAPP, Town, rows, town
from tests.faults.verdict import judge

pytestmark = pytest.mark.faults

LONG = " and so on" * 400
"""On WhatsApp one message, by SMS three."""
LONGER = LONG * 2
"""On WhatsApp two."""
PEOPLE = [f"whatsapp:+1555300{n:04d}" for n in range(12)]
CONTENT = {"types": {"twilio/text": {"body": "We wrote to you."}}, "language": "en"}
EXPIRE = "UPDATE messaging_windows SET last_inbound_at = last_inbound_at - interval '25 hours'"


async def test_the_pieces_of_a_text_survive_kills_between_them(
    ground: Ground, tmp_path: Path, seed: int, kills: int
) -> None:
    relaxed = {"profile": "relaxed", "session": "carrier"}
    async with town(ground, tmp_path, seed, limits=relaxed) as one:
        one.world.behave(cut="after", cut_share=0.1, latency_s=0.02)
        async with storm(one, per_s=20, more=LONG) as load:
            for _ in range(max(2, kills // 2)):
                await one.service.ready(one.http)
                await asyncio.sleep(one.random.uniform(0.2, 1.2))
                one.service.kill()
                one.service.start()
        await judge(one, load)
        assert one.world.counts["cut_after"] > 0


async def test_nothing_follows_a_template_through_kills_and_answers(
    ground: Ground, tmp_path: Path, seed: int, kills: int
) -> None:
    """The service is killed while templates go; whoever gets one answers it at once."""
    sender = {"carrier": "lab", "messaging_service": "default"}
    senders = [sender | {"address": address} for address in SMS]
    senders += [sender | {"address": WHATSAPP, "fallback_template": {"content": "reopen"}}]
    contents = {"reopen": CONTENT | {"approval": {"status": "approved"}}}
    relaxed = {"profile": "relaxed"}
    async with town(
        ground, tmp_path, seed, limits=relaxed, senders=senders, contents=contents
    ) as one:
        for phone in PEOPLE:
            assert (await one.world.phone(phone).text(WHATSAPP, "hi")).acknowledged
        await rows(one.dsn, EXPIRE)
        one.world.behave(cut="after", cut_share=0.2, latency_s=0.3)
        posts = await rows(one.dsn, "SELECT sid FROM conversations")
        killed = one.random.sample(range(len(posts)), min(len(posts), max(2, kills // 2)))
        answers = asyncio.create_task(answer(one))
        for number, row in enumerate(posts):
            url = f"{one.service.url}/v1/Conversations/{row['sid']}/Messages"
            form = {"Author": "ann", "Body": LONGER}
            async with one.http.post(url, data=form) as response:
                assert response.status == 201
            if number in killed:
                await asyncio.sleep(one.random.uniform(0.2, 0.4))
                one.service.kill()
                one.service.start()
                await one.service.ready(one.http)
        await asyncio.wait_for(answers, 60)
        await one.quiet()
        for phone in PEOPLE:
            got = [received.body for received in one.world.phone(phone).received]
            assert got == ["We wrote to you."], one.story(phone)
        for receipt in await rows(one.dsn, "SELECT status, parts, dropped FROM receipts"):
            assert (receipt["status"], receipt["parts"]) == ("read", None), one.story("a receipt")
            assert receipt["dropped"].endswith("in their place)")


async def answer(one: Town) -> None:
    """Everybody answers what they get, once."""
    waiting = list(PEOPLE)
    while waiting:
        for phone in [phone for phone in waiting if one.world.phone(phone).received]:
            one.world.phone(phone).text_later(WHATSAPP, "yes")
            waiting.remove(phone)
        await asyncio.sleep(0.02)
