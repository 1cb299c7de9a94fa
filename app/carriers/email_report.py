"""What reports say of mails of ours: delivery status notifications (RFC 3464, RFC 6522).

A report is about a send when it names its receipt: in the address that it came to, in the envelope
id that it repeats, or in the Message-ID of the mail that it encloses.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from email.message import Message

from app.carriers import email_address, storable
from app.carriers.contract import Junk
from app.carriers.email_mail import UNREADABLE, Mail, headers
from app.carriers.email_replies import code_of, plainly
from app.model.traffic import DeliveryStatus, Status

ACTIONS: Mapping[str, DeliveryStatus | None] = {
    "delivered": "delivered",
    "relayed": "sent",
    "expanded": "sent",
    "delayed": None,
    "failed": "undelivered",
}
RECIPIENTS_MAX = 100

_HEX = re.compile(r"\+([0-9A-Fa-f]{2})")


def is_report(mail: Mail) -> bool:
    """Whether this is a report on mails, and not one itself."""
    return mail.headers.get_content_type() == "multipart/report"


def statuses(carrier: str, mail: Mail) -> Sequence[Status]:
    """What it says, one for each recipient; nothing when it is about no send of ours. Raises
    Junk."""
    try:
        blocks, original = _parts(mail.headers)
    except UNREADABLE:
        raise Junk("the report cannot be read") from None
    if not blocks:
        return []
    named = _field(original, "Message-ID").strip("<> ")
    receipt_sid = _receipt(mail, blocks[0], named)
    if not named and receipt_sid is None:
        return []
    if not named and receipt_sid is not None:
        address = mail.recipients[0] if mail.recipients else "@"
        named = email_address.message_id(receipt_sid, address)
    said = (_status(carrier, one, named, receipt_sid) for one in blocks[1:][:RECIPIENTS_MAX])
    return [one for one in said if one is not None]


def _status(carrier: str, block: Message, named: str, receipt_sid: str | None) -> Status | None:
    action = _field(block, "Action").partition(";")[0].strip().lower()
    if action not in ACTIONS:
        return None
    status = ACTIONS[action]
    if action != "failed":
        return Status(carrier, named, status, receipt_sid=receipt_sid)
    said = " ".join((_field(block, "Status"), _field(block, "Diagnostic-Code")))
    text = plainly(None, said) or "undelivered"
    return Status(carrier, named, status, code_of(_reply(said), said), text, receipt_sid)


def _reply(said: str) -> int | None:
    match = re.search(r"(?<![0-9.])(5[0-9]{2})(?![0-9.])", said)
    return int(match[1]) if match else None


def _receipt(mail: Mail, whole: Message, named: str) -> str | None:
    for address in mail.recipients:
        _, sid = email_address.unplus(address)
        if sid is not None:
            return sid
    envelope = _HEX.sub(lambda match: chr(int(match[1], 16)), _field(whole, "Original-Envelope-Id"))
    return email_address.receipt(envelope.strip()) or email_address.receipt_of(named)


def _parts(report: Message) -> tuple[list[Message], Message | None]:
    """The blocks of its machine-readable part, and the headers of the mail that it is about."""
    blocks: list[Message] = []
    original: Message | None = None
    payload = report.get_payload()
    for part in payload if isinstance(payload, list) else ():
        if not isinstance(part, Message):
            continue
        kind, inner = part.get_content_type(), part.get_payload()
        if kind == "message/delivery-status" and isinstance(inner, list):
            blocks = [one for one in inner if isinstance(one, Message)]
        elif kind == "message/rfc822" and isinstance(inner, list) and inner:
            original = inner[0] if isinstance(inner[0], Message) else None
        elif kind == "text/rfc822-headers":
            content = part.get_payload(decode=True)
            original = headers(content) if isinstance(content, bytes) else None
    return blocks, original


def _field(block: Message | None, name: str) -> str:
    if block is None:
        return ""
    return " ".join(storable.text(str(block.get(name, ""))).split())[:1000]
