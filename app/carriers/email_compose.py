"""An outgoing message as a mail: its head in bytes, and the files between whose bytes it goes.

RFC 5322 for the headers, RFC 2045 to 2049 for the parts. Lines end with CRLF, nothing is 8-bit, and
what is written depends on the message alone: each attempt writes the same mail.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from app.carriers import email_address
from app.channels import email
from app.model.traffic import MediaPart, Outgoing, Thread

POLICY = SMTP.clone(cte_type="7bit")
LOOP = "X-Parley-Loop"
"""Every mail of ours has it, and one that comes in with it is not posted."""
LINE_BYTES = 57  # 76 characters of base64, RFC 2045 6.8
UNKNOWN_TYPE = "application/octet-stream"

_TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Enclosure:
    """One file of a mail, and what stands before its bytes."""

    head: bytes
    part: MediaPart


@dataclass(frozen=True, slots=True)
class Letter:
    """A mail, in the order in which it goes over the wire."""

    message_id: str
    head: bytes
    enclosures: tuple[Enclosure, ...] = ()
    tail: bytes = b""

    def size(self) -> int:
        """How many bytes it has, files whose size is not known left out."""
        files = sum(len(one.head) + encoded_size(one.part.size or 0) for one in self.enclosures)
        return len(self.head) + files + len(self.tail)


def letter(outgoing: Outgoing, sender_name: str, title: str, reply_to: str | None) -> Letter:
    """The mail. `title` is its subject when nothing else gives one."""
    thread = outgoing.thread or Thread(outgoing.reference)
    named = email_address.message_id(outgoing.reference, outgoing.proxy_address)
    mail = EmailMessage(policy=POLICY)
    mail["From"] = Address(_line(thread.sender_name or sender_name), addr_spec=_wire(outgoing))
    mail["To"] = Address(addr_spec=email_address.wire(outgoing.address) or outgoing.address)
    if reply_to is not None:
        mail["Reply-To"] = Address(addr_spec=reply_to)
    mail["Subject"] = email.subject(thread, title)
    mail["Date"] = _date(outgoing.started_at)
    mail["Message-ID"] = f"<{named}>"
    _follow(mail, thread, outgoing.proxy_address)
    mail[LOOP] = email_address.domain_of(outgoing.proxy_address)
    if outgoing.media:
        return _with_files(mail, named, outgoing)
    mail.set_content(_CONTROL.sub("", outgoing.body or ""))
    return Letter(named, mail.as_bytes())


async def encoded(chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """These bytes in lines of base64."""
    left = b""
    async for chunk in chunks:
        left += chunk
        whole = len(left) - len(left) % LINE_BYTES
        if whole:
            yield _lines(left[:whole])
            left = left[whole:]
    if left:
        yield _lines(left)


def encoded_size(size: int) -> int:
    """How many bytes so many bytes of a file are in a mail."""
    lines = -(-size // LINE_BYTES)
    return -(-size // 3) * 4 + 2 * lines


def _wire(outgoing: Outgoing) -> str:
    return email_address.wire(outgoing.proxy_address) or outgoing.proxy_address


def _follow(mail: EmailMessage, thread: Thread, address: str) -> None:
    """Mail programs put together what names the same first mail, whether it exists or not."""
    root = f"<{thread.name.lower()}.thread@{email_address.domain_of(address)}>"
    answered = f"<{thread.answers}>" if thread.answers else None
    mail["References"] = f"{root} {answered}" if answered else root
    mail["In-Reply-To"] = answered or root


def _date(moment: datetime) -> str:
    return format_datetime(moment.replace(microsecond=0))


def _with_files(mail: EmailMessage, named: str, outgoing: Outgoing) -> Letter:
    """The text, when there is one, and the files behind it, each in a part of its own."""
    boundary = f"=_{outgoing.reference.lower()}"
    line = f"--{boundary}\r\n".encode()
    text = b""
    if outgoing.body:
        part = EmailMessage(policy=POLICY)
        part.set_content(_CONTROL.sub("", outgoing.body))
        del part["MIME-Version"]
        text = line + part.as_bytes() + b"\r\n"
    mail["MIME-Version"] = "1.0"
    kind = f'Content-Type: multipart/mixed; boundary="{boundary}"\r\n\r\n'.encode()
    files = tuple(
        Enclosure((b"" if at == 1 else b"\r\n") + line + _head(part, at), part)
        for at, part in enumerate(outgoing.media, 1)
    )
    tail = f"\r\n--{boundary}--\r\n".encode()
    return Letter(named, _headers(mail) + kind + text, files, tail)


def _head(part: MediaPart, at: int) -> bytes:
    kind = part.content_type.partition(";")[0].strip().lower()
    if not _TYPE.fullmatch(kind) or kind.startswith(("multipart/", "message/")):
        kind = UNKNOWN_TYPE
    head = EmailMessage(policy=POLICY)
    head["Content-Type"] = kind
    name = _line(part.filename or "").replace("/", "_").replace("\\", "_")
    head.add_header("Content-Disposition", "attachment", filename=name or email.filename(kind, at))
    head["Content-Transfer-Encoding"] = "base64"
    return _headers(head) + b"\r\n"


def _headers(mail: EmailMessage) -> bytes:
    """Its headers, which end with a line."""
    return mail.as_bytes().rstrip(b"\r\n") + b"\r\n"


def _lines(data: bytes) -> bytes:
    pieces: Sequence[bytes] = [
        b64encode(data[at : at + LINE_BYTES]) for at in range(0, len(data), LINE_BYTES)
    ]
    return b"\r\n".join(pieces) + b"\r\n"


def _line(text: str) -> str:
    """As one line of a header."""
    return " ".join(_CONTROL.sub("", text).split())
