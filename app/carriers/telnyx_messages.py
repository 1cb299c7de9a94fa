"""Telnyx's Messages resource: send one, and what each refusal means.

https://developers.telnyx.com/api-reference/messages/send-a-message and
https://developers.telnyx.com/docs/messaging/messages/error-codes, API and configuration errors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import orjson

from app.carriers import codes
from app.carriers.contract import Context
from app.carriers.document import Node
from app.carriers.exchange import Reply, call, retry_after
from app.carriers.telnyx_events import ERRORS, STATUSES, described
from app.errors import Permanent, Temporary, Unknown
from app.model.traffic import Accepted, Outgoing

CHANNELS = frozenset({"sms", "mms"})
UNAUTHORISED, TOO_MANY = 401, 429
# https://developers.telnyx.com/api-reference/messages/send-a-group-mms-message
GROUP_MAX = 8

# Refusals of this message, with the original's numbers; those of ERRORS are refusals too.
REFUSALS: Mapping[str, int] = {
    **ERRORS,
    "10002": codes.TO_INVALID,
    "10003": codes.MEDIA_URL_INVALID,
    "10016": codes.TO_INVALID,
    "10039": codes.TO_NOT_VERIFIED,
    "40304": codes.NO_CONTENT,
    "40305": codes.FROM_NOT_OURS,
    "40306": codes.FROM_NOT_OURS,
    "40308": codes.FROM_NOT_OURS,
    "40316": codes.NO_CONTENT,
    "40328": codes.BODY_TOO_LONG,
}
# Not about the message: a limit that passes, or something that the operator mends.
TEMPORARY: Mapping[str, int] = {
    "10005": codes.UNAVAILABLE,  # no such resource: a wrong base_url
    "10007": codes.UNAVAILABLE,  # unexpected error
    "10009": codes.UNAUTHORISED,
    "10010": codes.UNAUTHORISED,
    "10011": codes.TOO_MANY_REQUESTS,
    "20100": codes.ACCOUNT_NOT_ACTIVE,  # no funds
    "40011": codes.THROUGHPUT_EXCEEDED,
    "40016": codes.DAILY_LIMIT_REACHED,
    "40018": codes.THROUGHPUT_EXCEEDED,
    "40151": codes.UNAVAILABLE,  # messaging is being enabled
    "40311": codes.UNAUTHORISED,
    "40312": codes.ACCOUNT_NOT_ACTIVE,  # the messaging profile is disabled
    "40313": codes.UNAUTHORISED,
    "40314": codes.ACCOUNT_NOT_ACTIVE,
    "40318": codes.QUEUE_FULL,
    "40320": codes.UNAVAILABLE,  # the purchase of the number is pending
    "40321": codes.UNAVAILABLE,  # no usable number on the profile
    "40333": codes.ACCOUNT_NOT_ACTIVE,  # the spending limit is reached
}
OPERATORS_STATUSES: Mapping[int, int] = {
    401: codes.UNAUTHORISED,
    402: codes.ACCOUNT_NOT_ACTIVE,
    403: codes.UNAUTHORISED,
    404: codes.UNAVAILABLE,
}


@dataclass(frozen=True, slots=True)
class Line:
    """How the API is reached; `timeout_s` is for one call."""

    base_url: str
    api_key: str = field(repr=False)
    messaging_profile_id: str | None
    timeout_s: float

    @property
    def headers(self) -> dict[str, str]:
        """Who we are, and what we send."""
        return {
            "Authorization": f"Bearer {self.api_key}",
            "Content-Type": "application/json",
            "Accept": "application/json",
        }


async def create(line: Line, outgoing: Outgoing, context: Context) -> Accepted:
    """Send a message. Raises Temporary, Permanent or Unknown."""
    if outgoing.channel not in CHANNELS:
        text = f"this carrier does not carry {outgoing.channel}"
        raise Permanent(text, codes.CONTENT_NOT_ACCEPTED)
    if len(outgoing.others) >= GROUP_MAX:
        text = f"this carrier sends group texts to {GROUP_MAX} recipients at most"
        raise Permanent(text, codes.TO_NOT_ROUTABLE)
    path = "/v2/messages/group_mms" if outgoing.others else "/v2/messages"
    reply = await call(
        context,
        "POST",
        f"{line.base_url}{path}",
        timeout_s=line.timeout_s,
        headers=line.headers,
        data=orjson.dumps(_message(line, outgoing)),
    )
    return accepted(reply, context.clock.now())


def accepted(reply: Reply, now: datetime) -> Accepted:
    """What this answer to a send means; raises Temporary, Permanent or Unknown.

    Telnyx's own code decides before the HTTP status: an opt-out (40300) comes with 400 and 403.
    """
    if 200 <= reply.status < 300:
        return _named(reply.json())
    error = _error(reply.json())
    code = error.word("code")
    text = described(error) or f"HTTP {reply.status}"
    if reply.status == TOO_MANY:
        raise Temporary(text, codes.TOO_MANY_REQUESTS, _wait_s(reply, now), throttled=True)
    if reply.status >= 500:
        raise Unknown(text, codes.UNKNOWN)
    if code in TEMPORARY:
        down = reply.status == UNAUTHORISED
        raise Temporary(text, TEMPORARY[code], _wait_s(reply, now), down=down)
    if code in REFUSALS:
        raise Permanent(text, REFUSALS[code])
    if reply.status in OPERATORS_STATUSES:
        down = reply.status == UNAUTHORISED
        raise Temporary(text, OPERATORS_STATUSES[reply.status], down=down)
    if reply.status >= 400 and code:
        raise Permanent(text, codes.UNKNOWN)
    raise Temporary(f"HTTP {reply.status} without an error of Telnyx's")


def _message(line: Line, outgoing: Outgoing) -> dict[str, Any]:
    message: dict[str, Any] = {"from": outgoing.proxy_address}
    if outgoing.others:  # the number's own profile sends it
        message["to"] = [outgoing.address, *outgoing.others]
    else:
        message |= {"to": outgoing.address, "type": "MMS" if outgoing.media else "SMS"}
    if outgoing.body:
        message["text"] = outgoing.body
    if outgoing.media:
        message["media_urls"] = [part.url for part in outgoing.media]
    if line.messaging_profile_id is not None and not outgoing.others:
        message["messaging_profile_id"] = line.messaging_profile_id
    if outgoing.status_url is not None:
        message["webhook_url"] = outgoing.status_url
    return message


def _named(said: Mapping[str, Any]) -> Accepted:
    match said.get("data"):
        case {"id": str(external_id), "to": [{"status": str(word)}, *_]} if external_id:
            return Accepted(external_id, STATUSES.get(word))
        case {"id": str(external_id)} if external_id:
            return Accepted(external_id)
    raise Unknown("the carrier accepted something that it does not name")


def _error(said: Mapping[str, Any]) -> Node:
    match said.get("errors"):
        case [dict(first), *_]:
            return Node("errors[0]", first)
    return Node("errors[0]", {})


def _wait_s(reply: Reply, now: datetime) -> float | None:
    """Telnyx documents the seconds until its limit resets in a header of its own."""
    wait_s = retry_after(reply.headers, now)
    if wait_s is not None:
        return wait_s
    reset = reply.headers.get("x-ratelimit-reset", "").strip()
    return float(reset) if reset.isascii() and reset.isdecimal() and len(reset) < 10 else None
