"""A mail that came, however it did: its headers, its text, its files.

Mails are written by anybody and are read as far as they can be: a charset that nobody knows, a
header that is none and a broken encoding cost some characters and never the mail.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesFeedParser, BytesParser
from email.policy import Compat32
from email.utils import getaddresses, parsedate_to_datetime

from app.carriers import email_text, storable
from app.carriers.contract import Junk
from app.model.traffic import Attachment

HEADER_CHARS_MAX = 20_000
SHOWN_CHARS_MAX = 1000
TEXT_BYTES_MAX = 1_048_576
FILES_MAX, PARTS_MAX, MULTIPARTS_MAX = 50, 500, 50
NAME_CHARS_MAX = 256
PIECE_BYTES = 65_536
# Codecs of Python that are slow or that no mail means.
NOT_CHARSETS = frozenset({"idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape"})

UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, MessageError, RecursionError)
"""What the parser of the standard library raises for the strangest mails."""


class _Bounded(Compat32):
    """Headers are cut where they are read: what takes them apart needs far more time for long ones
    than they are worth."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, text = super().header_source_parse(sourcelines)
        return name, text[:HEADER_CHARS_MAX]


POLICY = _Bounded()


@dataclass(frozen=True, slots=True)
class Mail:
    """What came. `sender` and `recipients` are those of the envelope: no sender at all is None
    (unknown) or empty (a report). `text` is what is to be read. `left_out` counts files beyond the
    first FILES_MAX."""

    headers: Message
    text: str = ""
    files: tuple[Attachment, ...] = ()
    sender: str | None = None
    recipients: tuple[str, ...] = ()
    left_out: int = 0

    def says(self, name: str) -> str:
        """A header, decoded, in one line; empty without one."""
        return " ".join(decoded(self.raw(name)).split())[:SHOWN_CHARS_MAX]

    def raw(self, name: str) -> str:
        """A header as it came, unfolded; empty without one. Of several the first."""
        return storable.text(str(self.headers.get(name, "")))[:HEADER_CHARS_MAX]

    def people(self, *names: str) -> list[tuple[str, str]]:
        """Display names and addresses in these headers."""
        raw = [self.raw(name) for name in names]
        try:
            found = getaddresses([one for one in raw if one])
        except UNREADABLE:
            return []
        return [(" ".join(decoded(name).split()), address) for name, address in found if address]

    def date(self) -> datetime | None:
        """When it was written; None when it does not say."""
        try:
            moment = parsedate_to_datetime(self.raw("Date"))
        except (*UNREADABLE, IndexError, OverflowError):
            return None
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def read(raw: bytes, sender: str | None = None, recipients: tuple[str, ...] = ()) -> Mail:
    """The mail in these bytes. Raises Junk for what is no mail."""
    message = parsed(raw)
    if not message.keys():
        raise Junk("the mail has no headers")
    try:
        text, html, files = _sorted(message)
    except UNREADABLE:
        raise Junk("the mail cannot be read") from None
    said = text if text.strip() else email_text.from_html(html)
    left_out = max(0, len(files) - FILES_MAX)
    return Mail(message, said, tuple(files[:FILES_MAX]), sender, recipients, left_out)


def parsed(raw: bytes) -> Message:
    """The parts of a mail. Raises Junk."""
    if raw.count(b"multipart/") > MULTIPARTS_MAX:
        raise Junk("the mail has too many layers")
    parser = BytesFeedParser(policy=POLICY)
    try:
        # In pieces: the parser widens what it is given to four times its size.
        for at in range(0, len(raw), PIECE_BYTES):
            parser.feed(raw[at : at + PIECE_BYTES])
        return parser.close()
    except UNREADABLE:
        raise Junk("the mail cannot be read") from None


def headers(raw: bytes) -> Message:
    """The headers of a mail of which the rest is known. Raises Junk."""
    try:
        return BytesParser(policy=POLICY).parsebytes(raw, headersonly=True)
    except UNREADABLE:
        raise Junk("the headers cannot be read") from None


def decoded(text: str) -> str:
    """A header with its encoded words (RFC 2047) read."""
    if "=?" not in text:
        return text
    try:
        return storable.text(str(make_header(decode_header(text))))
    except (*UNREADABLE, IndexError):
        return text


def in_charset(content: bytes, charset: str | None) -> str:
    """The text in these bytes; of a charset that is not known, or not true, as much as can be."""
    try:
        known = codecs.lookup(charset or "utf-8").name
        text = content.decode("utf-8" if known in NOT_CHARSETS else known, "replace")
    except (LookupError, ValueError, TypeError):
        text = content.decode("utf-8", "replace")
    return storable.text(text.replace("\r\n", "\n").replace("\r", "\n"))


def named(filename: str | None) -> str | None:
    """The name of a file as we keep it: no folders, nothing that does not print."""
    plain = decoded(filename or "").replace("\\", "/").rpartition("/")[2]
    kept = "".join(one for one in storable.text(plain) if one.isprintable()).strip()
    return kept[-NAME_CHARS_MAX:] or None


def _sorted(message: Message) -> tuple[str, str, list[Attachment]]:
    """The first text, the first HTML, and everything else that has content."""
    text: str | None = None
    html: str | None = None
    files: list[Attachment] = []
    for part in _leaves(message):
        kind = part.get_content_type()
        attached = part.get_content_disposition() == "attachment" or part.get_filename()
        if not attached and kind == "text/plain" and text is None:
            text = _text(part)
        elif not attached and kind == "text/html" and html is None:
            html = _text(part)
        elif (file := _file(part, kind)) is not None:
            files.append(file)
    return text or "", html or "", files


def _leaves(message: Message) -> Iterator[Message]:
    """The parts that have content; a mail within a mail is one."""
    left = [message]
    for _ in range(PARTS_MAX):
        if not left:
            return
        part = left.pop()
        payload = part.get_payload()
        if part.get_content_maintype() == "multipart" and isinstance(payload, list):
            left += [one for one in reversed(payload) if isinstance(one, Message)]
        else:
            yield part


def _text(part: Message) -> str:
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        return ""
    return in_charset(content[:TEXT_BYTES_MAX], str(part.get_content_charset() or "utf-8"))


def _file(part: Message, kind: str) -> Attachment | None:
    payload = part.get_payload(decode=True)
    if payload is None and part.is_multipart():
        inner = part.get_payload()
        first = inner[0] if isinstance(inner, list) and inner else None
        payload = first.as_bytes() if isinstance(first, Message) else None
        kind = "message/rfc822"
    if not isinstance(payload, bytes) or not payload:
        return None
    return Attachment(payload, storable.text(kind), named(part.get_filename()))
