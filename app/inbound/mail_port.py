"""Where mail servers bring mails themselves: by SMTP (RFC 5321) or LMTP (RFC 2033).

Mails for our own addresses and no others. 250 comes after the commit; while the database is away
451, and the server tries again. A mail that it brings again, because our 250 was lost, is known by
its Message-ID. Nobody is asked who they are: let only mail servers of yours reach the port, or put
one in front that checks what comes from the world.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, Envelope, Session

from app.carriers.contract import Junk, Mailing, MailPort
from app.errors import ParleyError, unheard
from app.inbound.door import Doors
from app.observe import Failed
from app.runtime import Runtime

RECIPIENTS_MAX = 100
COMMAND_S = 120.0
"""How long one command may take, a whole mail too."""
PIECE_BYTES = 65_536
"""What is read at once of a line; lines may be longer."""

UNKNOWN = "550 5.1.1 no such address here"
TOO_MANY = "452 4.5.3 too many recipients"
BUSY = b"421 4.3.2 too many connections, try again later\r\n"
LATER = "451 4.3.0 not stored, try again later"
TAKEN = "250 2.6.0 taken"
OVER = "552 5.3.4 the mail is too large"


async def mail_ports(stack: AsyncExitStack, runtime: Runtime, doors: Doors) -> dict[str, int]:
    """Open the ports of all carriers that have one, until the stack is left; which they are."""
    opened = {}
    for name, carrier in runtime.carriers.items():
        if isinstance(carrier, Mailing) and carrier.mail_port is not None:
            desk = Desk(runtime, doors, name, carrier)
            opened[name] = await stack.enter_async_context(_open(runtime, desk, carrier.mail_port))
    return opened


class Desk:
    """What a mail server may do at one carrier's port."""

    def __init__(self, runtime: Runtime, doors: Doors, name: str, carrier: Mailing) -> None:
        self._runtime, self._doors = runtime, doors
        self.name, self._carrier = name, carrier
        self.bytes_max = carrier.body_bytes_max
        self.busy = 0

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        """Only addresses of ours, which this carrier holds."""
        if len(envelope.rcpt_tos) >= RECIPIENTS_MAX:
            return TOO_MANY
        try:
            sender = self._runtime.settings.sender(self._carrier.recipient(address))
        except ValueError:
            return UNKNOWN
        if sender is None or sender.carrier != self.name:
            return UNKNOWN
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ours"

    async def handle_DATA(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        """The mail came. LMTP wants an answer for each recipient: they share what becomes of it."""
        self.busy += 1
        try:
            reply = await self._taken(envelope)
        finally:
            self.busy -= 1
        replies = len(envelope.rcpt_tos) if isinstance(server, LMTP) else 1
        return "\r\n".join([reply] * replies)

    async def handle_exception(self, error: Exception) -> str:
        """Something broke where it should not."""
        self._runtime.observe(Failed("a mail port", error))
        return LATER

    async def _taken(self, envelope: Envelope) -> str:
        content = envelope.original_content or b""
        try:
            await self._doors.mail(
                self.name, content, (envelope.mail_from or "").strip("<> "), envelope.rcpt_tos
            )
        except Junk as junk:
            return f"554 5.6.0 {junk}"
        except ParleyError:
            return LATER
        except Exception as error:
            self._runtime.observe(Failed("a mail port", error))
            return LATER
        return TAKEN


@asynccontextmanager
async def _open(runtime: Runtime, desk: Desk, port: MailPort) -> AsyncIterator[int]:
    """Listening while entered; leaving waits for the mails that came whole."""
    loop = asyncio.get_running_loop()
    lines: set[_Line] = set()

    def protocol() -> asyncio.Protocol:
        if len(lines) >= port.connections_max:
            return _Busy()
        kind = _LmtpLine if port.lmtp else _SmtpLine
        return kind(desk, port, lines, loop)

    try:
        server = await loop.create_server(protocol, port.host, port.port)
    except OSError as error:
        setting = f"carriers.{desk.name}.listen"
        raise unheard(setting, port.host, port.port, error) from None
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        server.close()
        ends = runtime.clock.monotonic() + runtime.settings.server.drain_s / 2
        while desk.busy and runtime.clock.monotonic() < ends:
            await runtime.clock.sleep(0.02)
        for line in list(lines):
            line.hang_up()
        await server.wait_closed()


class _Busy(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        transport.write(BUSY)
        transport.close()


class _Line(SMTP):
    """One connection; it counts from the first moment to the last."""

    line_length_limit = PIECE_BYTES

    def __init__(
        self, desk: Desk, port: MailPort, lines: set[_Line], loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(
            desk,
            data_size_limit=desk.bytes_max,
            enable_SMTPUTF8=True,
            hostname="parley",
            ident="ready",
            tls_context=port.tls,
            require_starttls=port.tls_required,
            timeout=COMMAND_S,
            auth_exclude_mechanism=("LOGIN", "PLAIN"),
            loop=loop,
        )
        self._lines = lines

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._lines.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._lines.discard(self)
        super().connection_lost(error)

    async def smtp_DATA(self, arg: str | None) -> None:  # noqa: N802
        """As aiosmtpd has it, but for its list of lines: that takes several times what they say."""
        if await self.check_helo_needed():
            return
        assert self.envelope is not None
        if arg or not self.envelope.rcpt_tos:
            await self.push("501 Syntax: DATA" if arg else "503 Error: need RCPT command")
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        content = await self._whole(self.data_size_limit or 0)
        reply: str = OVER
        if content is not None:
            self.envelope.original_content = bytes(content)
            del content
            reply = await self._call_handler_hook("DATA")
        elif isinstance(self, LMTP):
            reply = "\r\n".join([OVER] * len(self.envelope.rcpt_tos))
        self._set_post_data_state()  # type: ignore[no-untyped-call]
        await self.push(reply)

    async def _whole(self, bytes_max: int) -> bytearray | None:
        """The mail that follows; None, when all of it came, for one with more bytes. A line ends
        with CRLF and nothing else, so that no two servers disagree where a mail ends."""
        content, over, begins = bytearray(), False, True
        while True:
            try:
                piece = await self._reader.readuntil(b"\r\n")
            except asyncio.LimitOverrunError as error:  # a longer line: a part of it
                piece = await self._reader.read(error.consumed)
            if begins and piece == b".\r\n":
                return None if over else content
            content += piece[1:] if begins and piece.startswith(b".") else piece
            begins = piece.endswith(b"\r\n")
            if over or len(content) > bytes_max:
                over = True
                content.clear()

    def hang_up(self) -> None:
        """End the connection, whatever goes on."""
        transport = self.transport
        if isinstance(transport, asyncio.Transport):
            transport.abort()


class _SmtpLine(_Line):
    pass


class _LmtpLine(_Line, LMTP):
    pass
