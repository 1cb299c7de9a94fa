"""What Twilio's webhooks say: inbound messages and delivery statuses, read from their parameters.

https://www.twilio.com/docs/messaging/guides/webhook-request and .../track-outbound-message-status;
the WhatsApp and group parameters from requests seen in the wild (reference: behaviour.md 4.1).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from app.carriers import storable
from app.carriers.contract import Junk
from app.channels.address import channel_of, normalise
from app.model.parts import is_reference
from app.model.traffic import DeliveryStatus, Inbound, MediaPart, Status

Fields = Mapping[str, str]

MEDIA_MAX = 10
OTHERS_MAX = 50
URL_LENGTH_MAX = 4096
UNKNOWN_TYPE = "application/octet-stream"

# Message status -> receipt status (behaviour.md 4.9); None: on its way, nothing is known yet.
STATUSES: Mapping[str, DeliveryStatus | None] = {
    "accepted": None,
    "scheduled": None,
    "queued": None,
    "sending": None,
    "sent": "sent",
    "delivered": "delivered",
    "read": "read",
    "undelivered": "undelivered",
    "failed": "failed",
    "canceled": "failed",
}

# What has no column of its own on a message and goes into its channel metadata.
CONTEXT = (
    "ProfileName",
    "WaId",
    "ExternalUserId",
    "MessageType",
    "ButtonText",
    "ButtonPayload",
    "ListId",
    "ListTitle",
    "ListDescription",
    "InteractiveData",
    "FlowData",
    "OriginalRepliedMessageSid",
    "OriginalRepliedMessageSender",
    "Forwarded",
    "FrequentlyForwarded",
    "Latitude",
    "Longitude",
    "Label",
    "Address",
    "OptOutType",
)
OTHERS = "OtherRecipients"
SAYING = frozenset(CONTEXT)
REFERRAL = "Referral"
# Sent with every WhatsApp message; says nothing when no referral comes with it.
REFERRAL_COUNT = "ReferralNumMedia"

_SID = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_COUNT = re.compile(r"[0-9]{1,3}")
_CODE = re.compile(r"[1-9][0-9]{0,8}")
_URL = re.compile(r"https?://[!-~]+")
_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(?:\s*;[ -~]*)?", re.ASCII)
_OTHER = re.compile(rf"{OTHERS}([0-9]{{1,4}})")


def inbound(carrier: str, fields: Fields) -> Inbound:
    """The message in an inbound webhook; raises Junk that names the parameter which is wrong."""
    fields = _first(fields)
    external_id = _sid(fields)
    address, proxy_address = _address(fields, "From"), _address(fields, "To")
    media = _media(fields)
    channel = channel_of(address)
    if channel != channel_of(proxy_address):
        raise Junk("From and To are addresses of different channels")
    if channel == "sms" and (media or external_id.startswith("MM")):
        channel = "mms"
    return Inbound(
        carrier=carrier,
        external_id=external_id,
        channel=channel,
        address=address,
        proxy_address=proxy_address,
        body=storable.text(fields.get("Body", "")) or None,
        media=media,
        others=_others(fields, {address, proxy_address}),
        channel_metadata=_channel_metadata(channel, fields),
        form=storable.form(fields),
    )


def status(carrier: str, fields: Fields, receipt: str | None) -> Status | None:
    """The status in a StatusCallback, None for a word that is no status of ours; raises Junk.

    `receipt` is the query parameter of that name in the URL that the send gave as StatusCallback.
    """
    external_id = _sid(fields)
    word = fields.get("MessageStatus") or fields.get("SmsStatus")
    if not word:
        raise Junk("MessageStatus is missing")
    if word not in STATUSES:
        return None
    code = fields.get("ErrorCode", "")
    return Status(
        carrier=carrier,
        external_id=external_id,
        status=STATUSES[word],
        error_code=int(code) if _CODE.fullmatch(code) else None,
        error_message=storable.text(fields.get("ErrorMessage", "")) or None,
        receipt_sid=receipt if is_reference(receipt) else None,
    )


def _first(fields: Fields) -> dict[str, str]:
    """The fields, each with the first of its values: a plain dict, which is asked for dozens."""
    plain = dict(fields.items())
    if len(plain) < len(fields):  # some name came again: a multidict gives the first
        plain = {name: fields[name] for name in plain}
    return plain


def _sid(fields: Fields) -> str:
    sid = fields.get("MessageSid") or fields.get("SmsMessageSid") or fields.get("SmsSid") or ""
    if not sid:
        raise Junk("MessageSid is missing")
    if not _SID.fullmatch(sid):
        raise Junk("MessageSid is not a SID")
    return sid


def _address(fields: Fields, name: str) -> str:
    given = fields.get(name, "")
    if not given:
        raise Junk(f"{name} is missing")
    try:
        return normalise(given, allow_short_code=True, lenient=True)
    except ValueError as error:
        raise Junk(f"{name} is not an address: {error}") from error


def _media(fields: Fields) -> tuple[MediaPart, ...]:
    given = fields.get("NumMedia", "0")
    if not _COUNT.fullmatch(given) or int(given) > MEDIA_MAX:
        raise Junk(f"NumMedia is not a number from 0 to {MEDIA_MAX}")
    count = int(given)
    if f"MediaUrl{count}" in fields:
        raise Junk("there is more media than NumMedia says")
    return tuple(_media_part(fields, index) for index in range(count))


def _media_part(fields: Fields, index: int) -> MediaPart:
    url = fields.get(f"MediaUrl{index}", "")
    if len(url) > URL_LENGTH_MAX or not _URL.fullmatch(url):
        raise Junk(f"MediaUrl{index} is missing or not a URL")
    content_type = fields.get(f"MediaContentType{index}", "")
    return MediaPart(url, content_type if _TYPE.fullmatch(content_type) else UNKNOWN_TYPE)


def _others(fields: Fields, known: set[str]) -> tuple[str, ...]:
    """The further members of a group MMS: OtherRecipients0, OtherRecipients1, ..."""
    if OTHERS not in "&".join(fields):
        return ()
    names = {name: int(match[1]) for name in fields if (match := _OTHER.fullmatch(name))}
    if len(names) > OTHERS_MAX:
        raise Junk(f"there are more than {OTHERS_MAX} OtherRecipients")
    members = [_address(fields, name) for name in sorted(names, key=lambda name: names[name])]
    return tuple(member for member in dict.fromkeys(members) if member not in known)


def _channel_metadata(channel: str, fields: Fields) -> dict[str, Any] | None:
    """`{"type": ..., "data": {"context": {...}}}` as the original keeps it, with every further
    parameter in the context. ChannelMetadata that is not such JSON is kept as `data.text`."""
    given = storable.text(fields.get("ChannelMetadata", ""))
    if not given and SAYING.isdisjoint(fields) and REFERRAL not in "&".join(fields):
        return None
    context = {name: storable.text(fields[name]) for name in CONTEXT if fields.get(name)}
    referral = {name: storable.text(fields[name]) for name in fields if _of_referral(name)}
    if set(referral) - {REFERRAL_COUNT} or referral.get(REFERRAL_COUNT, "0") != "0":
        context |= referral
    if not given and not context:
        return None
    stated = _stated(given)
    if stated is None:
        text = {"text": given} if given else {}
        return {"type": channel, "data": {"context": context, **text}}
    data = stated["data"]
    return {**stated, "data": {**data, "context": {**context, **data["context"]}}}


def _of_referral(name: str) -> bool:
    return name.startswith(REFERRAL)


def _stated(text: str) -> dict[str, Any] | None:
    try:
        found = storable.document(orjson.loads(text))
    except ValueError:  # not JSON, or too deep
        return None
    match found:
        case {"type": str(), "data": {"context": dict()}}:
            return dict(found)
    return None
