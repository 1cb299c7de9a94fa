"""One mail handed to a mail server (RFC 5321), and what is known when that does not work.

Until the last line of the mail is written nothing happened, whatever breaks: the server has to
forget what it got (RFC 5321 4.5.3.2.6, RFC 1047). From then on only its reply can tell.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import aiosmtplib

from app.carriers import codes
from app.carriers.contract import Context, Opener
from app.carriers.email_compose import Letter, encoded
from app.carriers.email_replies import refusal
from app.errors import Permanent, Temporary, Unknown

CONNECT_S = 10.0
QUIT_S = 2.0
GO_AHEAD, TAKEN = 354, 250
BUSY_S = 1.0

_DOT = re.compile(rb"(?m)^\.")
_XTEXT = re.compile(r"[+=\x00-\x20\x7f-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Line:
    """How the server is reached; `timeout_s` is for each command. `security`: starttls, tls or
    none."""

    host: str
    port: int
    security: str
    username: str | None
    password: str | None = field(repr=False)
    tls: ssl.SSLContext | None
    timeout_s: float
    reports: bool
    bytes_max: int


@dataclass(frozen=True, slots=True)
class Envelope:
    """From whom to whom, and the id that reports on it name."""

    sender: str
    recipient: str
    id: str


async def hand_over(line: Line, envelope: Envelope, letter: Letter, context: Context) -> None:
    """Give the mail to the server. Raises Temporary, Permanent or Unknown."""
    if letter.size() > line.bytes_max:
        raise _too_large(line.bytes_max)
    try:
        async with _connected(line, envelope) as session:
            await _address(line, session.client, envelope, letter)
            await _content(line, session, letter, context.open_file)
    except aiosmtplib.SMTPSenderRefused as error:
        raise refusal(error.code, error.message, sender=True) from None
    except (aiosmtplib.SMTPRecipientRefused, aiosmtplib.SMTPDataError) as error:
        raise refusal(error.code, error.message) from None
    except aiosmtplib.SMTPAuthenticationError as error:
        text = f"the server does not let us in ({error.code})"
        raise Temporary(text, codes.UNAUTHORISED, down=True) from None
    except aiosmtplib.SMTPResponseException as error:  # it greets nobody: that is not about a mail
        text = f"the server said {error.code}"
        raise Temporary(text, codes.UNAVAILABLE, down=True) from None
    except (aiosmtplib.SMTPException, OSError, ValueError) as error:
        text = f"no mail server: {type(error).__name__}"
        down = isinstance(error, aiosmtplib.SMTPException | ConnectionError)
        raise Temporary(text, codes.UNAVAILABLE, down=down) from None


@dataclass(frozen=True, slots=True)
class _Session:
    """A connection that is logged in. What goes through the writer waits while the server does not
    read, so of a large mail little is in memory."""

    client: aiosmtplib.SMTP
    protocol: Any
    writer: asyncio.StreamWriter


@asynccontextmanager
async def _connected(line: Line, envelope: Envelope) -> AsyncIterator[_Session]:
    client = aiosmtplib.SMTP(
        hostname=line.host,
        port=line.port,
        username=line.username,
        password=line.password,
        local_hostname=envelope.sender.rpartition("@")[2],
        timeout=line.timeout_s,
        use_tls=line.security == "tls",
        start_tls=line.security == "starttls",
        tls_context=line.tls,
    )
    try:
        await client.connect(timeout=CONNECT_S)
        if client.is_ehlo_or_helo_needed:
            await _greet(client)
        protocol: Any = client.protocol
        loop = asyncio.get_running_loop()
        yield _Session(
            client, protocol, asyncio.StreamWriter(protocol.transport, protocol, None, loop)
        )
        with suppress(aiosmtplib.SMTPException, OSError):
            await client.quit(timeout=QUIT_S)
    finally:
        client.close()


async def _greet(client: aiosmtplib.SMTP) -> None:
    try:
        await client.ehlo()
    except aiosmtplib.SMTPHeloError:
        await client.helo()


async def _address(line: Line, client: aiosmtplib.SMTP, envelope: Envelope, letter: Letter) -> None:
    """MAIL and RCPT, with what the server offers: SIZE (RFC 1870) and reports (RFC 3461)."""
    options, wanted = [], []
    if client.supports_extension("size"):
        room = client.esmtp_extensions.get("size", "").strip()
        if room.isdecimal() and 0 < int(room) < letter.size():
            raise _too_large(int(room))
        options.append(f"SIZE={letter.size()}")
    if line.reports and client.supports_extension("dsn"):
        options += ["RET=HDRS", f"ENVID={_xtext(envelope.id)}"]
        wanted = ["NOTIFY=SUCCESS,FAILURE,DELAY"]
    await client.mail(envelope.sender, options=options)
    await client.rcpt(envelope.recipient, options=wanted)


async def _content(line: Line, session: _Session, letter: Letter, open_file: Opener | None) -> None:
    """DATA; nothing can come between the end of it and the wait for its reply."""
    writer = session.writer
    begun = await session.client.execute_command(b"DATA")
    if begun.code != GO_AHEAD:
        raise aiosmtplib.SMTPDataError(begun.code, begun.message)
    written = len(letter.head)
    writer.write(_stuffed(letter.head))
    for enclosure in letter.enclosures:
        if open_file is None:
            raise Temporary("the files of the message cannot be read here")
        writer.write(enclosure.head)
        async with open_file(enclosure.part) as file, asyncio.timeout(line.timeout_s * 6):
            async for piece in encoded(file.chunks):
                written += len(piece)
                if written > line.bytes_max:
                    raise _too_large(line.bytes_max)
                writer.write(piece)
                await writer.drain()
    tail: Sequence[bytes] = (letter.tail, b"" if _ended(letter) else b"\r\n", b".\r\n")
    session.protocol.write(b"".join(tail))
    await _verdict(line, session)


async def _verdict(line: Line, session: _Session) -> None:
    """The server has all of it: its reply decides, and without one nobody knows."""
    try:
        reply = await session.protocol.read_response(timeout=line.timeout_s)
    except (aiosmtplib.SMTPException, OSError) as error:
        text = f"the server's reply was lost: {type(error).__name__}"
        raise Unknown(text, codes.UNKNOWN) from None
    if reply.code != TAKEN:
        raise refusal(reply.code, reply.message)


def _ended(letter: Letter) -> bool:
    return (letter.tail or letter.head).endswith(b"\r\n")


def _stuffed(text: bytes) -> bytes:
    """RFC 5321 4.5.2."""
    return _DOT.sub(b"..", text)


def _too_large(bytes_max: int) -> Permanent:
    return Permanent(f"a mail may have {bytes_max} bytes", codes.CONTENT_TOO_LARGE)


def _xtext(text: str) -> str:
    """RFC 3461 4."""
    return _XTEXT.sub(lambda match: "".join(f"+{byte:02X}" for byte in match[0].encode()), text)
