"""A mail as messages: one for each address of ours that it came to."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from app.carriers import email_address, email_guard, email_text
from app.carriers.contract import Junk
from app.carriers.email_mail import Mail
from app.carriers.email_report import is_report
from app.carriers.posted import metadata, with_form
from app.channels.address import normalise
from app.model.parts import referred
from app.model.traffic import Inbound

RECIPIENTS_MAX = 100
ID_CHARS_MAX = 250
ANSWERS_MAX = 20
SUBJECT_CHARS_MAX = 256
# Where a mail names whom it is for, when its envelope is not known.
ADDRESSED = ("Delivered-To", "X-Original-To", "To", "Cc")

_ID = re.compile(r"<([^<>]+)>")


@dataclass(frozen=True, slots=True)
class Reading:
    """How the mails of a carrier are read."""

    carrier: str
    strip_quotes: bool


def messages(reading: Reading, mail: Mail) -> Sequence[Inbound]:
    """The messages; none of a report. Raises Junk for a mail that names no sender, or nobody that
    it is for. The Message-ID, with the address that it came to, is what each is known by: mails
    that have none are known by what they say."""
    if is_report(mail):
        return []
    name, address = _author(mail)
    text = email_text.without_quotes(mail.text) if reading.strip_quotes else mail.text.strip()
    named = _named(mail)
    found = []
    for proxy_address, sid in _recipients(mail):
        answers = ([sid] if sid else []) + _answered(mail)
        inbound = Inbound(
            carrier=reading.carrier,
            external_id=f"{named}/{proxy_address}",
            channel="email",
            address=address,
            proxy_address=proxy_address,
            body=text or None,
            channel_metadata=metadata("email", _context(mail, name)),
            sent_at=mail.date(),
            subject=mail.says("Subject")[:SUBJECT_CHARS_MAX] or None,
            answers=tuple(dict.fromkeys(answers))[:ANSWERS_MAX],
            guard=email_guard.reason(mail),
            attachments=mail.files,
        )
        found.append(with_form(inbound))
    return found


def check(mail: Mail) -> None:
    """Raises Junk for a mail of which no message comes."""
    _author(mail)
    _recipients(mail)


def message_id(mail: Mail) -> str | None:
    """Its Message-ID without brackets; None when it has none."""
    raw = " ".join(mail.raw("Message-ID").split())
    match = _ID.search(raw)
    named = (match[1] if match else raw).strip()
    return named or None


def _author(mail: Mail) -> tuple[str, str]:
    for name, address in mail.people("From", "Sender"):
        try:
            return name, normalise(address)
        except ValueError:
            continue
    raise Junk("From is not an e-mail address")


def _recipients(mail: Mail) -> list[tuple[str, str | None]]:
    """Our addresses, as far as can be known here, each with the receipt that is in it."""
    given = mail.recipients or tuple(address for _, address in mail.people(*ADDRESSED))
    found: dict[str, str | None] = {}
    for address in given[:RECIPIENTS_MAX]:
        plain, named = email_address.unplus(address)
        try:
            found.setdefault(normalise(plain), referred(named)[0] if named else None)
        except ValueError:
            continue
    if not found:
        raise Junk("To is not an e-mail address")
    return list(found.items())


def _named(mail: Mail) -> str:
    named = message_id(mail)
    if named is None:
        said = "\x00".join((*_identity(mail), mail.text))
        return f"sha256-{sha256(said.encode('utf-8', 'replace')).hexdigest()}"
    if len(named) > ID_CHARS_MAX:
        return f"sha256-{sha256(named.encode('utf-8', 'replace')).hexdigest()}"
    return named


def _identity(mail: Mail) -> Iterator[str]:
    return (mail.raw(name) for name in ("From", "Date", "Subject"))


def _answered(mail: Mail) -> list[str]:
    """The mails of ours that it answers, the nearest first."""
    answered = email_address.mentioned(mail.raw("In-Reply-To"))
    return answered + email_address.mentioned(mail.raw("References"))[::-1]


def _context(mail: Mail, name: str) -> dict[str, str | None]:
    left_out = f"{mail.left_out} more" if mail.left_out else None
    return {
        "MessageId": message_id(mail),
        "Subject": mail.says("Subject"),
        "ProfileName": name[:SUBJECT_CHARS_MAX],
        "To": mail.says("To"),
        "Cc": mail.says("Cc"),
        "FilesLeftOut": left_out,
    }
