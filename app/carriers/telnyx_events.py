"""What Telnyx's webhooks say: `message.received`, `message.sent` and `message.finalized`.

https://developers.telnyx.com/docs/messaging/messages/receiving-webhooks and .../group-messaging
"""

from __future__ import annotations

from collections.abc import Mapping

from app.carriers import codes, document, posted
from app.carriers.contract import Junk
from app.carriers.document import Node
from app.carriers.exchange import without_numbers
from app.model.parts import is_reference
from app.model.traffic import DeliveryStatus, Inbound, Status

RECEIVED = "message.received"
REPORTS = frozenset({"message.sent", "message.finalized"})
# An inbound message's `to` marks the number whose webhook this is.
OURS = "webhook_delivered"
CHANNELS: Mapping[str, str] = {"SMS": "sms", "MMS": "mms"}

# Recipient status -> receipt status (behaviour.md 4.9); None: on its way, nothing is known yet.
STATUSES: Mapping[str, DeliveryStatus | None] = {
    "queued": None,
    "sending": None,
    "sent": "sent",
    "delivered": "delivered",
    "sending_failed": "failed",
    "delivery_failed": "undelivered",
    "delivery_unconfirmed": "undelivered",
    "expired": "undelivered",
}
ENDS = frozenset({"failed", "undelivered"})

# https://developers.telnyx.com/docs/messaging/messages/error-codes, delivery errors.
ERRORS: Mapping[str, int] = {
    "40001": codes.LANDLINE,
    "40002": codes.FILTERED,
    "40003": codes.FILTERED,
    "40004": codes.BLOCKED,
    "40005": codes.EXPIRED,
    "40006": codes.HANDSET_UNREACHABLE,
    "40009": codes.CONTENT_NOT_ACCEPTED,
    "40010": codes.CAMPAIGN_NOT_REGISTERED,
    "40011": codes.THROUGHPUT_EXCEEDED,
    "40012": codes.HANDSET_UNKNOWN,
    "40013": codes.FROM_NOT_OURS,
    "40014": codes.EXPIRED,
    "40015": codes.FILTERED,
    "40016": codes.DAILY_LIMIT_REACHED,
    "40017": codes.FILTERED,
    "40018": codes.THROUGHPUT_EXCEEDED,
    "40100": codes.FROM_NOT_OURS,
    "40150": codes.TOLL_FREE_NOT_VERIFIED,
    "40300": codes.OPTED_OUT,
    "40301": codes.MMS_NOT_SUPPORTED,
    "40302": codes.CONTENT_TOO_LARGE,
    "40309": codes.REGION_NOT_PERMITTED,
    "40310": codes.TO_INVALID,
    "40315": codes.FILTERED,
    "40317": codes.MEDIA_URL_INVALID,
    "40319": codes.MMS_NOT_SUPPORTED,
    "40322": codes.FILTERED,
    "40329": codes.TOLL_FREE_NOT_VERIFIED,
}


def messages(carrier: str, body: bytes) -> list[Inbound]:
    """The message in this event, if it is a received one; raises Junk."""
    kind, data = _event(body)
    return [_inbound(carrier, data.inner("payload"))] if kind == RECEIVED else []


def statuses(carrier: str, body: bytes, receipt: str) -> list[Status]:
    """What this event says of each recipient, if it is a report; raises Junk.

    `receipt` is the query parameter of that name in the URL that the send gave.
    """
    kind, data = _event(body)
    if kind not in REPORTS:
        return []
    payload = data.inner("payload")
    external_id = payload.identifier("id")
    recipients = payload.inners("to")
    words = [recipient.needed("status") for recipient in recipients]
    if not words:
        raise Junk(f"{payload.at('to')} is missing")
    code, text = _error(payload)
    return [
        Status(
            carrier=carrier,
            external_id=external_id,
            status=STATUSES[word],
            error_code=code if STATUSES[word] in ENDS else None,
            error_message=text if STATUSES[word] in ENDS else None,
            receipt_sid=receipt if is_reference(receipt) else None,
            address=recipient.word("phone_number") or None if len(words) > 1 else None,
        )
        for recipient, word in zip(recipients, words, strict=True)
        if word in STATUSES
    ]


def described(error: Node) -> str:
    """One of Telnyx's error objects in a line, for receipts and logs."""
    told = " ".join(filter(None, (error.word("code"), error.word("title"))))
    detail = error.word("detail")
    return without_numbers(f"{told}: {detail}" if detail else told)


def _event(body: bytes) -> tuple[str, Node]:
    root = document.node(document.load(body))
    if "data" not in root.fields:
        raise Junk("data is missing")
    data = root.inner("data")
    return data.needed("event_type"), data


def _inbound(carrier: str, payload: Node) -> Inbound:
    external_id = payload.identifier("id")
    sender = payload.inner("from")
    address = document.address(sender.fields.get("phone_number"), sender.at("phone_number"))
    proxy_address, further = _recipients(payload)
    others = document.others(further, {address, proxy_address}, payload.at("cc"))
    media = document.few(
        [
            document.file(
                part.fields.get("url"),
                part.at("url"),
                part.word("content_type"),
                size=part.size("size"),
            )
            for part in payload.inners("media")
        ],
        payload.at("media"),
    )
    channel = CHANNELS.get(payload.needed("type").upper())
    if channel is None:
        raise Junk(f"{payload.at('type')} is not SMS or MMS")
    context = {
        "Subject": payload.word("subject"),
        "OptOutType": payload.word("autoresponse_type").upper(),
    }
    channel = "mms" if media or others else channel
    message = Inbound(
        carrier=carrier,
        external_id=external_id,
        channel=channel,
        address=address,
        proxy_address=proxy_address,
        body=payload.text("text") or None,
        media=media,
        others=others,
        channel_metadata=posted.metadata(channel, context),
        sent_at=payload.moment("received_at"),
    )
    return posted.with_form(message)


def _recipients(payload: Node) -> tuple[str, list[str]]:
    """Our number, and everybody else to whom it went. `to` was a bare number once."""
    if isinstance(payload.fields.get("to"), str):
        return document.address(payload.fields["to"], payload.at("to")), _numbers(payload, "cc")
    entries = payload.inners("to")
    if not entries:
        raise Junk(f"{payload.at('to')} is missing")
    numbers = _numbers(payload, "to")
    marked = [index for index, entry in enumerate(entries) if entry.word("status") == OURS]
    ours = marked[0] if len(marked) == 1 else 0
    return numbers[ours], numbers[:ours] + numbers[ours + 1 :] + _numbers(payload, "cc")


def _numbers(payload: Node, name: str) -> list[str]:
    return [
        document.address(entry.fields.get("phone_number"), entry.at("phone_number"))
        for entry in payload.inners(name)
    ]


def _error(payload: Node) -> tuple[int, str | None]:
    """The first error that the report names, in the original's numbers and in words."""
    errors = payload.inners("errors")
    if not errors:
        return codes.UNKNOWN, None
    return ERRORS.get(errors[0].word("code"), codes.UNKNOWN), described(errors[0])
