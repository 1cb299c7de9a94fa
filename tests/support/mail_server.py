"""A mail server for our mails: a real one (aiosmtpd) that can be told to behave badly."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

USER, PASSWORD = "parley", "word-of-parley"


@dataclass(frozen=True)
class Got:
    """One mail that the server took, or would have."""

    sender: str
    recipients: tuple[str, ...]
    raw: bytes

    @property
    def mail(self) -> EmailMessage:
        """The mail as its reader sees it."""
        made = BytesParser(policy=default).parsebytes(self.raw)
        assert isinstance(made, EmailMessage)
        return made

    def files(self) -> list[tuple[str | None, str, bytes]]:
        """Names, types and contents."""
        return [
            (part.get_filename(), part.get_content_type(), part.get_payload(decode=True))
            for part in self.mail.iter_attachments()
        ]


@dataclass
class MailServer:
    """What it took, and how it behaves. `replies` answer the next MAIL, RCPT or DATA instead of
    250; with `cut` the connection breaks at that command ("DATA": after the whole mail came).
    `asked` are the reports (RFC 3461) that were asked for."""

    port: int = 0
    taken: list[Got] = field(default_factory=list)
    replies: dict[str, list[str]] = field(default_factory=dict)
    cut: list[str] = field(default_factory=list)
    silent: asyncio.Event | None = None
    connections: int = 0
    asked: list[str] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    def reply(self, command: str) -> str | None:
        """The next bad reply to this command."""
        waiting = self.replies.get(command)
        return waiting.pop(0) if waiting else None

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until this is so of what it took."""
        async with asyncio.timeout(20):
            while not true():
                self.came.clear()
                await self.came.wait()

    async def handle_EHLO(
        self, server: SMTP, session: Session, envelope: Envelope, hostname: str, said: list[str]
    ) -> list[str]:
        session.host_name = hostname
        return [*said[:-1], "250-DSN", said[-1]]

    async def handle_MAIL(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if (bad := self._bad(server, "MAIL")) is not None:
            return bad
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if (bad := self._bad(server, "RCPT")) is not None:
            return bad
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.silent is not None:
            await self.silent.wait()
        content = envelope.content
        got = Got(
            envelope.mail_from or "",
            tuple(envelope.rcpt_tos),
            content if isinstance(content, bytes) else b"",
        )
        refused = self.reply("DATA")
        if refused is None:
            self.taken.append(got)
        self.came.set()
        if "DATA" in self.cut:
            self.cut.remove("DATA")
            _hang_up(server)
        return refused or "250 OK"

    def _bad(self, server: SMTP, command: str) -> str | None:
        if command in self.cut:
            self.cut.remove(command)
            _hang_up(server)
            return "421 gone"
        return self.reply(command)


def _hang_up(server: SMTP) -> None:
    assert server.transport is not None
    server.transport.abort()


def _login(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (
        USER.encode(),
        PASSWORD.encode(),
    )
    return AuthResult(success=good, handled=False)


class _Counted(SMTP):
    """With reports (RFC 3461), which aiosmtpd leaves to its handlers."""

    server: MailServer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.server.connections += 1
        super().connection_made(transport)

    async def smtp_MAIL(self, arg: str | None) -> None:
        await super().smtp_MAIL(self._without(arg, "RET=", "ENVID="))

    async def smtp_RCPT(self, arg: str | None) -> None:
        await super().smtp_RCPT(self._without(arg, "NOTIFY="))

    def _without(self, arg: str | None, *begins: str) -> str:
        words = (arg or "").split(" ")
        self.server.asked += [word for word in words if word.startswith(begins)]
        return " ".join(word for word in words if not word.startswith(begins))


@asynccontextmanager
async def standing_in(
    *, login: bool = False, tls: ssl.SSLContext | None = None, bytes_max: int = 33_554_432
) -> AsyncIterator[MailServer]:
    """A mail server on loopback. With `tls` it offers STARTTLS and takes nothing without."""
    one, loop = MailServer(), asyncio.get_running_loop()
    made: list[SMTP] = []

    def protocol() -> SMTP:
        smtp = _Counted(
            one,
            hostname="mx.example.net",
            data_size_limit=bytes_max,
            tls_context=tls,
            require_starttls=tls is not None,
            authenticator=_login if login else None,
            auth_required=login,
            auth_require_tls=tls is not None,
            loop=loop,
        )
        smtp.server = one
        made.append(smtp)
        return smtp

    server = await loop.create_server(protocol, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()
        for smtp in made:
            if smtp.transport is not None:
                smtp.transport.abort()
        await server.wait_closed()


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "server.crt", folder / "server.key"
    paths[0].write_bytes(made.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths
