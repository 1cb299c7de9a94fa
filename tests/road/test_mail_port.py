"""Mail servers that bring mails to our port: SMTP and LMTP, what is refused and what is put off."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosmtplib
import asyncpg
import pytest

from tests.support.house import House, house
from tests.support.mail_server import certificate
from tests.support.mails import ANN, DESK, PNG, mail, report
from tests.support.settings import SMS

SENDERS = [
    {"address": SMS, "carrier": "lab", "messaging_service": "default"},
    {"address": DESK, "carrier": "post", "messaging_service": "default"},
    {"address": "sales@example.com", "carrier": "post", "messaging_service": "default"},
]


@asynccontextmanager
async def _place(
    dsn: str, folder: Path, listen: dict[str, Any] | None = None, **options: Any
) -> AsyncIterator[House]:
    smtp = {"host": "127.0.0.1", "port": 9, "security": "none"}
    post = {"kind": "email", "smtp": smtp, "listen": {"port": 0} | (listen or {})} | options
    sections: dict[str, Any] = {
        "carriers": {"lab": {"kind": "sandbox", "secret": "lab-secret"}, "post": post},
        "senders": SENDERS,
        "secrets": {"key_file": str(folder / "key")},
        "media": {"folder": str(folder / "media")},
    }
    async with house(dsn, **sections) as one:
        yield one


@pytest.fixture
async def place(dsn: str, tmp_path: Path) -> AsyncIterator[House]:
    async with _place(dsn, tmp_path) as one:
        yield one


@asynccontextmanager
async def calling(place: House, **options: Any) -> AsyncIterator[aiosmtplib.SMTP]:
    """A mail server that called our port."""
    given = {"start_tls": False, "timeout": 10, "local_hostname": "mx.example.net"} | options
    client = aiosmtplib.SMTP(hostname="127.0.0.1", port=place.service.mail_ports["post"], **given)
    await client.connect()
    try:
        yield client
    finally:
        client.close()


async def bring(place: House, raw: bytes, sender: str = ANN, to: tuple[str, ...] = (DESK,)) -> str:
    async with calling(place) as client:
        _, reply = await client.sendmail(sender, list(to), raw)
        return str(reply)


async def bodies(place: House) -> list[list[str | None]]:
    """The bodies of all messages, by conversation."""
    found = []
    for one in (await place.get("/v1/Conversations"))["conversations"]:
        listed = (await place.get(f"/v1/Conversations/{one['sid']}/Messages"))["messages"]
        found.append([message["body"] for message in listed])
    return found


async def test_a_mail_is_taken_after_its_commit(place: House, sql: asyncpg.Connection) -> None:
    files = (("a.png", "image/png", PNG),)
    reply = await bring(place, mail("Hello.\n.\nBye", message_id="q1@example.net", files=files))
    assert reply.startswith("2.6.0")
    assert await bodies(place) == [["Hello.\n.\nBye"]]
    assert await sql.fetchval("SELECT size FROM media WHERE status = 'stored'") == len(PNG)
    assert await sql.fetchval("SELECT count(*) FROM doomed_files") == 0
    await bring(place, mail("Hello.\n.\nBye", message_id="q1@example.net", files=files))
    assert await bodies(place) == [["Hello.\n.\nBye"]]
    assert await sql.fetchval("SELECT count(*) FROM media") == 1


@pytest.mark.parametrize(
    "address",
    ["bob@example.com", SMS, "desk", "desk@example.org", "desk+x@example.com", "\xe9@x.y"],
)
async def test_an_address_that_is_not_ours_is_550(place: House, address: str) -> None:
    async with calling(place) as client:
        await client.ehlo()
        await client.execute_command(b"MAIL", b"FROM:<ann@example.net>")
        reply = await client.execute_command(b"RCPT", b"TO:<" + address.encode() + b">")
    assert reply.code in (550, 553), reply


async def test_a_mail_to_two_addresses_of_ours_comes_to_both(place: House) -> None:
    await bring(place, mail("Hi both", message_id="q1@example.net"), to=(DESK, "sales@example.com"))
    assert await bodies(place) == [["Hi both"], ["Hi both"]]


async def test_junk_is_refused_for_good(place: House) -> None:
    for raw in (b"", b"no headers\r\n", b"From: nobody\r\n\r\nhi\r\n"):
        with pytest.raises(aiosmtplib.SMTPDataError) as refused:
            await bring(place, raw)
        assert refused.value.code == 554
    assert await bodies(place) == []


async def test_a_mail_over_the_limit_is_552(dsn: str, tmp_path: Path) -> None:
    async with _place(dsn, tmp_path, bytes_max=65_536) as place:
        raw = mail("x", files=(("a", "a/b", b"x" * 70_000),))
        with pytest.raises((aiosmtplib.SMTPDataError, aiosmtplib.SMTPSenderRefused)) as refused:
            await bring(place, raw)
        assert refused.value.code == 552


async def test_a_mail_is_put_off_while_the_database_is_away(
    place: House, sql: asyncpg.Connection
) -> None:
    name = await sql.fetchval("SELECT current_database()")
    await sql.execute("ALTER TABLE inbox RENAME TO inbox_away")
    try:
        with pytest.raises(aiosmtplib.SMTPDataError) as refused:
            await bring(place, mail("Hi", message_id="q1@example.net"))
        assert (refused.value.code, bool(name)) == (451, True)
    finally:
        await sql.execute("ALTER TABLE inbox_away RENAME TO inbox")
    await bring(place, mail("Hi", message_id="q1@example.net"))
    assert await bodies(place) == [["Hi"]]


async def test_a_report_is_no_message(place: House, sql: asyncpg.Connection) -> None:
    token = "dy" + "0" * 31 + "1"
    said = report(f"{token}@example.com", "failed", envelope_id=None, status="5.1.1")
    await bring(place, said, sender="", to=(f"desk+{token}@example.com",))
    assert await bodies(place) == []
    assert await sql.fetchval("SELECT count(*) FROM decisions") == 0


async def test_an_automatic_answer_is_not_posted(place: House, sql: asyncpg.Connection) -> None:
    await bring(place, mail("I am away", message_id="a@b"), sender="")
    assert await bodies(place) == []
    assert await sql.fetchval("SELECT rule FROM decisions") == "loop_guard"


async def test_no_more_connections_than_allowed(dsn: str, tmp_path: Path) -> None:
    async with _place(dsn, tmp_path, {"connections_max": 1}) as place:
        async with calling(place):
            with pytest.raises(aiosmtplib.SMTPException) as refused:
                async with calling(place):
                    pass
            assert "421" in str(refused.value)
        async with asyncio.timeout(10):
            while True:
                try:
                    await bring(place, mail("Hi", message_id="q1@example.net"))
                    break
                except aiosmtplib.SMTPException:
                    await asyncio.sleep(0.01)
        assert await bodies(place) == [["Hi"]]


async def test_lmtp_answers_for_each_recipient(dsn: str, tmp_path: Path) -> None:
    async with _place(dsn, tmp_path, {"protocol": "lmtp"}, bytes_max=65_536) as place:
        port = place.service.mail_ports["post"]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)

        async def say(text: bytes, replies: int = 1) -> list[str]:
            writer.write(text + b"\r\n")
            found: list[str] = []
            while len(found) < replies:
                line = (await asyncio.wait_for(reader.readline(), 10)).decode()
                found += [line[:3]] if line[3] == " " else []
            return found

        async def deliver(raw: bytes, *to: str) -> list[str]:
            said = await say(b"MAIL FROM:<ann@example.net>")
            for address in to:
                said += await say(f"RCPT TO:<{address}>".encode())
            await say(b"DATA")
            return said + await say(raw + b".", said.count("250") - 1)

        assert (await reader.readline()).startswith(b"220")
        await say(b"LHLO mx.example.net")
        raw = mail("Hi", message_id="q1@example.net")
        assert await deliver(raw, DESK, "bob@example.com", "sales@example.com") == [
            *("250", "250", "550", "250"),
            *("250", "250"),
        ]
        large = mail("x", files=(("a", "a/b", b"x" * 70_000),))
        assert (await deliver(large, DESK, "sales@example.com"))[-2:] == ["552", "552"]
        assert (await deliver(mail("Again", message_id="q2@example.net"), DESK))[-1] == "250"
        writer.close()
        assert sorted(await bodies(place)) == [["Hi"], ["Hi", "Again"]]


async def test_starttls_can_be_required(dsn: str, tmp_path: Path) -> None:
    crt, key = certificate(tmp_path)
    listen = {"certificate": str(crt), "key": str(key), "tls_required": True}
    async with _place(dsn, tmp_path, listen) as place:
        with pytest.raises(aiosmtplib.SMTPException) as refused:
            await bring(place, mail("Hi", message_id="q1@example.net"))
        assert "530" in str(refused.value)
        tls = ssl.create_default_context(cafile=str(crt))
        async with calling(place, start_tls=True, tls_context=tls) as client:
            await client.sendmail(ANN, [DESK], mail("Hi", message_id="q1@example.net"))
        assert await bodies(place) == [["Hi"]]
