"""What Bandwidth's callbacks say: a list of events, inbound messages and statuses among them.

https://dev.bandwidth.com/docs/messaging/webhooks and .../errors. A group message comes once for
each number of ours, with an id of its own; a message to a group is reported on once for each
recipient. We send to one recipient, so the tag of a report names the one receipt.
"""

from __future__ import annotations

from collections.abc import Mapping

from app.carriers import codes, document, posted
from app.carriers.contract import Junk
from app.carriers.document import Node
from app.carriers.exchange import without_numbers
from app.carriers.filetype import guessed
from app.model.parts import is_reference
from app.model.traffic import DeliveryStatus, Inbound, MediaPart, Status

RECEIVED = "message-received"
CHANNELS = frozenset({"", "SMS", "MMS"})
# How a phone lays an MMS out: not a file that somebody sent.
LAYOUTS = frozenset({"application/smil", "application/xml"})

# Event type -> receipt status (behaviour.md 4.9). Other types are no statuses.
STATUSES: Mapping[str, DeliveryStatus] = {
    "message-sending": "sent",
    "message-sent": "sent",
    "message-delivered": "delivered",
    "message-read": "read",
    "message-failed": "undelivered",
}

# https://dev.bandwidth.com/docs/messaging/errors. 9902 is a report that did not come in time.
ERRORS: Mapping[int, int] = {
    4302: codes.FROM_NOT_OURS,
    4303: codes.TO_INVALID,
    4350: codes.CONTENT_NOT_ACCEPTED,
    4360: codes.EXPIRED,
    4401: codes.TO_NOT_ROUTABLE,
    4403: codes.FROM_NOT_OURS,
    4404: codes.TO_NOT_ROUTABLE,
    4405: codes.FROM_NOT_OURS,
    4406: codes.HANDSET_UNKNOWN,
    4407: codes.FROM_NOT_OURS,
    4408: codes.TO_NOT_ROUTABLE,
    4409: codes.FROM_NOT_OURS,
    4410: codes.MEDIA_URL_INVALID,
    4411: codes.MEDIA_TOO_LARGE,
    4412: codes.MEDIA_TYPE_REFUSED,
    4420: codes.LANDLINE,
    4421: codes.LANDLINE,
    4431: codes.FROM_NOT_OURS,
    4432: codes.REGION_NOT_PERMITTED,
    4433: codes.TOLL_FREE_NOT_VERIFIED,
    4434: codes.TO_NOT_ROUTABLE,
    4470: codes.FILTERED,
    4481: codes.BLOCKED,
    4482: codes.BLOCKED,
    4492: codes.REGION_NOT_PERMITTED,
    4493: codes.FROM_NOT_OURS,
    4701: codes.HANDSET_UNREACHABLE,
    4702: codes.HANDSET_UNREACHABLE,
    4711: codes.CONTENT_TOO_LARGE,
    4712: codes.MEDIA_TYPE_REFUSED,
    4720: codes.HANDSET_UNKNOWN,
    4721: codes.HANDSET_UNKNOWN,
    4730: codes.LANDLINE,
    4740: codes.FROM_NOT_OURS,
    4751: codes.CONTENT_TOO_LARGE,
    4753: codes.HANDSET_UNREACHABLE,
    4770: codes.FILTERED,
    4771: codes.FILTERED,
    4772: codes.BLOCKED,
    4773: codes.CAMPAIGN_NOT_REGISTERED,
    4774: codes.CAMPAIGN_NOT_REGISTERED,
    4775: codes.OPTED_OUT,
    4780: codes.DAILY_LIMIT_REACHED,
    4781: codes.THROUGHPUT_EXCEEDED,
    4785: codes.THROUGHPUT_EXCEEDED,
    4790: codes.BLOCKED,
    4795: codes.TOLL_FREE_NOT_VERIFIED,
    5106: codes.TO_NOT_ROUTABLE,
    5201: codes.EXPIRED,
    5501: codes.TO_NOT_ROUTABLE,
}


def messages(carrier: str, body: bytes) -> list[Inbound]:
    """The received messages among these events; raises Junk."""
    return [_inbound(carrier, event) for event in _events(body) if event.word("type") == RECEIVED]


def statuses(carrier: str, body: bytes) -> list[Status]:
    """The statuses among these events; raises Junk."""
    return [_status(carrier, event) for event in _events(body) if event.word("type") in STATUSES]


def _events(body: bytes) -> list[Node]:
    found = document.load(body)
    if not isinstance(found, list):
        raise Junk("the body is not a list")
    events = [document.node(item, f"[{index}]") for index, item in enumerate(found)]
    for event in events:
        event.needed("type")
    return events


def _inbound(carrier: str, event: Node) -> Inbound:
    message = event.inner("message")
    external_id = message.identifier("id")
    if message.word("channel").upper() not in CHANNELS:
        raise Junk(f"{message.at('channel')} is not SMS or MMS")
    address = document.address(message.fields.get("from"), message.at("from"))
    ours = message.text("owner") or event.text("to")
    proxy_address = document.address(ours, message.at("owner"))
    members = [document.address(item, place) for place, item in message.items("to")]
    others = document.others(members, {address, proxy_address}, message.at("to"))
    media = _media(message)
    read = Inbound(
        carrier=carrier,
        external_id=external_id,
        channel="mms" if media or others else "sms",
        address=address,
        proxy_address=proxy_address,
        body=message.text("text") or None,
        media=media,
        others=others,
        sent_at=message.moment("time"),
    )
    return posted.with_form(read)


def _media(message: Node) -> tuple[MediaPart, ...]:
    parts = [
        document.file(item, place, guessed(str(item), document.UNKNOWN_TYPE))
        for place, item in message.items("media")
    ]
    return document.few(
        [part for part in parts if part.content_type not in LAYOUTS], message.at("media")
    )


def _status(carrier: str, event: Node) -> Status:
    message = event.inner("message")
    status, tag = STATUSES[event.needed("type")], message.word("tag")
    code, text = _error(event) if status == "undelivered" else (None, None)
    several = len(list(message.items("to"))) > 1  # then each has a report of its own
    return Status(
        carrier=carrier,
        external_id=message.identifier("id"),
        status=status,
        error_code=code,
        error_message=text,
        receipt_sid=tag if is_reference(tag) else None,
        address=event.word("to") or None if several else None,
    )


def _error(event: Node) -> tuple[int, str | None]:
    """The error in the original's numbers and in words. Only the number decides: the description
    is for people, says Bandwidth."""
    number = event.fields.get("errorCode")
    told = " ".join(filter(None, (event.word("errorCode"), event.word("description"))))
    known = ERRORS.get(number, codes.UNKNOWN) if isinstance(number, int) else codes.UNKNOWN
    return known, without_numbers(told) or None
