"""Mail servers bring mails while the service is killed: each is one message, with its file once."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import aiosmtplib
import asyncpg
import pytest

from tests.faults.child import Child, _reserved
from tests.support.mail_server import MailServer, certificate, standing_in
from tests.support.mails import ANN, DESK, mail

pytestmark = pytest.mark.faults

ACCOUNT, TOKEN = "AC" + "a" * 32, "the-account-token"
WRITERS, MAILS, KILLS = 4, 12, 3
CONFIG = """
account: {{sid: {account}, auth_token: the-account-token}}
server: {{port: {port}, drain_s: 2}}
secrets: {{key: "a key of thirty-two characters ..."}}
media: {{folder: {folder}, free_bytes_min: 0}}
ops: {{port: {ops_port}}}
carriers:
  post:
    kind: email
    smtp: {{host: 127.0.0.1, port: {smtp_port}, security: none}}
    unknown_wait_s: 0.1
    listen: {{port: {mail_port}, certificate: {crt}, key: {key}, tls_required: true}}
    per_minute_max: 1000
senders:
  - {{address: {desk}, carrier: post, messaging_service: default}}
messaging_services: {{default: {{autocreate: true}}}}
delivery: {{waits_s: [0.1, 0.1, 0.1, 0.1], timeout_s: 0.5, lease_s: 1.5}}
"""


@dataclass
class Post:
    """A service with a mail port, and who calls it."""

    child: Child
    port: int
    tls: ssl.SSLContext
    world: MailServer
    lost: int = 0

    def raw(self, number: int) -> bytes:
        """The n-th mail; each has a file of its own."""
        files = (("a.bin", "application/octet-stream", f"file {number} ".encode() * 2000),)
        return mail(f"mail {number}", message_id=f"m{number}@example.net", files=files)

    async def calling(self) -> aiosmtplib.SMTP:
        client = aiosmtplib.SMTP(
            hostname="127.0.0.1",
            port=self.port,
            start_tls=True,
            tls_context=self.tls,
            local_hostname="mx.example.net",
            timeout=10,
        )
        await client.connect()
        return client

    async def bring(self, number: int) -> None:
        """Bring a mail until it is taken, as a mail server does."""
        async with asyncio.timeout(90):
            while True:
                try:
                    client = await self.calling()
                    try:
                        await client.sendmail(ANN, [DESK], self.raw(number))
                        return
                    finally:
                        client.close()
                except (aiosmtplib.SMTPException, OSError):
                    self.lost += 1
                    await asyncio.sleep(0.02)


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def post(dsn: str, tmp_path: Path, http: aiohttp.ClientSession) -> AsyncIterator[Post]:
    child, reserved = Child("mail", tmp_path, dsn), _reserved()
    crt, _ = certificate(tmp_path)
    port = reserved.getsockname()[1]
    async with standing_in() as world:
        _configure(child, world, port, tmp_path)
        child.start()
        await child.ready(http)
        try:
            yield Post(child, port, ssl.create_default_context(cafile=str(crt)), world)
        finally:
            child.close()
            reserved.close()


def _configure(child: Child, world: MailServer, port: int, folder: Path) -> None:
    child.config.write_text(
        CONFIG.format(
            account=ACCOUNT,
            port=child.port,
            ops_port=child.ops_port,
            folder=folder / "media",
            smtp_port=world.port,
            mail_port=port,
            crt=folder / "server.crt",
            key=folder / "server.key",
            desk=DESK,
        )
    )


async def bodies(sql: asyncpg.Connection) -> Counter[str]:
    return Counter(row["body"] for row in await sql.fetch("SELECT body FROM messages"))


async def whole(sql: asyncpg.Connection, count: int) -> None:
    """Every mail is one message, with its file, of which nobody else has the name."""
    assert await bodies(sql) == Counter({f"mail {number}": 1 for number in range(count)})
    stored = "SELECT count(DISTINCT file_key) FROM media WHERE status = 'stored'"
    assert await sql.fetchval(stored) == count
    assert await sql.fetchval("SELECT count(*) FROM media") == count
    assert await sql.fetchval("SELECT count(*) FROM files") == count
    doomed = "SELECT count(*) FROM doomed_files d JOIN media m ON m.file_key = d.key"
    assert await sql.fetchval(doomed) == 0


async def test_a_mail_whose_250_was_lost_is_not_doubled(
    post: Post, sql: asyncpg.Connection, http: aiohttp.ClientSession
) -> None:
    client = await post.calling()
    await client.mail(ANN)
    await client.rcpt(DESK)
    assert (await client.execute_command(b"DATA")).code == 354
    assert client.protocol is not None
    client.protocol.write(post.raw(0) + b".\r\n")  # and nobody reads the reply
    async with asyncio.timeout(20):
        while not await bodies(sql):
            await asyncio.sleep(0.005)
    post.child.kill()
    client.close()
    post.child.start()
    await post.child.ready(http)
    await post.bring(0)
    await whole(sql, 1)


async def test_a_mail_whose_reply_was_lost_goes_again_as_the_same_mail(
    post: Post, sql: asyncpg.Connection, http: aiohttp.ClientSession
) -> None:
    await post.bring(0)
    post.world.cut = ["DATA"]
    ch = await sql.fetchval("SELECT sid FROM conversations")
    url = f"{post.child.url}/v1/Conversations/{ch}/Messages"
    login = {"Authorization": f"Basic {b64encode(f'{ACCOUNT}:{TOKEN}'.encode()).decode()}"}
    async with http.post(url, data={"Author": "ann", "Body": "Hello"}, headers=login) as answer:
        assert answer.status == 201
    await post.world.until(lambda: bool(post.world.taken))
    post.child.kill()
    post.child.start()
    await post.child.ready(http)
    await post.world.until(lambda: len(post.world.taken) == 2)
    first, again = post.world.taken
    assert first.raw == again.raw
    async with asyncio.timeout(20):
        while await sql.fetchval("SELECT status FROM receipts") != "sent":
            await asyncio.sleep(0.02)
    external_id = await sql.fetchval("SELECT external_id FROM receipts")
    assert again.mail["Message-ID"] == f"<{external_id}>"


async def test_mails_survive_kills(
    post: Post, sql: asyncpg.Connection, http: aiohttp.ClientSession
) -> None:
    numbers = iter(range(WRITERS * MAILS))

    async def writer() -> None:
        for number in numbers:
            await post.bring(number)

    async with asyncio.TaskGroup() as group:
        for _ in range(WRITERS):
            group.create_task(writer())
        for kill in range(KILLS):
            while sum((await bodies(sql)).values()) < (kill + 1) * WRITERS * MAILS // 5:
                await asyncio.sleep(0.005)
            post.child.kill()
            post.child.start()
            await post.child.ready(http)
    assert post.lost >= KILLS, "the kills came too late to matter"
    await whole(sql, WRITERS * MAILS)
