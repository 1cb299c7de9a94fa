"""Meta's Graph API: hand a message over, and find where a file is now.

https://developers.facebook.com/docs/whatsapp/cloud-api/reference/messages and
https://developers.facebook.com/docs/messenger-platform/reference/send-api. Our own reference goes
with every send and comes back with its statuses (`biz_opaque_callback_data`, `metadata`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import orjson

from app.carriers import meta_errors, meta_templates, whatsapp_templates
from app.carriers.contract import Context, MediaSource
from app.carriers.exchange import Reply, call, retry_after, without_numbers
from app.carriers.meta_content import MEDIA_ID
from app.errors import Permanent, Temporary, Unknown
from app.model.traffic import Accepted, DeliveryStatus, MediaPart, Outgoing

# Where the API says, in minutes, when a business may call it again.
USAGE = "X-Business-Use-Case-Usage"
TOO_MANY = 429
GONE_CODE = 63019
# How a file is shown, by its type, or by the kind of type; anything else is a document or file.
WHATSAPP_KINDS: Mapping[str, str] = {
    "image": "image",
    "video": "video",
    "audio": "audio",
    "image/webp": "sticker",
}
WITH_CAPTION = frozenset({"image", "video", "document"})
MESSENGER_KINDS = frozenset({"image", "video", "audio"})

_NUMBER = re.compile(r"\+[0-9]+")


@dataclass(frozen=True, slots=True)
class Graph:
    """How the API is reached; `timeout_s` is for one call."""

    base_url: str
    timeout_s: float


async def send(
    graph: Graph, path: str, token: str, body: Mapping[str, Any], context: Context
) -> Reply:
    """POST a message to `{path}/messages`; raises Temporary and Unknown."""
    return await call(
        context,
        "POST",
        f"{graph.base_url}/{path}/messages",
        timeout_s=graph.timeout_s,
        headers={**_bearer(token), "Content-Type": "application/json"},
        data=orjson.dumps(body),
    )


def whatsapp_message(outgoing: Outgoing, carrier: str) -> dict[str, Any]:
    """The body of a send to a phone number (`to`) or to a business-scoped id (`recipient`);
    `carrier` is our name in the YAML, by which templates know what Meta calls them."""
    person = outgoing.address.removeprefix("whatsapp:")
    field = "to" if _NUMBER.fullmatch(person) else "recipient"
    return {
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        field: person,
        **(whatsapp_templates.whatsapp(outgoing, carrier) or _whatsapp_content(outgoing)),
        "biz_opaque_callback_data": outgoing.reference,
    }


def messenger_message(outgoing: Outgoing) -> dict[str, Any]:
    """The body of a reply within the window."""
    content = meta_templates.messenger(outgoing) or _messenger_content(outgoing)
    return {
        "recipient": {"id": outgoing.address.removeprefix("messenger:")},
        "messaging_type": "RESPONSE",
        "message": {**content, "metadata": outgoing.reference},
    }


def instagram_message(outgoing: Outgoing) -> dict[str, Any]:
    """The same on Instagram, which takes no reference of ours.
    https://developers.facebook.com/docs/messenger-platform/instagram/features/send-message"""
    person = outgoing.address.removeprefix("instagram:")
    return {"recipient": {"id": person}, "message": _messenger_content(outgoing)}


def whatsapp_accepted(reply: Reply, now: datetime) -> Accepted:
    """What this answer means; raises Temporary, Permanent or Unknown. The token is that of the
    system user, for all numbers: without it nothing goes."""
    match _good(reply, now, shared=True):
        case {"messages": [{"id": str() as name}, *_]} if name:
            return Accepted(name)
    raise _nameless()


def messenger_accepted(reply: Reply, now: datetime) -> Accepted:
    """The same for Messenger, which reports no `sent`: what it took is sent. The token is the
    page's own."""
    status: DeliveryStatus = "sent"
    match _good(reply, now):
        case {"message_id": str() as name} if name:
            return Accepted(name, status)
    raise _nameless()


async def media_source(graph: Graph, token: str | None, url: str, context: Context) -> MediaSource:
    """Where the file is for the next five minutes, and the token that opens it. A URL that is not
    the API's own needs neither. Raises Temporary, and Permanent for what is gone."""
    name = _media_id(graph, url)
    if name is None:
        return MediaSource(url, {})
    if token is None:
        raise Temporary("access_token is not set: the file cannot be asked for")
    try:
        reply = await call(
            context,
            "GET",
            f"{graph.base_url}/{name}",
            timeout_s=graph.timeout_s,
            headers=_bearer(token),
        )
        said = _good(reply, context.clock.now())
    except Unknown as lost:
        raise Temporary(lost.message, down=True) from lost
    except Permanent as gone:
        raise Permanent(gone.message, GONE_CODE) from gone
    place = said.get("url")
    if not isinstance(place, str) or urlsplit(place).scheme not in ("http", "https"):
        raise Temporary("the API does not say where the file is")
    return MediaSource(place, _bearer(token))


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}", "Accept": "application/json"}


def _whatsapp_content(outgoing: Outgoing) -> dict[str, Any]:
    if not outgoing.media:
        return {"type": "text", "text": {"body": outgoing.body or ""}}
    part = outgoing.media[0]
    whole, half = _kind(part)
    kind = WHATSAPP_KINDS.get(whole) or WHATSAPP_KINDS.get(half) or "document"
    file = {"link": part.url}
    if kind in WITH_CAPTION and outgoing.body:
        file["caption"] = outgoing.body
    if kind == "document" and part.filename:
        file["filename"] = part.filename
    return {"type": kind, kind: file}


def _messenger_content(outgoing: Outgoing) -> dict[str, Any]:
    if not outgoing.media:
        return {"text": outgoing.body or ""}
    kind = _kind(outgoing.media[0])[1]
    kind = kind if kind in MESSENGER_KINDS else "file"
    return {"attachment": {"type": kind, "payload": {"url": outgoing.media[0].url}}}


def _kind(part: MediaPart) -> tuple[str, str]:
    """`image/png` and `image`."""
    whole = part.content_type.partition(";")[0].strip().lower()
    return whole, whole.partition("/")[0]


def _media_id(graph: Graph, url: str) -> str | None:
    """The id in a URL of the API, of whatever version the API was when the file came."""
    ours, given = urlsplit(graph.base_url), urlsplit(url)
    name = given.path.rpartition("/")[2]
    same = (given.scheme, given.netloc) == (ours.scheme, ours.netloc)
    return name if same and not given.query and MEDIA_ID.fullmatch(name) else None


def _good(reply: Reply, now: datetime, *, shared: bool = False) -> dict[str, Any]:
    """What a good answer says. A refusal that is not Meta's own (a proxy's) is tried again, and a
    failure of the server that it does not explain leaves open whether it was sent. `shared`: the
    token is that of all senders."""
    said = reply.json()
    if 200 <= reply.status < 300:
        return said
    given = said.get("error")
    error = given if isinstance(given, dict) else {}
    code, subcode = _number(error.get("code")), _number(error.get("error_subcode")) or 0
    text = _text(reply, code, error)
    raised = code if code is None else meta_errors.twin(code, subcode)[0] or None
    passes = reply.status == TOO_MANY or (
        code is not None and meta_errors.is_temporary(code, subcode)
    )
    if passes:
        down, barred = shared and code in meta_errors.LOGIN, code in meta_errors.BARRED
        throttled = reply.status == TOO_MANY or code in meta_errors.THROTTLED
        throttled = throttled and code != meta_errors.PAIR_LIMIT
        wait_s = _wait_s(reply, now)
        raise Temporary(text, raised, wait_s, down=down, barred=barred, throttled=throttled)
    if reply.status >= 500 and not (code and meta_errors.is_known(code, subcode)):
        raise Unknown(text, raised)
    if reply.status >= 400 and code:
        raise Permanent(text, *meta_errors.twin(code, subcode))
    raise Temporary(f"HTTP {reply.status} without an error of Meta's")


def _text(reply: Reply, code: int | None, error: Mapping[str, Any]) -> str:
    data = error.get("error_data")
    details = data.get("details") if isinstance(data, dict) else None
    words = str(details or error.get("message") or f"HTTP {reply.status}")
    return without_numbers(words if code is None else f"({code}) {words}")


def _number(given: Any) -> int | None:
    return given if type(given) is int and 0 <= given < 2**31 else None


def _wait_s(reply: Reply, now: datetime) -> float | None:
    """The seconds of Retry-After, or the longest wait in the usage header."""
    wait_s = retry_after(reply.headers, now)
    if wait_s is not None:
        return wait_s
    try:
        usage = orjson.loads(reply.headers.get(USAGE, ""))
    except orjson.JSONDecodeError:
        return None
    groups = usage.values() if isinstance(usage, dict) else ()
    rows = [row for group in groups if isinstance(group, list) for row in group]
    minutes = [
        _number(row.get("estimated_time_to_regain_access")) for row in rows if isinstance(row, dict)
    ]
    longest = max((one for one in minutes if one), default=0)
    return longest * 60.0 or None


def _nameless() -> Unknown:
    return Unknown("the carrier accepted something that it does not name")
