"""One conversation by SMS (Twilio), WhatsApp and Messenger (Meta): files, words and a template."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from app.carriers.sandbox_phone import Phone
from app.carriers.sandbox_records import Received
from app.carriers.sandbox_wire import Media
from tests.road.test_templates import REPLIES, content, made_of
from tests.support import meta_stand_in, twilio_stand_in
from tests.support.house import House, house
from tests.support.meta_stand_in import NUMBER, PAGE, File, MetaStandIn
from tests.support.serving import serving
from tests.support.settings import SMS
from tests.support.twilio_stand_in import ACCOUNT_SID, AUTH_TOKEN, TwilioStandIn

MARIA, ANN, EVE = "+15551230001", "whatsapp:+15551230002", "messenger:5678"
OURS = {MARIA: SMS, ANN: f"whatsapp:{NUMBER}", EVE: f"messenger:{PAGE}"}
QUICK = {"waits_s": [0.05] * 40, "jitter": 0, "timeout_s": 5}
PNG = b"\x89PNG\r\n\x1a\n" + b"p" * 3000


@dataclass
class Meeting:
    """The house, both providers, and where phones' files lie."""

    house: House
    twilio: TwilioStandIn
    meta: MetaStandIn
    files_url: str
    conversation: str = ""

    def phone(self, address: str) -> Phone:
        return (self.twilio if address == MARIA else self.meta).world.phone(address)

    async def write(self, address: str, body: str, picture: str = "", **more: Any) -> None:
        """Somebody writes to us; WhatsApp keeps the file itself, the others name a URL."""
        url = f"{self.files_url}/{picture}"
        media = [Media(url=url, content_type="image/png")] if picture else []
        self.meta.files[picture] = File(PNG, "image/png")
        texted = await self.phone(address).text(OURS[address], body, media=media, **more)
        assert texted.acknowledged, texted.tries

    async def received(self, address: str, count: int) -> Sequence[Received]:
        """What this phone got, when it is so many."""
        phone = self.phone(address)
        await phone.world.until(lambda: len(phone.received) >= count, within_s=20)
        return phone.received


@asynccontextmanager
async def meeting(dsn: str, folder: Path) -> AsyncIterator[Meeting]:
    """Three people in one conversation; each of them has written."""

    async def picture(_: web.Request) -> web.Response:
        return web.Response(body=PNG, content_type="image/png")

    app = web.Application()
    app.router.add_get("/{name}", picture)
    async with (
        serving(app) as files_url,
        twilio_stand_in.standing_in() as (twilio, twilio_url),
        meta_stand_in.standing_in() as (meta, meta_url),
    ):
        carriers = {
            "twilio": {
                "kind": "twilio",
                "account_sid": ACCOUNT_SID,
                "auth_token": AUTH_TOKEN,
                "base_url": twilio_url,
            },
            "meta": meta.options(meta_url),
        }
        senders = [
            {
                "address": ours,
                "carrier": "twilio" if theirs == MARIA else "meta",
                "messaging_service": "default",
            }
            for theirs, ours in OURS.items()
        ]
        sections = {
            "carriers": carriers,
            "senders": senders,
            "limits": {"profile": "relaxed"},
            "delivery": QUICK,
            "media": {**QUICK, "folder": str(folder), "free_bytes_min": 0},
            "secrets": {"key": "a key of thirty-two characters ..."},
        }
        async with house(dsn, **sections) as one:
            made = Meeting(one, twilio, meta, files_url)
            twilio.world.inbound_url = f"{one.service.url}/carriers/twilio/inbound"
            assert await meta.subscribe(f"{one.service.url}/carriers/meta/inbound")
            made.conversation = (await one.post("/v1/Conversations"))["sid"]
            for theirs, ours in OURS.items():
                await one.post(
                    f"/v1/Conversations/{made.conversation}/Participants",
                    MessagingBinding_Address=theirs,
                    MessagingBinding_ProxyAddress=ours,
                )
            for theirs in (EVE, ANN, MARIA):
                await made.write(theirs, f"hello from {theirs}")
            yield made


async def read(url: str) -> bytes:
    async with aiohttp.ClientSession() as anybody, anybody.get(url) as answer:
        assert answer.status == 200, url
        return await answer.read()


async def shown(received: Received) -> str:
    """What the phone shows: its text, and a picture that it could open."""
    assert [await read(part.url) for part in received.media] == [PNG] * len(received.media)
    return "[picture]" * len(received.media) + (received.body or "")


async def test_pictures_and_words_reach_every_channel_as_it_can_show_them(
    dsn: str, tmp_path: Path
) -> None:
    async with meeting(dsn, tmp_path) as made:
        heard = {MARIA: 2, ANN: 1, EVE: 2}  # nobody else was written to before they wrote
        for address, count in heard.items():
            await made.received(address, count)
        for author in OURS:
            await made.write(author, f"look, {author}", picture="77")
            for address in OURS:
                if address == author:
                    continue
                if address == EVE:  # Messenger: the file, then its text
                    wanted = ["[picture]", f"look, {author}"]
                else:
                    wanted = [f"[picture]look, {author}"]
                got = await made.received(address, heard[address] + len(wanted))
                assert [await shown(one) for one in got[heard[address] :]] == wanted
                heard[address] += len(wanted)
        listed = await made.house.get(f"/v1/Conversations/{made.conversation}/Messages")
        last = listed["messages"][-3:]
        assert [one["author"] for one in last] == list(OURS)
        assert [[part["size"] for part in one["media"]] for one in last] == [[len(PNG)]] * 3
        told = made.house.customer
        await told.until(  # five of the greetings, and two of each picture
            lambda: (
                sum(hook.form["Status"] == "delivered" for hook in told.events("onDeliveryUpdated"))
                == 11
            )
        )
        for message in last:
            receipts = await made.house.receipts(message)
            assert {one["status"] for one in receipts} <= {"delivered", "read"}


async def test_a_template_is_what_each_channel_makes_of_it_and_its_answer_comes_back(
    dsn: str, tmp_path: Path
) -> None:
    async with meeting(dsn, tmp_path) as made:
        message = await made_of(made.house, made.conversation, await content(made.house, REPLIES))
        plain = "Hi Ann, shall we send it? Write yes or no."
        await made.phone(MARIA).world.until(
            lambda: any(one.body == plain for one in made.phone(MARIA).received)
        )
        asked = "Hi Ann, shall we send it?"
        for address in (ANN, EVE):
            await made.meta.world.until(
                lambda address=address: any(
                    one.body == asked for one in made.phone(address).received
                )
            )
        interactive = [one for one in made.meta.requests if one.get("type") == "interactive"]
        assert [one["interactive"]["type"] for one in interactive] == ["button"]
        replies = [one for one in made.meta.requests if "quick_replies" in one.get("message", {})]
        titles = [each["title"] for each in replies[0]["message"]["quick_replies"]]
        assert titles == ["Yes", "No"]
        assert len(await made.house.receipts(message)) == 3
        tap = {"type": "button_reply", "button_reply": {"id": "yes", "title": "Yes"}}
        await made.write(ANN, "Yes", metadata={"type": "interactive", "interactive": tap})
        for address in (MARIA, EVE):
            phone = made.phone(address)
            await phone.world.until(lambda phone=phone: phone.received[-1].body == "Yes")
