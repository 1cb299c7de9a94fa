"""WhatsApp's webhooks: messages to our phone numbers and what became of our own.

https://developers.facebook.com/docs/whatsapp/cloud-api/webhooks/components. Every other news of a
business account (templates, quality, calls, echoes of the app) and messages in WhatsApp groups,
which are between more than two, are passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from app.carriers import meta_errors, posted
from app.carriers.contract import Junk
from app.carriers.exchange import without_numbers
from app.carriers.meta_content import Said, referral, said
from app.carriers.meta_document import (
    Section,
    filled,
    identifier,
    moment,
    rows,
    section,
    text,
)
from app.channels.address import normalise
from app.model.parts import is_reference
from app.model.traffic import DeliveryStatus, Inbound, Status

# behaviour.md 4.9. `played`: a voice message was heard. None: on its way, nothing is known yet.
STATUSES: Mapping[str, DeliveryStatus | None] = {
    "accepted": None,
    "sent": "sent",
    "delivered": "delivered",
    "read": "read",
    "played": "read",
    "failed": "failed",
}
CODE_MAX = 2**31 - 1

_NOT_A_DIGIT = re.compile(r"[^0-9]")


@dataclass(frozen=True, slots=True)
class Reader:
    """`numbers` are our addresses by phone number id; one that is not among them is known by the
    number that Meta shows for it. `media_url` is what a file's id is appended to."""

    carrier: str
    numbers: Mapping[str, str]
    media_url: str

    def read(self, entry: Section) -> Iterator[Inbound | Status | Junk]:
        """What one entry tells, in its order; Junk for what cannot be read, so that it holds
        nothing else up."""
        for change in rows(entry, "changes"):
            if text(change, "field") != "messages":
                continue
            value = section(change, "value")
            for message in rows(value, "messages"):
                if text(message, "group_id"):
                    continue
                try:
                    yield self._inbound(value, message)
                except Junk as junk:
                    yield junk
            for given in rows(value, "statuses"):
                try:
                    yield from self._status(given)
                except Junk as junk:
                    yield junk

    def _inbound(self, value: Section, message: Section) -> Inbound:
        told = said(message, self.media_url)
        inbound = Inbound(
            carrier=self.carrier,
            external_id=identifier(message, "id"),
            channel="whatsapp",
            address=_address(message),
            proxy_address=self._ours(section(value, "metadata")),
            body=told.body or None,
            media=told.media,
            channel_metadata=_channel_metadata(value, message, told),
            sent_at=moment(message, "timestamp"),
        )
        return posted.with_form(inbound)

    def _ours(self, metadata: Section) -> str:
        known = self.numbers.get(text(metadata, "phone_number_id"))
        if known is not None:
            return known
        digits = _NOT_A_DIGIT.sub("", text(metadata, "display_phone_number"))
        if not digits:
            raise Junk("phone_number_id is not in phone_numbers, display_phone_number is missing")
        return _normal("display_phone_number", f"+{digits}")

    def _status(self, given: Section) -> list[Status]:
        """The status; none for a word that is no status of ours. Our own reference came with the
        send, so an answer that was lost is made up for."""
        external_id = identifier(given, "id")
        word = text(given, "status")
        if word not in STATUSES:
            return []
        receipt = text(given, "biz_opaque_callback_data")
        status = Status(
            carrier=self.carrier,
            external_id=external_id,
            status=STATUSES[word],
            receipt_sid=receipt if is_reference(receipt) else None,
        )
        errors = rows(given, "errors")
        if word != "failed" or not errors:
            return [status]
        return [_failed(status, errors[0])]


def _failed(status: Status, error: Section) -> Status:
    number = error.get("code")
    if isinstance(number, bool) or not isinstance(number, int) or not 0 < number <= CODE_MAX:
        return replace(status, error_message=_reason(error))
    code, ended = meta_errors.twin(number)
    reason = f"({number}) {_reason(error) or ''}".strip()
    return replace(status, status=ended, error_code=code, error_message=reason)


def _reason(error: Section) -> str | None:
    details = text(section(error, "error_data"), "details")
    return without_numbers(details or text(error, "message") or text(error, "title")) or None


def _address(message: Section) -> str:
    """The number; the business-scoped id of somebody who hides it, which Meta also gives in the
    number's place; the one for all portfolios of a company when there is nothing else."""
    for name in ("from", "from_user_id", "from_parent_user_id"):
        given = text(message, name)
        if given:
            return _normal(name, f"+{given}" if given.isdecimal() else given)
    raise Junk("from and from_user_id are missing")


def _normal(name: str, given: str) -> str:
    try:
        return normalise(f"whatsapp:{given}", lenient=True)
    except ValueError as error:
        raise Junk(f"{name} is not a phone number or user id: {error}") from error


def _channel_metadata(value: Section, message: Section, told: Said) -> dict[str, Any]:
    """`{"type": "whatsapp", "data": {"context": {...}}}`, as the original keeps it."""
    context = _sender(value, message)
    context |= filled(MessageType=text(message, "type"))
    context |= _replied(message)
    context |= referral(message)
    return {"type": "whatsapp", "data": {**told.data, "context": {**context, **told.context}}}


def _sender(value: Section, message: Section) -> dict[str, str]:
    number, user_id = text(message, "from"), text(message, "from_user_id")
    people = rows(value, "contacts")
    known = [
        person
        for person in people
        if (number and text(person, "wa_id") == number)
        or (user_id and text(person, "user_id") == user_id)
    ]
    person = known[0] if known else people[0] if len(people) == 1 else {}
    user_id = user_id or text(person, "user_id")
    profile = section(person, "profile")
    return filled(
        ProfileName=text(profile, "name"),
        Username=text(profile, "username"),
        WaId=number if number.isdecimal() else "",
        ExternalUserId=f"whatsapp:{user_id}" if user_id else "",
    )


def _replied(message: Section) -> dict[str, str]:
    replied = section(message, "context")
    sender = text(replied, "from")
    return filled(
        OriginalRepliedMessageSid=text(replied, "id"),
        OriginalRepliedMessageSender=f"whatsapp:+{sender}" if sender.isdecimal() else "",
        Forwarded="true" if replied.get("forwarded") is True else "",
        FrequentlyForwarded="true" if replied.get("frequently_forwarded") is True else "",
    )
