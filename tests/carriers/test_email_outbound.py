"""Mails to a server: what goes over the wire, and what each reply means."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import ValidationError

from app.carriers.contract import Context, OpenFile
from app.carriers.email import Email
from app.carriers.email_options import Options
from app.clock import Clock
from app.errors import CarrierError, Permanent, Temporary, Unknown
from app.model.traffic import Accepted, MediaPart, Outgoing, Thread
from tests.support.canned_json import NOON
from tests.support.mail_server import PASSWORD, USER, MailServer, certificate, standing_in

ANN, DESK = "ann@example.net", "desk@example.com"
RECEIPT = "DY" + "0f" * 16
NAMED = RECEIPT.lower() + "@example.com"
OUTGOING = Outgoing(RECEIPT, "email", ANN, DESK, "Hi\n.\n..and bye", (), None, NOON)
CONTENTS = {"a.png": b"\x89PNG" + bytes(range(256)) * 300, "b.txt": b".\r\n.\r\n", "empty": b""}


@pytest.fixture
async def context() -> AsyncIterator[Context]:
    @asynccontextmanager
    async def opened(part: MediaPart) -> AsyncIterator[OpenFile]:
        content = CONTENTS[part.url]

        async def chunks() -> AsyncIterator[bytes]:
            for at in range(0, len(content), 1000):
                yield content[at : at + 1000]

        yield OpenFile(len(content), chunks())

    async with aiohttp.ClientSession() as http:
        yield Context(http, Clock(), opened)


def carrier(server: MailServer, smtp: dict[str, Any] | None = None, **options: Any) -> Email:
    given = {"host": "127.0.0.1", "port": server.port, "security": "none", "timeout_s": 5}
    return Email("post", Options.model_validate({"smtp": given | (smtp or {}), **options}))


def file(name: str, kind: str = "image/png") -> MediaPart:
    return MediaPart(name, kind, len(CONTENTS[name]), name)


async def test_a_text_goes_as_a_mail(context: Context) -> None:
    async with standing_in() as server:
        accepted = await carrier(server, sender_name="Ann's Shop").send(OUTGOING, context)
    (got,) = server.taken
    assert accepted == Accepted(NAMED, "sent")
    plus = f"desk+{RECEIPT.lower()}@example.com"
    assert (got.sender, got.recipients) == (plus, (ANN,))
    assert got.mail["From"] == "Ann's Shop <desk@example.com>"
    assert (got.mail["To"], got.mail["Reply-To"]) == (ANN, plus)
    assert (got.mail["Message-ID"], got.mail["Subject"]) == (f"<{NAMED}>", "New message")
    assert got.mail.get_content().replace("\r\n", "\n") == "Hi\n.\n..and bye\n"
    assert server.asked == ["RET=HDRS", f"ENVID={RECEIPT}", "NOTIFY=SUCCESS,FAILURE,DELAY"]


async def test_each_attempt_writes_the_same_mail(context: Context) -> None:
    async with standing_in() as server:
        one = carrier(server)
        outgoing = replace(OUTGOING, media=(file("a.png"),))
        server.cut = ["DATA"]
        with pytest.raises(Unknown):
            await one.send(outgoing, context)
        await one.send(outgoing, context)
    assert server.taken[0].raw == server.taken[1].raw


async def test_files_arrive_as_they_are(context: Context) -> None:
    parts = (
        file("a.png"),
        file("b.txt", "text/plain; charset=utf-8"),
        file("empty", "a/b\r\nX: y"),
    )
    named = replace(parts[1], filename="Grüße\r\nX: 1.txt")
    async with standing_in() as server:
        await carrier(server).send(replace(OUTGOING, media=(parts[0], named, parts[2])), context)
    (got,) = server.taken
    assert got.files() == [
        ("a.png", "image/png", CONTENTS["a.png"]),
        ("Grüße X: 1.txt", "text/plain", CONTENTS["b.txt"]),
        ("empty", "application/octet-stream", b""),
    ]
    text = got.mail.get_body(("plain",))
    assert text is not None
    assert text.get_content().replace("\r\n", "\n") == "Hi\n.\n..and bye\n"
    assert all(len(line) <= 998 for line in got.raw.split(b"\r\n"))


async def test_a_file_goes_without_a_text(context: Context) -> None:
    async with standing_in() as server:
        await carrier(server).send(replace(OUTGOING, body=None, media=(file("a.png"),)), context)
    assert [content for _, _, content in server.taken[0].files()] == [CONTENTS["a.png"]]


THREADS: list[tuple[str, Thread, str, str]] = [
    ("nothing is known", Thread("MB1"), "New message", "<mb1.thread@example.com>"),
    ("a friendly name", Thread("MB1", topic="Order 7"), "Order 7", "<mb1.thread@example.com>"),
    (
        "a subject of its own",
        Thread("MB1", "Hello\r\nBcc: x", "Order 7", None, "a@b", "Question"),
        "Hello Bcc: x",
        "<mb1.thread@example.com> <a@b>",
    ),
    (
        "an answer",
        Thread("MB1", None, "Order 7", None, "a@b", "Question"),
        "Re: Question",
        "<mb1.thread@example.com> <a@b>",
    ),
    ("an answer to an answer", Thread("MB1", None, None, None, "a@b", "RE: Ö"), "RE: Ö", ""),
]


@pytest.mark.parametrize("case", THREADS, ids=lambda case: case[0])
async def test_a_mail_keeps_its_thread(
    case: tuple[str, Thread, str, str], context: Context
) -> None:
    _, thread, subject, references = case
    async with standing_in() as server:
        await carrier(server).send(replace(OUTGOING, thread=thread), context)
    mail = server.taken[0].mail
    assert mail["Subject"] == subject
    if references:
        assert mail["References"] == references
        assert mail["In-Reply-To"] == references.split()[-1]


async def test_without_plus_addresses_nobody_is_asked_to_answer_to_one(context: Context) -> None:
    async with standing_in() as server:
        await carrier(server, plus_address=False).send(OUTGOING, context)
    assert (server.taken[0].sender, server.taken[0].mail["Reply-To"]) == (DESK, None)


REPLIES: list[tuple[str, str, type[CarrierError], int]] = [
    ("RCPT", "550 5.1.1 <ann@example.net> unknown", Permanent, 30005),
    ("RCPT", "550 no", Permanent, 30005),
    ("RCPT", "552 5.2.2 full", Permanent, 30003),
    ("RCPT", "553 bad name", Permanent, 21211),
    ("RCPT", "554 5.7.1 relay denied", Permanent, 30007),
    ("RCPT", "450 4.2.0 greylisted", Temporary, 21611),
    ("RCPT", "421 4.3.2 closing", Temporary, 20503),
    ("RCPT", "530 5.7.0 log in first", Temporary, 20003),
    ("MAIL", "530 log in first", Temporary, 20003),
    ("MAIL", "550 5.7.8 not for this sender", Temporary, 20003),
    ("RCPT", "550 they said: 535 5.7.8 who are you", Temporary, 20003),
    ("MAIL", "550 not you", Permanent, 21606),
    ("MAIL", "451 later", Temporary, 21611),
    ("DATA", "554 5.7.1 spam", Permanent, 30007),
    ("DATA", "552 5.3.4 too big", Permanent, 30019),
    ("DATA", "451 4.3.0 later", Temporary, 21611),
    ("DATA", "421 4.3.2 closing", Temporary, 20503),
    ("DATA", "554 no", Permanent, 30007),
]


@pytest.mark.parametrize(("command", "reply", "kind", "code"), REPLIES)
async def test_replies_are_told_apart(
    command: str, reply: str, kind: type[CarrierError], code: int, context: Context
) -> None:
    async with standing_in() as server:
        server.replies = {command: [reply]}
        one = carrier(server)
        with pytest.raises(kind) as refused:
            await one.send(OUTGOING, context)
        assert refused.value.code == code
        assert refused.value.down is reply.startswith(("421", "530"))
        assert refused.value.barred is (refused.value.down or code == 20003)
        assert ANN not in refused.value.message
        assert server.taken == []
        await one.send(OUTGOING, context)


@pytest.mark.parametrize("command", ["MAIL", "RCPT"])
async def test_a_connection_that_breaks_before_the_mail_sent_nothing(
    command: str, context: Context
) -> None:
    async with standing_in() as server:
        server.cut = [command]
        with pytest.raises(Temporary) as lost:
            await carrier(server).send(OUTGOING, context)
        assert lost.value.down
        assert server.taken == []


async def test_nobody_listens(context: Context) -> None:
    async with standing_in() as server:
        pass
    with pytest.raises(Temporary, match="no mail server") as lost:
        await carrier(server).send(OUTGOING, context)
    assert lost.value.down


@pytest.mark.parametrize("greeting", ["421 4.3.2 later", "554 5.3.2 not today"])
async def test_a_server_that_greets_nobody_is_down(greeting: str, context: Context) -> None:
    async def turn_away(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(f"{greeting}\r\n".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(turn_away, "127.0.0.1", 0) as listening:
        away = MailServer(listening.sockets[0].getsockname()[1])
        with pytest.raises(Temporary) as refused:
            await carrier(away).send(OUTGOING, context)
        assert (refused.value.code, refused.value.down) == (20503, True)


async def test_a_reply_that_does_not_come_is_unknown(context: Context) -> None:
    async with standing_in() as server:
        server.silent = asyncio.Event()
        with pytest.raises(Unknown):
            await carrier(server, {"timeout_s": 0.3}).send(OUTGOING, context)
        server.silent.set()


async def test_a_file_that_breaks_off_sends_nothing(context: Context) -> None:
    @asynccontextmanager
    async def opened(part: MediaPart) -> AsyncIterator[OpenFile]:
        async def chunks() -> AsyncIterator[bytes]:
            yield b"x" * 1000
            raise Temporary("a file broke off")

        yield OpenFile(None, chunks())

    async with standing_in() as server:
        outgoing = replace(OUTGOING, media=(replace(file("a.png"), size=None),))
        with pytest.raises(Temporary, match="broke off") as broken:
            await carrier(server).send(outgoing, replace(context, open_file=opened))
        assert not broken.value.down
        assert server.taken == []


async def test_what_is_too_large_is_not_begun(context: Context) -> None:
    outgoing = replace(OUTGOING, media=(file("a.png"),))
    async with standing_in(bytes_max=50_000) as server:
        with pytest.raises(Permanent) as refused:
            await carrier(server).send(outgoing, context)
        assert refused.value.code == 30019
        with pytest.raises(Permanent) as refused:
            await carrier(server, bytes_max=65_536).send(outgoing, context)
        unknown = replace(OUTGOING, media=(replace(file("a.png"), size=None),))
        with pytest.raises(Permanent):
            await carrier(server, bytes_max=65_536).send(unknown, context)
        assert refused.value.code == 30019
        assert server.taken == []


ADDRESSES: list[tuple[str, str, int]] = [
    ("an\x01n@example.net", DESK, 21211),
    ("grüße@example.net", DESK, 21211),
    ("<ann>@example.net", DESK, 21211),
    (ANN, "grüße@example.com", 21606),
]


@pytest.mark.parametrize(("to", "ours", "code"), ADDRESSES)
async def test_an_address_that_smtp_does_not_take(
    to: str, ours: str, code: int, context: Context
) -> None:
    async with standing_in() as server:
        with pytest.raises(Permanent) as refused:
            await carrier(server).send(replace(OUTGOING, address=to, proxy_address=ours), context)
        assert (refused.value.code, server.connections) == (code, 0)


async def test_a_domain_with_other_letters_goes_in_ascii(context: Context) -> None:
    async with standing_in() as server:
        await carrier(server).send(replace(OUTGOING, address="ann@bücher.example"), context)
    assert server.taken[0].recipients == ("ann@xn--bcher-kva.example",)


async def test_starttls_and_a_login(context: Context, tmp_path: Path) -> None:
    crt, key = certificate(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(crt, key)
    good = {"security": "starttls", "ca_file": str(crt), "username": USER, "password": PASSWORD}
    async with standing_in(login=True, tls=tls) as server:
        await carrier(server, good).send(OUTGOING, context)
        assert len(server.taken) == 1
        with pytest.raises(Temporary) as refused:
            await carrier(server, good | {"password": "wrong"}).send(OUTGOING, context)
        assert (refused.value.code, refused.value.down) == (20003, True)
        with pytest.raises(Temporary):  # nobody vouches for its certificate
            await carrier(server, good | {"ca_file": None}).send(OUTGOING, context)
    async with standing_in() as server:
        with pytest.raises(Temporary):  # no STARTTLS here: nothing is said in the clear
            await carrier(server, good).send(OUTGOING, context)
        assert server.taken == []


def test_files_that_are_not_there_or_mean_nothing_are_refused_at_their_place(
    tmp_path: Path,
) -> None:
    nothing, empty = str(tmp_path / "nothing"), tmp_path / "empty"
    empty.write_text("")
    for file, in_ca, in_key in (
        (nothing, "cannot be read", "cannot be read"),
        (str(empty), "no certificates in PEM", "should be PEM, and belong together"),
    ):
        with pytest.raises(ValidationError, match=in_ca) as caught:
            Options.model_validate({"smtp": {"host": "mx", "ca_file": file}})
        assert caught.value.errors()[0]["loc"] == ("smtp", "ca_file")
        listen = {"certificate": file, "key": file}
        with pytest.raises(ValidationError, match=in_key):
            Options.model_validate({"smtp": {"host": "mx"}, "listen": listen})
    crt, key = certificate(tmp_path)
    good = {"certificate": str(crt), "key": str(key)}
    Options.model_validate({"smtp": {"host": "mx", "ca_file": str(crt)}, "listen": good})


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"smtp": {"host": "mx", "username": "u"}}, "given together"),
        (
            {"smtp": {"host": "mx", "username": "u", "password": "p", "security": "none"}},
            "in the clear",
        ),
        ({"smtp": {"host": "mx"}, "form": {}}, "secrets or signing_keys"),
        ({"smtp": {"host": "mx"}, "form": {"secrets": "s"}}, "easy to guess: use 8"),
        (
            {"smtp": {"host": "mx"}, "form": {"secrets": ["long-enough", "7 chars"]}},
            "easy to guess",
        ),
        ({"smtp": {"host": "mx"}, "listen": {"key": __file__}}, "given together"),
        ({"smtp": {"host": "http://mx:25/ x"}}, "a host name"),
        ({"smtp": {"host": "10.0.0.0/8"}}, "a host name"),
        ({"smtp": {"host": "mx"}, "sender_name": "Shop\r\nBcc: x@example.com"}, "one line"),
        ({"smtp": {"host": "mx"}, "subject": "a\nb"}, "one line"),
        ({"smtp": {"host": "mx"}, "listen": {"tls_required": True}}, "needs a certificate"),
    ],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(ValidationError, match=text):
        Options.model_validate(options)


async def test_no_more_connections_than_allowed(context: Context) -> None:
    async with standing_in() as server:
        server.silent = asyncio.Event()
        one = carrier(server, {"connections_max": 1, "timeout_s": 0.4})
        sends = await asyncio.gather(
            *(one.send(OUTGOING, context) for _ in range(3)), return_exceptions=True
        )
        server.silent.set()
    assert sorted(type(one).__name__ for one in sends) == ["Temporary", "Temporary", "Unknown"]
    assert server.connections == 1
