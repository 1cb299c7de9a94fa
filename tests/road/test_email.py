"""Whole roads with e-mail: SMS and e-mail in one conversation, threads, files, reports, loops."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from app.carriers.sandbox_wire import Media
from app.ops.trace import text, trace
from tests.support.house import House, house
from tests.support.mail_server import MailServer, standing_in
from tests.support.mails import ANN, BOUNDARY, DESK, PNG, form, mail, report
from tests.support.serving import serving
from tests.support.settings import SMS

PHONE = "+15551230001"
SECRET = "word-of-the-provider"
PDF = b"%PDF-1.7 " + b"x" * 5000
PICTURE = (("a.png", "image/png", PNG),)
SENDERS = [
    {"address": SMS, "carrier": "lab", "messaging_service": "default"},
    {"address": DESK, "carrier": "post", "messaging_service": "default"},
]


@dataclass
class Place:
    """A house with phones and mail, and the mail server of the world."""

    house: House
    server: MailServer

    async def bring(self, status: int = 200, **fields: Any) -> None:
        """The provider posts a form to our door."""
        url = f"{self.house.service.url}/carriers/post/inbound?secret={SECRET}"
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        async with self.house.http.post(url, data=form(**fields), headers=headers) as response:
            assert response.status == status, await response.text()

    async def write(self, body: str, to: str = DESK, **parts: Any) -> str:
        """Ann writes a mail; gives the conversation that took it last."""
        await self.bring(email=mail(body, to=to, **parts))
        listed = (await self.house.get("/v1/Conversations"))["conversations"]
        return str(listed[0]["sid"])

    async def messages(self, conversation: str) -> list[dict[str, Any]]:
        path = f"/v1/Conversations/{conversation}/Messages"
        listed: list[dict[str, Any]] = (await self.house.get(path))["messages"]
        return listed

    async def mails(self, count: int) -> None:
        await self.server.until(lambda: len(self.server.taken) >= count)

    async def statuses(self, *expected: str) -> None:
        """Wait until the customer was told of these."""
        customer = self.house.customer
        await customer.until(
            lambda: (
                tuple(hook.form["Status"] for hook in customer.events("onDeliveryUpdated"))
                == expected
            )
        )


@asynccontextmanager
async def _place(dsn: str, folder: Path, **options: Any) -> AsyncIterator[Place]:
    async with standing_in() as server:
        smtp = {"host": "127.0.0.1", "port": server.port, "security": "none"}
        post = {"kind": "email", "smtp": smtp, "form": {"secrets": SECRET}} | options
        sections: dict[str, Any] = {
            "carriers": {"lab": {"kind": "sandbox", "secret": "lab-secret"}, "post": post},
            "senders": SENDERS,
            "secrets": {"key_file": str(folder / "key")},
            "media": {"folder": str(folder / "media"), "fetch": False},
            "limits": {"profile": "relaxed"},
            "delivery": {"waits_s": [0.01], "jitter": 0},
        }
        async with house(dsn, **sections) as one:
            yield Place(one, server)


@pytest.fixture
async def place(dsn: str, tmp_path: Path) -> AsyncIterator[Place]:
    async with _place(dsn, tmp_path) as one:
        yield one


async def test_a_mail_makes_a_conversation_and_the_answer_stays_in_its_thread(
    place: Place,
) -> None:
    ch = await place.write("Where is it?\n", message_id="q1@example.net")
    (message,) = await place.messages(ch)
    assert (message["author"], message["body"]) == (ANN, "Where is it?")
    await place.house.say(ch, "On its way.")
    await place.mails(1)
    got = place.server.taken[0].mail
    assert (got["To"], got["Subject"]) == (ANN, "Re: A question")
    assert got["In-Reply-To"] == "<q1@example.net>"
    await place.statuses("sent")
    hook = place.house.customer.events("onMessageAdded")[0].form
    assert (hook["Source"], hook["Author"]) == ("EMAIL", ANN)


async def test_an_sms_and_a_mail_talk_in_one_conversation_with_files(place: Place) -> None:
    files = (("bill.pdf", "application/pdf", PDF), ("a.png", "image/png", PNG))
    ch = await place.write("See the bill", message_id="q1@example.net", files=files)
    path = f"/v1/Conversations/{ch}/Participants"
    await place.house.post(path, MessagingBinding_Address=PHONE, MessagingBinding_ProxyAddress=SMS)
    await place.bring(email=mail("And this", message_id="q2@example.net", files=files[1:]))
    phone = place.house.world.phone(PHONE)
    await place.house.world.until(lambda: bool(phone.received))
    (sms,) = phone.received
    assert sms.body == "And this"
    async with place.house.http.get(sms.media[0].url) as response:
        assert (response.status, await response.read()) == (200, PNG)
    texted = await phone.text(SMS, "Thanks!")
    assert texted.acknowledged
    await place.mails(1)
    got = place.server.taken[0].mail
    assert (got.get_content().strip(), got["In-Reply-To"]) == ("Thanks!", "<q2@example.net>")
    first, *_ = await place.messages(ch)
    assert [(one["filename"], one["size"]) for one in first["media"]] == [
        ("bill.pdf", len(PDF)),
        ("a.png", len(PNG)),
    ]


async def test_a_file_of_a_phone_reaches_the_mailbox(dsn: str, tmp_path: Path) -> None:
    async def picture(_: web.Request) -> web.Response:
        return web.Response(body=PNG, content_type="image/png")

    keeper = web.Application()
    keeper.router.add_get("/p.png", picture)
    async with serving(keeper) as url, _place(dsn, tmp_path) as place:
        ch = await place.write("Hello", message_id="q1@example.net")
        path = f"/v1/Conversations/{ch}/Participants"
        await place.house.post(
            path, MessagingBinding_Address=PHONE, MessagingBinding_ProxyAddress=SMS
        )
        media = [Media(url=f"{url}/p.png", content_type="image/png")]
        texted = await place.house.world.phone(PHONE).text(SMS, "look", media=media)
        assert texted.acknowledged
        await place.mails(1)
        assert [kept for _, _, kept in place.server.taken[0].files()] == [PNG]


async def test_an_uploaded_file_goes_as_an_attachment(place: Place) -> None:
    ch = await place.write("Hello", message_id="q1@example.net")
    service = (await place.house.get(f"/v1/Conversations/{ch}"))["chat_service_sid"]
    url = f"{place.house.service.url}/v1/Services/{service}/Media?Filename=bill.pdf"
    headers = {"Content-Type": "application/pdf"}
    async with place.house.http.post(url, data=PDF, headers=headers) as response:
        assert response.status == 201, await response.text()
        sid = (await response.json())["sid"]
    await place.house.say(ch, "The bill", MediaSid=sid)
    await place.mails(1)
    (got,) = place.server.taken[0].files()
    assert (got[1], got[2]) == ("application/pdf", PDF)


async def test_a_mail_that_comes_twice_is_one(place: Place) -> None:
    for _ in range(2):
        ch = await place.write(
            "Hi", message_id="q1@example.net", files=(("a.png", "image/png", PNG),)
        )
    assert len(await place.messages(ch)) == 1
    for _ in range(2):
        await place.write("No id", message_id=None)
    assert [one["body"] for one in await place.messages(ch)] == ["Hi", "No id"]


@pytest.mark.parametrize("way", ["plus", "references"])
async def test_an_answer_from_another_address_finds_the_conversation(
    place: Place, way: str
) -> None:
    ch = await place.write("Hi", message_id="q1@example.net")
    await place.house.say(ch, "Hello Ann")
    await place.mails(1)
    got = place.server.taken[0].mail
    parts: dict[str, Any] = {"sender": "ann.lee@example.org", "message_id": "q2@example.org"}
    if way == "plus":
        await place.write("Me again", to=got["Reply-To"], **parts)
    else:
        await place.write("Me again", In_Reply_To=got["Message-ID"], **parts)
    assert [one["author"] for one in await place.messages(ch)] == [ANN, "ann", ANN]
    await place.write("A stranger", sender="bob@example.org", message_id="q3@example.org")
    assert len((await place.house.get("/v1/Conversations"))["conversations"]) == 2


async def test_a_reply_that_was_refused_fails_its_receipt(place: Place) -> None:
    ch = await place.write("Hi", message_id="q1@example.net")
    place.server.replies = {"RCPT": ["451 4.2.1 later", "550 5.1.1 nobody here"]}
    message = await place.house.say(ch, "Hello")
    await place.statuses("failed")
    (receipt,) = await place.house.receipts(message)
    assert (receipt["status"], receipt["error_code"]) == ("failed", 30005)


async def test_a_report_moves_the_receipt(place: Place) -> None:
    ch = await place.write("Hi", message_id="q1@example.net")
    messages = [await place.house.say(ch, text) for text in ("one", "two")]
    await place.mails(2)
    for got, action in zip(place.server.taken, ("delivered", "failed"), strict=True):
        named = got.mail["Message-ID"].strip("<>")
        said = report(named, action, envelope_id=None, status="5.2.2")
        await place.bring(email=said)
    receipts = [(await place.house.receipts(one))[0] for one in messages]
    assert [one["status"] for one in receipts] == ["delivered", "undelivered"]
    assert receipts[1]["error_code"] == 30003
    assert len(await place.messages(ch)) == 3, "a report is no message"


async def test_who_is_added_to_a_mails_conversation_gets_mails_from_its_sender(
    place: Place,
) -> None:
    ch = await place.write("Where is it?", message_id="q1@example.net")
    path = f"/v1/Conversations/{ch}"
    carl = {"type": "email", "address": "carl@example.net", "proxy_address": DESK}
    made = await place.house.post(f"{path}/Participants", MessagingBinding_Address=carl["address"])
    assert made["messaging_binding"] == carl
    await place.house.post(path, 200, Bindings_Email_Address="nobody@example.com")
    await place.house.post(f"{path}/Participants", 400, MessagingBinding_Address="d@example.net")


async def test_an_agent_writes_first(place: Place) -> None:
    ch = (await place.house.post("/v1/Conversations", FriendlyName="Order 7"))["sid"]
    path = f"/v1/Conversations/{ch}"
    await place.house.post(f"{path}/Participants", 400, MessagingBinding_Address=ANN)
    await place.house.post(path, 200, Bindings_Email_Address=DESK, Bindings_Email_Name="Ann's Shop")
    made = await place.house.post(f"{path}/Participants", MessagingBinding_Address=ANN)
    assert made["messaging_binding"] == {"type": "email", "address": ANN, "proxy_address": DESK}
    await place.house.say(ch, "Your order is ready.")
    await place.mails(1)
    got = place.server.taken[0].mail
    assert (got["From"], got["Subject"]) == ("Ann's Shop <desk@example.com>", "Order 7")
    await place.write("Thanks", In_Reply_To=got["Message-ID"], message_id="q1@example.net")
    assert [one["body"] for one in await place.messages(ch)] == ["Your order is ready.", "Thanks"]
    await place.house.say(ch, "Bye", Subject="About that")
    await place.mails(2)
    got = place.server.taken[1].mail
    assert (got["Subject"], got["In-Reply-To"]) == ("About that", "<q1@example.net>")


async def test_an_address_configuration_of_type_email_creates(dsn: str, tmp_path: Path) -> None:
    async with _place(dsn, tmp_path) as place:
        made = await place.house.post(
            "/v1/Configuration/Addresses",
            Type="email",
            Address="desk@Example.com",
            AutoCreation_Enabled="true",
            AutoCreation_Type="default",
        )
        assert (made["type"], made["address"]) == ("email", DESK)
        await place.write("Hello", message_id="q1@example.net")
        async with place.house.service.runtime.db.begin() as tx:
            assert await tx.sql.fetchval("SELECT rule FROM decisions") == "address"


MACHINES: list[tuple[str, dict[str, str], str]] = [
    ("an absence", {"Auto_Submitted": "auto-replied"}, "Auto-Submitted"),
    ("a list", {"Precedence": "list"}, "Precedence is list"),
    ("ours", {"X_Parley_Loop": "example.com"}, "X-Parley-Loop"),
    ("a loop", {"X_Loop": "desk@example.com"}, "X-Loop"),
    ("null sender", {"Return_Path": "<>"}, "no sender"),
]


@pytest.mark.parametrize("case", MACHINES, ids=lambda case: case[0])
async def test_what_a_machine_wrote_is_not_posted_and_says_why(
    place: Place, case: tuple[str, dict[str, str], str]
) -> None:
    _, headers, why = case
    await place.bring(email=mail("I am away", message_id="m1@example.net", **headers))
    assert (await place.house.get("/v1/Conversations"))["conversations"] == []
    async with place.house.service.runtime.db.begin() as tx:
        row = await tx.sql.fetchrow("SELECT rule, outcome, reason FROM decisions")
        traced = await trace(tx.sql, f"<m1@example.net>/{DESK}")
    assert (row["rule"], row["outcome"]) == ("loop_guard", "dropped")
    assert why in row["reason"]
    assert traced is not None
    assert why in text(traced)


async def test_two_machines_that_answer_each_other_are_stopped(dsn: str, tmp_path: Path) -> None:
    async with _place(dsn, tmp_path, per_minute_max=2) as place:
        for number in range(4):
            ch = await place.write("Same to you", message_id=f"m{number}@example.net")
        assert len(await place.messages(ch)) == 2


async def test_strangers_do_not_bring_mails(place: Place) -> None:
    url = f"{place.house.service.url}/carriers/post/inbound?secret=wrong"
    async with place.house.http.post(url, data=BytesIO(b"x" * 2_000_000)) as response:
        assert response.status == 403
        assert "secret" in await response.text()


async def test_a_mail_over_the_limit_is_413(dsn: str, tmp_path: Path) -> None:
    async with _place(dsn, tmp_path, bytes_max=100_000) as place:
        await place.bring(413, email=mail("x", files=(("a", "a/b", b"x" * 100_000),)))


async def test_a_parsed_form_is_read_like_a_mail(place: Place) -> None:
    await place.bring(
        headers="Message-ID: <q1@example.net>\nReferences: <x@y>\n",
        **{"from": f"Ann <{ANN}>"},
        to=f"Desk <{DESK}>, bob@example.org",
        subject="Gr\xfc\xdfe".encode("latin-1"),
        charsets='{"subject": "iso-8859-1"}',
        envelope=f'{{"to": ["{DESK}"], "from": "{ANN}"}}',
        html="<p>Hello <b>you</b></p><script>x()</script><p>Bye</p>",
        attachments="1",
        attachment1=("a.png", "image/png", PNG),
    )
    listed = (await place.house.get("/v1/Conversations"))["conversations"]
    (message,) = await place.messages(listed[0]["sid"])
    assert (message["author"], message["body"]) == (ANN, "Hello you\n\nBye")
    assert [one["size"] for one in message["media"]] == [len(PNG)]


async def test_while_a_mail_server_is_away_mails_go_by_the_fallback(
    dsn: str, tmp_path: Path
) -> None:
    async with standing_in() as away:
        pass
    async with standing_in() as server:
        smtp = {"host": "127.0.0.1", "security": "none"}
        posts = {
            name: {"kind": "email", "smtp": smtp | {"port": port}, "form": {"secrets": SECRET}}
            for name, port in (("post", away.port), ("spare", server.port))
        }
        sender = SENDERS[1] | {"fallback_carrier": "spare"}
        sections: dict[str, Any] = {
            "carriers": {"lab": {"kind": "sandbox"}, **posts},
            "senders": [SENDERS[0], sender],
            "secrets": {"key_file": str(tmp_path / "key")},
            "delivery": {"waits_s": [3600], "jitter": 0, "pause_after": 1},
        }
        async with house(dsn, **sections) as one:
            place = Place(one, server)
            ch = await place.write("Where is it?\n", message_id="q1@example.net")
            await one.say(ch, "On its way.")
            await place.mails(1)
            await place.statuses("sent")
            assert server.taken[0].mail.get_content().strip() == "On its way."
            said = (await one.get("/readyz"))["paused_carriers"]
            assert said["post"].endswith("no mail server: SMTPConnectError")
