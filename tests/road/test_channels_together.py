"""One conversation by SMS (Twilio), WhatsApp, Messenger (Meta) and e-mail: files, words and
templates."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
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
from tests.support import mail_server, meta_stand_in, twilio_stand_in
from tests.support.house import House, house
from tests.support.mail_server import Got, MailServer
from tests.support.mails import BOUNDARY, DESK, form, mail
from tests.support.meta_stand_in import NUMBER, PAGE, File, MetaStandIn
from tests.support.serving import serving
from tests.support.settings import SMS
from tests.support.twilio_stand_in import ACCOUNT_SID, AUTH_TOKEN, TwilioStandIn

MARIA, ANN, EVE = "+15551230001", "whatsapp:+15551230002", "messenger:5678"
BEN, SECRET = "ben@example.net", "word-of-the-provider"
OURS = {MARIA: SMS, ANN: f"whatsapp:{NUMBER}", EVE: f"messenger:{PAGE}", BEN: DESK}
CARRIERS = {MARIA: "twilio", ANN: "meta", EVE: "meta", BEN: "post"}
QUICK = {"waits_s": [0.05] * 40, "jitter": 0, "timeout_s": 5}
PNG = b"\x89PNG\r\n\x1a\n" + b"p" * 3000


@dataclass
class Meeting:
    """The house, both providers, the mail server, and where phones' files lie."""

    house: House
    twilio: TwilioStandIn
    meta: MetaStandIn
    mails: MailServer
    files_url: str
    conversation: str = ""

    def phone(self, address: str) -> Phone:
        return (self.twilio if address == MARIA else self.meta).world.phone(address)

    async def write(self, address: str, body: str, picture: str = "", **more: Any) -> None:
        """Somebody writes to us; WhatsApp keeps the file itself, a mail brings it along, the others
        name a URL."""
        if address == BEN:
            await self._mail(body, picture)
            return
        url = f"{self.files_url}/{picture}"
        media = [Media(url=url, content_type="image/png")] if picture else []
        self.meta.files[picture] = File(PNG, "image/png")
        texted = await self.phone(address).text(OURS[address], body, media=media, **more)
        assert texted.acknowledged, texted.tries

    async def _mail(self, body: str, picture: str) -> None:
        files = ((picture, "image/png", PNG),) if picture else ()
        url = f"{self.house.service.url}/carriers/post/inbound?secret={SECRET}"
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        named = f"{picture or 'first'}@example.net"
        data = form(email=mail(body, sender=BEN, message_id=named, files=files))
        async with self.house.http.post(url, data=data, headers=headers) as response:
            assert response.status == 200, await response.text()

    async def shown(self, address: str, count: int) -> list[str]:
        """What they got, when it is so many: texts, and pictures that could be opened."""
        if address == BEN:
            await self.mails.until(lambda: len(self.mails.taken) >= count)
            return [_read(one) for one in self.mails.taken]
        phone = self.phone(address)
        await phone.world.until(lambda: len(phone.received) >= count, within_s=20)
        return [await _shown(one) for one in phone.received]


@asynccontextmanager
async def meeting(dsn: str, folder: Path) -> AsyncIterator[Meeting]:
    """Four people in one conversation; each of them has written."""

    async def picture(_: web.Request) -> web.Response:
        return web.Response(body=PNG, content_type="image/png")

    app = web.Application()
    app.router.add_get("/{name}", picture)
    async with (
        serving(app) as files_url,
        twilio_stand_in.standing_in() as (twilio, twilio_url),
        meta_stand_in.standing_in() as (meta, meta_url),
        mail_server.standing_in() as mails,
    ):
        carriers = {
            "twilio": {
                "kind": "twilio",
                "account_sid": ACCOUNT_SID,
                "auth_token": AUTH_TOKEN,
                "base_url": twilio_url,
            },
            "meta": meta.options(meta_url),
            "post": {
                "kind": "email",
                "smtp": {"host": "127.0.0.1", "port": mails.port, "security": "none"},
                "form": {"secrets": SECRET},
            },
        }
        senders = [
            {
                "address": ours,
                "carrier": CARRIERS[theirs],
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
            made = Meeting(one, twilio, meta, mails, files_url)
            twilio.world.inbound_url = f"{one.service.url}/carriers/twilio/inbound"
            assert await meta.subscribe(f"{one.service.url}/carriers/meta/inbound")
            mailbox = {"Bindings_Email_Address": DESK}
            made.conversation = (await one.post("/v1/Conversations", **mailbox))["sid"]
            for theirs, ours in OURS.items():
                binding = {} if theirs == BEN else {"MessagingBinding_ProxyAddress": ours}
                await one.post(
                    f"/v1/Conversations/{made.conversation}/Participants",
                    MessagingBinding_Address=theirs,
                    **binding,
                )
            for theirs in (EVE, ANN, MARIA, BEN):
                await made.write(theirs, f"hello from {theirs}")
            yield made


async def read(url: str) -> bytes:
    async with aiohttp.ClientSession() as anybody, anybody.get(url) as answer:
        assert answer.status == 200, url
        return await answer.read()


async def _shown(received: Received) -> str:
    assert [await read(part.url) for part in received.media] == [PNG] * len(received.media)
    return "[picture]" * len(received.media) + (received.body or "")


def _read(got: Got) -> str:
    assert got.recipients == (BEN,)
    files = [content for _, _, content in got.files()]
    assert files == [PNG] * len(files)
    text = got.mail.get_body(("plain",))
    return "[picture]" * len(files) + (text.get_content().strip() if text else "")


async def _gone(one: House, message: dict[str, Any]) -> list[dict[str, Any]]:
    """The receipts of a message, once all carriers have it."""
    async with asyncio.timeout(20):
        while True:
            receipts = await one.receipts(message)
            if {each["status"] for each in receipts} <= {"delivered", "read", "sent"}:
                return receipts
            await asyncio.sleep(0.02)


async def test_pictures_and_words_reach_every_channel_as_it_can_show_them(
    dsn: str, tmp_path: Path
) -> None:
    async with meeting(dsn, tmp_path) as made:
        heard = {MARIA: 3, ANN: 2, EVE: 3, BEN: 3}  # WhatsApp: nothing before they wrote
        for address, count in heard.items():
            await made.shown(address, count)
        for author in OURS:
            await made.write(author, f"look, {author}", picture="77")
            for address in OURS:
                if address == author:
                    continue
                if address == EVE:  # Messenger: the file, then its text
                    wanted = ["[picture]", f"look, {author}"]
                else:
                    wanted = [f"[picture]look, {author}"]
                got = await made.shown(address, heard[address] + len(wanted))
                assert got[heard[address] :] == wanted
                heard[address] += len(wanted)
        listed = await made.house.get(f"/v1/Conversations/{made.conversation}/Messages")
        last = listed["messages"][-4:]
        assert [one["author"] for one in last] == list(OURS)
        assert [[part["size"] for part in one["media"]] for one in last] == [[len(PNG)]] * 4
        told = made.house.customer
        await told.until(  # on phones: eight greetings, nine pictures
            lambda: (
                sum(hook.form["Status"] == "delivered" for hook in told.events("onDeliveryUpdated"))
                == 17
            )
        )
        for message in last:
            receipts = await _gone(made.house, message)
            assert len(receipts) == 3
            mailed = [one for one in receipts if one["status"] == "sent"]
            assert len(mailed) == (message["author"] != BEN)  # nobody tells that a mail arrived


async def test_a_template_is_what_each_channel_makes_of_it_and_its_answer_comes_back(
    dsn: str, tmp_path: Path
) -> None:
    async with meeting(dsn, tmp_path) as made:
        message = await made_of(made.house, made.conversation, await content(made.house, REPLIES))
        plain = "Hi Ann, shall we send it? Write yes or no."
        await made.phone(MARIA).world.until(
            lambda: any(one.body == plain for one in made.phone(MARIA).received)
        )
        assert (await made.shown(BEN, 4))[3] == plain
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
        assert len(await made.house.receipts(message)) == 4
        tap = {"type": "button_reply", "button_reply": {"id": "yes", "title": "Yes"}}
        await made.write(ANN, "Yes", metadata={"type": "interactive", "interactive": tap})
        for address in (MARIA, EVE):
            phone = made.phone(address)
            await phone.world.until(lambda phone=phone: phone.received[-1].body == "Yes")
        assert (await made.shown(BEN, 5))[4] == "Yes"


async def test_a_template_with_a_picture_shows_it_to_everybody(dsn: str, tmp_path: Path) -> None:
    async with meeting(dsn, tmp_path) as made:
        heard = {MARIA: 3, ANN: 2, EVE: 3, BEN: 3}
        for address, count in heard.items():
            await made.shown(address, count)
        card = {"title": "Look, {{1}}.", "media": [f"{made.files_url}/card.png"]}
        sid = await content(made.house, {"twilio/card": card})
        await made_of(made.house, made.conversation, sid)
        for address, count in heard.items():
            got = (await made.shown(address, count + 1))[count:]
            assert (address, got) == (address, ["[picture]Look, Ann."])
