"""E-mail: out by SMTP, in by the forms that providers post for each mail, or by SMTP or LMTP.

Each attempt at a message writes the same mail with the same Message-ID, made of its receipt's SID.
A server cannot be asked what became of a mail whose reply was lost; when it is sent once more
(`on_unknown: resend`), mail programs and most mailboxes show the two as the one that they are.
Answers find their conversation by that Message-ID, or by the plus-address that they are sent to.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from app.carriers import (
    codes,
    email_address,
    email_compose,
    email_form,
    email_inbound,
    email_mail,
    email_report,
)
from app.carriers import email_smtp as smtp
from app.carriers.contract import Answer, Context, Kind, Request
from app.carriers.email_form import Keys
from app.carriers.email_inbound import Reading
from app.carriers.email_mail import Mail
from app.carriers.email_options import Options
from app.channels.address import normalise
from app.clock import Clock
from app.errors import Permanent, Temporary
from app.model.traffic import Accepted, Inbound, Outgoing, SignatureResult, Status


class Email:
    """One mail server and who brings its mails."""

    kind = "email"
    channels = Options.carries
    one_door = True
    patience_s: float | None = None
    can_look_up = False
    groups = False

    def __init__(self, name: str, options: Options, clock: Clock | None = None) -> None:
        self.name = name
        self.look_up_after_s = options.unknown_wait_s
        self.body_bytes_max = options.bytes_max
        self.per_minute_max = options.per_minute_max
        self.mail_port = options.listen.mail_port() if options.listen else None
        self._options, self._clock = options, clock or Clock()
        self._line = _line(options)
        self._turns = asyncio.Semaphore(options.smtp.connections_max)
        form = options.form
        self._keys = Keys(
            secrets=tuple(one.get_secret_value() for one in (form and form.secrets) or ()),
            signing=tuple(one.get_secret_value() for one in (form and form.signing_keys) or ()),
        )
        self._reading = Reading(name, options.strip_quotes)
        self._held: tuple[Request, Mail] | None = None

    def recipient(self, address: str) -> str:
        """The address of ours that this one, of an envelope, stands for. Raises ValueError."""
        return normalise(email_address.unplus(address)[0])

    def read_mail(
        self, raw: bytes, sender: str, recipients: Sequence[str]
    ) -> tuple[Sequence[Inbound], Sequence[Status]]:
        """The messages in a mail with this envelope, and what it reports; raises Junk."""
        mail = email_mail.read(raw, sender, tuple(recipients))
        if email_report.is_report(mail):
            return [], email_report.statuses(self.name, mail)
        return email_inbound.messages(self._reading, mail), []

    def admits(self, request: Request) -> bool:
        """Whether its head alone keeps it out, before a large body is read."""
        return bool(self._keys.signing) or email_form.admitted(self._keys, request)

    def verify(self, request: Request) -> SignatureResult:
        """By the password or the signature of whoever brings forms."""
        return email_form.verify(self._keys, request, self._clock.now().timestamp())

    def parse_inbound(self, request: Request) -> Sequence[Inbound]:
        """The mail in the form, once for each address of ours that it came to; raises Junk."""
        return email_inbound.messages(self._reading, self._read(request))

    def parse_status(self, request: Request) -> Sequence[Status]:
        """What a report says of mails of ours; raises Junk. Other mails say nothing."""
        mail = self._read(request)
        self._held = None
        if email_report.is_report(mail):
            return email_report.statuses(self.name, mail)
        email_inbound.check(mail)
        return []

    def answer(self, messages: Sequence[Inbound]) -> Answer:
        """An empty JSON object; providers look at the status only."""
        return Answer("{}", "application/json")

    async def send(self, outgoing: Outgoing, context: Context) -> Accepted:
        """Hand one mail to the server; raises Temporary, Permanent or Unknown."""
        ours = email_address.wire(outgoing.proxy_address)
        theirs = email_address.wire(outgoing.address)
        if outgoing.channel not in self.channels:
            text = f"this carrier does not carry {outgoing.channel}"
            raise Permanent(text, codes.CONTENT_NOT_ACCEPTED)
        if ours is None or theirs is None:
            code = codes.FROM_NOT_OURS if ours is None else codes.TO_INVALID
            raise Permanent("the address has letters that SMTP does not take", code)
        answered_at = None
        if self._options.plus_address:
            answered_at = email_address.plus(ours, outgoing.reference)
        letter = email_compose.letter(
            outgoing, self._options.sender_name or "", self._options.subject, answered_at
        )
        envelope = smtp.Envelope(answered_at or ours, theirs, outgoing.reference)
        async with self._turn():
            await smtp.hand_over(self._line, envelope, letter, context)
        return Accepted(letter.message_id, "sent")

    async def look_up(self, outgoing: Outgoing, context: Context) -> Sequence[Accepted] | None:
        """A mail server cannot tell."""
        return None

    def _read(self, request: Request) -> Mail:
        """The mail in a form: the door asks for its messages first, and then for its statuses."""
        held = self._held
        if held is not None and held[0] is request:
            return held[1]
        mail = email_form.read(request)
        self._held = request, mail
        return mail

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """One of the connections. Raises Temporary when all are busy for long."""
        try:
            async with asyncio.timeout(self._line.timeout_s / 2):
                await self._turns.acquire()
        except TimeoutError:
            text = "all connections to the mail server are busy"
            raise Temporary(text, retry_after_s=smtp.BUSY_S) from None
        try:
            yield
        finally:
            self._turns.release()


KIND = Kind("email", Options, Email)


def _line(options: Options) -> smtp.Line:
    given = options.smtp
    return smtp.Line(
        host=given.host,
        port=given.effective_port,
        security=given.security,
        username=given.username,
        password=given.password.get_secret_value() if given.password else None,
        tls=given.tls(),
        timeout_s=given.timeout_s,
        reports=given.reports,
        bytes_max=options.bytes_max,
    )
