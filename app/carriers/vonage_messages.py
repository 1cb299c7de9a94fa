"""Vonage's Messages resource: send one, and what each refusal means.

https://developer.vonage.com/en/api/messages. Errors are RFC 7807 documents.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from app.carriers import codes, whatsapp_templates
from app.carriers.contract import Context
from app.carriers.document import Node
from app.carriers.exchange import Reply, call, retry_after, without_numbers
from app.carriers.vonage_errors import REFUSALS, number
from app.carriers.vonage_token import Signer
from app.errors import Permanent, Temporary, Unknown
from app.model.traffic import Accepted, MediaPart, Outgoing

UNAUTHORISED, TOO_MANY = 401, 429
# Not about the message: the operator's to mend, the message must not die.
OPERATORS_STATUSES: Mapping[int, int] = {
    401: codes.UNAUTHORISED,
    402: codes.ACCOUNT_NOT_ACTIVE,  # low balance
    403: codes.UNAUTHORISED,
    404: codes.UNAVAILABLE,
}
# The parameter that a refusal complains about -> the original's number.
PARAMETERS: Mapping[str, int] = {
    "to": codes.TO_INVALID,
    "from": codes.FROM_NOT_OURS,
    "text": codes.BODY_TOO_LONG,
    "url": codes.MEDIA_URL_INVALID,
}
# Which types of file each channel has a message type for; every other file is a `file`.
TYPES: Mapping[str, frozenset[str]] = {
    "mms": frozenset({"image", "audio", "video", "vcard", "file"}),
    "whatsapp": frozenset({"image", "audio", "video", "sticker", "file"}),
    "messenger": frozenset({"image", "audio", "video", "file"}),
    "rcs": frozenset({"image", "video", "file"}),
}
# Which of them can carry a text.
CAPTIONED: Mapping[str, frozenset[str]] = {
    "mms": frozenset({"image", "audio", "video", "vcard", "file"}),
    "whatsapp": frozenset({"image", "video", "file"}),
}
VCARDS = frozenset({"text/vcard", "text/x-vcard", "text/directory", "application/vcard"})
STICKERS = frozenset({"image/webp"})


@dataclass(frozen=True, slots=True)
class Line:
    """How the API is reached, by which carrier of the YAML; `timeout_s` is for one call."""

    carrier: str
    base_url: str
    signer: Signer
    timeout_s: float

    def login(self, now: datetime) -> dict[str, str]:
        """Who we are."""
        return {"Authorization": f"Bearer {self.signer.token(now)}"}


async def create(line: Line, outgoing: Outgoing, context: Context) -> Accepted:
    """Send a message. Raises Temporary, Permanent or Unknown."""
    message = _message(outgoing, line.carrier)
    now = context.clock.now()
    reply = await call(
        context,
        "POST",
        f"{line.base_url}/v1/messages",
        timeout_s=line.timeout_s,
        headers=line.login(now)
        | {"Content-Type": "application/json", "Accept": "application/json"},
        data=orjson.dumps(message),
    )
    return accepted(reply, context.clock.now())


def accepted(reply: Reply, now: datetime) -> Accepted:
    """What this answer to a send means; raises Temporary, Permanent or Unknown."""
    said = reply.json()
    if 200 <= reply.status < 300:
        return _named(said)
    error = Node("", said)
    told = ": ".join(filter(None, (error.word("title"), error.word("detail"))))
    text = without_numbers(told) or f"HTTP {reply.status}"
    if reply.status == TOO_MANY:
        wait_s = retry_after(reply.headers, now)
        raise Temporary(text, codes.TOO_MANY_REQUESTS, wait_s, throttled=True)
    if reply.status >= 500:
        raise Unknown(text, codes.UNKNOWN)
    if reply.status in OPERATORS_STATUSES:
        down = reply.status == UNAUTHORISED
        raise Temporary(text, OPERATORS_STATUSES[reply.status], down=down)
    if reply.status >= 400 and told:
        raise Permanent(text, _refusal(error))
    raise Temporary(f"HTTP {reply.status} without an error of Vonage's")


def _message(outgoing: Outgoing, carrier: str) -> dict[str, Any]:
    """Raises Permanent for what no single message of this channel can be."""
    message: dict[str, Any] = {
        "channel": outgoing.channel,
        "to": _bare(outgoing.address),
        "from": _bare(outgoing.proxy_address),
        "client_ref": outgoing.reference,
    }
    if outgoing.status_url is not None:
        message |= {"webhook_url": outgoing.status_url, "webhook_version": "v1"}
    return message | (_custom(outgoing, carrier) or _content(outgoing))


def _custom(outgoing: Outgoing, carrier: str) -> dict[str, Any] | None:
    """A template in WhatsApp's own words, which Vonage hands on as they are
    (https://developer.vonage.com/en/messages/concepts/custom-objects)."""
    if outgoing.channel != "whatsapp":
        return None
    said = whatsapp_templates.whatsapp(outgoing, carrier)
    if said is None:
        return None
    if said["type"] == "template":
        said["template"]["language"]["policy"] = "deterministic"
    return {"message_type": "custom", "custom": said}


def _content(outgoing: Outgoing) -> dict[str, Any]:
    body, media = outgoing.body, outgoing.media
    if not media:
        return {"message_type": "text", "text": body or ""}
    channel = outgoing.channel
    types = [_type(channel, part) for part in media]
    captioned = types[0] in CAPTIONED.get(channel, ())
    if (body and not captioned) or (len(media) > 1 and channel != "mms"):
        text = f"{channel} takes one file or one text in a message"
        raise Permanent(text, codes.CONTENT_NOT_ACCEPTED)
    files = [{"url": part.url} for part in media]
    if body:
        files[0]["caption"] = body
    if len(files) == 1:
        return {"message_type": types[0], types[0]: files[0]}
    listed = [{"type": kind, **file} for kind, file in zip(types, files, strict=True)]
    return {"message_type": "content", "content": listed}


def _type(channel: str, part: MediaPart) -> str:
    """The message type for a file on this channel; raises Permanent on a channel without files."""
    if channel not in TYPES:
        raise Permanent(f"{channel} carries no files here", codes.CONTENT_NOT_ACCEPTED)
    content_type = part.content_type.partition(";")[0].strip().lower()
    kind = content_type.partition("/")[0]
    if content_type in VCARDS:
        kind = "vcard"
    if content_type in STICKERS and "sticker" in TYPES[channel]:
        kind = "sticker"
    return kind if kind in TYPES[channel] else "file"


def _bare(address: str) -> str:
    """As Vonage spells it: without our prefix, and without the + of a number."""
    return address.rpartition(":")[2].removeprefix("+")


def _named(said: Mapping[str, Any]) -> Accepted:
    external_id = said.get("message_uuid")
    if not isinstance(external_id, str) or not external_id:
        raise Unknown("the carrier accepted something that it does not name")
    return Accepted(external_id)


def _refusal(error: Node) -> int:
    """By the first parameter that is wrong, like `to` or `image.url`; else by the number."""
    listed = error.fields.get("invalid_parameters")
    for row in listed if isinstance(listed, list) else []:
        name = Node("", row).word("name") if isinstance(row, dict) else ""
        if (last := name.rpartition(".")[2]) in PARAMETERS:
            return PARAMETERS[last]
    return REFUSALS.get(number(error), codes.UNKNOWN)
