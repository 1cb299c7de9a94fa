"""Whole roads with Instagram, which shares Messenger's documents: texts by bytes, files, reads."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.carriers.sandbox_wire import Media
from tests.road.test_parts import picture
from tests.support.house import House, house
from tests.support.meta_stand_in import INSTAGRAM, MetaStandIn, standing_in

OURS, EVE = f"instagram:{INSTAGRAM}", "instagram:6071"
QUICK = {"waits_s": [0.05] * 40, "timeout_s": 2}
SENDERS = [{"address": OURS, "carrier": "lab", "messaging_service": "default"}]


@asynccontextmanager
async def written(dsn: str, **limits: str) -> AsyncIterator[tuple[House, MetaStandIn, str]]:
    """A house that Instagram knows, and the conversation of who wrote to it."""
    async with standing_in() as (stand_in, url):
        carriers = {"lab": stand_in.options(url)}
        sections = {"carriers": carriers, "senders": SENDERS, "delivery": QUICK, "limits": limits}
        async with house(dsn, **sections) as one:
            assert await stand_in.subscribe(f"{one.service.url}/carriers/lab/inbound")
            photo = Media(url="https://phone.example/77", content_type="image/jpeg")
            assert (await stand_in.world.phone(EVE).text(OURS, "look", media=[photo])).acknowledged
            (found,) = (await one.get("/v1/Conversations"))["conversations"]
            yield one, stand_in, found["sid"]


async def told(one: House, *wanted: str) -> None:
    await one.customer.until(
        lambda: (
            [hook.form["Status"] for hook in one.customer.events("onDeliveryUpdated")] == [*wanted]
        )
    )


async def test_a_message_a_reply_and_that_it_was_read(dsn: str) -> None:
    async with written(dsn) as (one, stand_in, ch):
        message = await one.say(ch, "hello back")
        await told(one, "sent", "read")
        assert [got.body for got in stand_in.world.phone(EVE).received] == ["hello back"]
        [receipt] = await one.receipts(message)
        assert receipt["status"] == "read"
        [first, _] = (await one.get(f"/v1/Conversations/{ch}/Messages"))["messages"]
        assert (first["author"], first["body"]) == (EVE, "look")
        assert [part["content_type"] for part in first["media"]] == ["image/jpeg"]
        [person] = (await one.get(f"/v1/Conversations/{ch}/Participants"))["participants"]
        assert person["messaging_binding"]["type"] == "instagram"
        assert person["messaging_binding"]["address"] == EVE


async def test_a_long_text_goes_in_pieces_that_fit_its_bytes_and_a_file_before_them(
    dsn: str,
) -> None:
    text = "Żółta łódź " * 110
    async with written(dsn, profile="relaxed") as (one, stand_in, ch):
        await one.say(ch, text, MediaSid=await picture(one, ch))
        await told(one, "sent", "read")
        file, *pieces = stand_in.world.phone(EVE).received
        assert (file.body, len(file.media)) == (None, 1)
        assert " ".join(one.body or "" for one in pieces).split() == text.split()
        assert len(pieces) == 3
        assert all(len((one.body or "").encode()) <= 1000 for one in pieces)


async def test_in_the_twilio_profile_what_is_too_long_in_bytes_fails(dsn: str) -> None:
    async with written(dsn) as (one, stand_in, ch):
        message = await one.say(ch, "ó" * 501)
        await told(one, "failed")
        assert (await one.receipts(message))[0]["error_code"] == 21617
        assert stand_in.requests == []
