"""What Vonage's webhooks say: inbound messages of every channel, and statuses.

https://developer.vonage.com/en/api/messages (inbound-message, message-status),
.../messages/concepts/mms/mms-group-messaging and .../api-errors/messages. Numbers come without +.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from app.carriers import codes, document, posted
from app.carriers.contract import Junk
from app.carriers.document import Node
from app.carriers.exchange import without_numbers
from app.carriers.filetype import guessed
from app.carriers.vonage_errors import ERRORS, number
from app.model.parts import is_reference
from app.model.traffic import DeliveryStatus, Inbound, MediaPart, Status

# Message type -> the type of its file when the name does not tell.
FILES: Mapping[str, str] = {
    "image": "image/jpeg",
    "audio": "audio/ogg",
    "video": "video/mp4",
    "sticker": "image/webp",
    "vcard": "text/vcard",
    "file": document.UNKNOWN_TYPE,
}
# What has no column of its own and is kept as it came, in the metadata.
KEPT = ("order", "contact", "contacts", "reaction", "custom")
PREFIXES: Mapping[str, str] = {
    "sms": "",
    "mms": "",
    "whatsapp": "whatsapp:",
    "messenger": "messenger:",
    "rcs": "rcs:",
}
# Status -> receipt status (behaviour.md 4.9).
STATUSES: Mapping[str, DeliveryStatus] = {
    "submitted": "sent",
    "delivered": "delivered",
    "read": "read",
    "rejected": "failed",
    "undeliverable": "undelivered",
}
ENDS = frozenset({"failed", "undelivered"})

_NUMBER = re.compile(r"[1-9][0-9]{6,}")


def inbound(carrier: str, body: bytes) -> Inbound:
    """The message in an inbound webhook; raises Junk that names the field which is wrong. A type of
    message that we do not know is kept, with what its name is."""
    message = document.node(document.load(body))
    external_id = message.identifier("message_uuid")
    channel = message.needed("channel")
    if channel not in PREFIXES:
        raise Junk("channel is not one that we carry")
    address = _address(message, "from", channel)
    proxy_address = _address(message, "to", channel)
    media, text = _content(message, message.needed("message_type"))
    members = [
        document.address(_spelled(item, "mms"), place)
        for place, item in (message.inner("mms").items("participants") if channel == "mms" else [])
    ]
    if channel == "sms" and media:
        channel = "mms"
    read = Inbound(
        carrier=carrier,
        external_id=external_id,
        channel=channel,
        address=address,
        proxy_address=proxy_address,
        body=text or None,
        media=media,
        others=document.others(members, {address, proxy_address}, "mms.participants"),
        channel_metadata=posted.metadata(channel, _context(message, channel)),
        sent_at=message.moment("timestamp"),
    )
    return posted.with_form(read)


def status(carrier: str, body: bytes, receipt: str) -> Status | None:
    """The status in a status webhook, None for a word that is no status of ours; raises Junk.

    The receipt is the `client_ref` that went with the send, or `receipt`: the query parameter of
    that name in the webhook URL that the send gave.
    """
    report = document.node(document.load(body))
    external_id = report.identifier("message_uuid")
    word = report.needed("status")
    if word not in STATUSES:
        return None
    named = receipt or report.word("client_ref")
    ended = STATUSES[word] in ENDS
    code, text = _error(report) if ended else (None, None)
    return Status(
        carrier=carrier,
        external_id=external_id,
        status=STATUSES[word],
        error_code=code,
        error_message=text,
        receipt_sid=named if is_reference(named) else None,
    )


def _address(message: Node, name: str, channel: str) -> str:
    return document.address(_spelled(message.needed(name), channel), message.at(name))


def _spelled(given: Any, channel: str) -> Any:
    """As our addresses are spelled: a number gets its +, all but short codes and names."""
    if not isinstance(given, str):
        return given
    plus = "+" if channel != "messenger" and _NUMBER.fullmatch(given) else ""
    return f"{PREFIXES[channel]}{plus}{given}"


def _content(message: Node, kind: str) -> tuple[tuple[MediaPart, ...], str]:
    """The files and the text of a message of this type."""
    if kind == "text":
        return (), message.text("text")
    if kind in FILES:
        part = message.inner(kind)
        return (_file(part, kind),), part.word("caption") or message.word("text")
    if kind == "content":
        parts = message.inners("content")
        files = [_file(part, part.word("type")) for part in parts]
        captions = [caption for part in parts if (caption := part.word("caption"))]
        return document.few(files, "content"), message.word("text") or "\n".join(captions)
    if kind == "reply":
        return (), message.inner("reply").word("title")
    if kind == "button":
        return (), message.inner("button").word("text")
    if kind == "reaction":
        return (), message.inner("reaction").word("emoji")
    return (), message.word("text")


def _file(part: Node, kind: str) -> MediaPart:
    name, url = part.word("name"), part.fields.get("url")
    otherwise = guessed(str(url), FILES.get(kind, document.UNKNOWN_TYPE))
    return document.file(url, part.at("url"), guessed(name, otherwise), filename=name)


def _context(message: Node, channel: str) -> dict[str, Any]:
    """What else is known, under Twilio's names, so that nobody needs to know the carrier."""
    kind = message.word("message_type")
    profile, quoted = _part(message, "profile"), _part(message, "context")
    context: dict[str, Any] = {
        "ProfileName": profile.word("name"),
        "OriginalRepliedMessageSid": quoted.word("message_uuid"),
        "OriginalRepliedMessageSender": quoted.word("message_from"),
    }
    if channel not in ("sms", "mms") or kind not in ("text", "content", *FILES):
        context["MessageType"] = kind
    if channel == "whatsapp":
        context |= _whatsapp(_part(message, "whatsapp"))
        context["WaId"] = context["WaId"] or message.word("from")
    if kind in ("reply", "button", "location"):
        context |= _chosen(_part(message, kind), kind)
    kept = {
        name: message.fields[name]
        for name in KEPT
        if isinstance(message.fields.get(name), dict | list)
    }
    if kept:
        context["Content"] = orjson.dumps(kept).decode()
    return context | {"ProviderMessage": message.word("provider_message")}


def _whatsapp(details: Node) -> dict[str, Any]:
    sender, referral = _part(details, "sender"), _part(details, "referral")
    return {
        "WaId": sender.word("wa_id"),
        "ExternalUserId": sender.word("user_id"),
        "ReferralBody": referral.word("body"),
        "ReferralHeadline": referral.word("headline"),
        "ReferralSourceId": referral.word("source_id"),
        "ReferralSourceType": referral.word("source_type"),
        "ReferralSourceUrl": referral.word("source_url"),
        "ReferralCtwaClid": referral.word("ctwa_clid"),
    }


def _chosen(part: Node, kind: str) -> dict[str, Any]:
    """What somebody chose: a button, an entry of a list (which can have a description), a place."""
    if kind == "location":
        return {
            "Latitude": _plain(part.fields.get("lat")),
            "Longitude": _plain(part.fields.get("long")),
            "Label": part.word("name"),
            "Address": part.word("address"),
        }
    if kind == "button":
        return {
            "ButtonText": part.word("text"),
            "ButtonPayload": _plain(part.fields.get("payload")),
        }
    if part.word("description"):
        return {
            "ListId": part.word("id"),
            "ListTitle": part.word("title"),
            "ListDescription": part.word("description"),
        }
    return {"ButtonText": part.word("title"), "ButtonPayload": part.word("id")}


def _part(message: Node, name: str) -> Node:
    """An object that only adorns: anything else in its place is nothing."""
    value = message.fields.get(name)
    return Node(message.at(name), value if isinstance(value, dict) else {})


def _plain(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return orjson.dumps(value).decode()


def _error(report: Node) -> tuple[int, str | None]:
    """The error in the original's numbers and in words."""
    error = _part(report, "error")
    told = ": ".join(filter(None, (error.word("title"), error.word("detail"))))
    return ERRORS.get(number(error), codes.UNKNOWN), without_numbers(told) or None
