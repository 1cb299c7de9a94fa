"""Twilio's Content API: what WhatsApp thinks of a template there, and handing one in.

https://www.twilio.com/docs/content/content-api-resources (approval fetch and create). A ContentSid
of ours means nothing there: a template names the one that it has at Twilio (`carriers`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from app.carriers import storable
from app.carriers.contract import Context, Unlisted
from app.carriers.exchange import Reply, call, retry_after, without_numbers
from app.carriers.twilio_messages import OPERATORS_STATUSES, TOO_MANY, Line
from app.errors import CarrierError
from app.model.contents import APPROVAL_STATUSES, RECEIVED, REJECTED
from app.model.traffic import ApprovalRequest, Review

API_URL, CONTENT_URL = "https://api.twilio.com", "https://content.twilio.com"
CONFLICT = 409
REASON_CHARS_MAX, NAME_CHARS_MAX = 1024, 512


def content_url(base_url: str, given: str | None) -> str | None:
    """Where the Content API is; None: whoever speaks this dialect elsewhere may have none."""
    return given or (CONTENT_URL if base_url == API_URL else None)


async def review(line: Line, url: str, sid: str, context: Context) -> Review:
    """What WhatsApp thinks of this template. Raises Unlisted."""
    reply = await _call(line, "GET", f"{url}/v1/Content/{sid}/ApprovalRequests", context)
    said = reply.json().get("whatsapp")
    if reply.status != 200 or not isinstance(said, dict):
        raise _unread(reply, context)
    return _read(said)


async def submit(
    line: Line, url: str, sid: str, request: ApprovalRequest, context: Context
) -> Review:
    """Hand it in. What Twilio does not take is rejected, with its reason. Raises Unlisted."""
    wanted = {
        "name": request.name,
        "category": request.category,
        "allow_category_change": request.allow_category_change,
    }
    target = f"{url}/v1/Content/{sid}/ApprovalRequests/whatsapp"
    reply = await _call(line, "POST", target, context, orjson.dumps(wanted))
    said = reply.json()
    if reply.status == CONFLICT:
        return Review(RECEIVED)  # it was handed in before, and the list does not show it yet
    if reply.status == 400 and isinstance(said.get("code"), int):
        reason = without_numbers(str(said.get("message") or said["code"]))
        return Review(REJECTED, reason[:REASON_CHARS_MAX])
    if not 200 <= reply.status < 300:
        raise _unread(reply, context)
    return _read(said)


async def _call(
    line: Line, method: str, url: str, context: Context, body: bytes | None = None
) -> Reply:
    headers = line.headers | ({"Content-Type": "application/json"} if body else {})
    try:
        return await call(
            context, method, url, timeout_s=line.timeout_s, headers=headers, data=body
        )
    except CarrierError as error:
        raise Unlisted("unreachable", error.message) from error


def _read(said: Mapping[str, Any]) -> Review:
    status = said.get("status")
    if status not in APPROVAL_STATUSES:
        raise Unlisted("garbage", "the approval has a status that is none")
    return Review(
        status,
        _text(said, "rejection_reason", REASON_CHARS_MAX),
        _text(said, "name", NAME_CHARS_MAX),
        _text(said, "category", NAME_CHARS_MAX),
        _text(said, "content_type", NAME_CHARS_MAX),
        said.get("allow_category_change") is not False,
    )


def _text(said: Mapping[str, Any], name: str, most: int) -> str:
    given = said.get(name)
    return storable.text(given)[:most] if isinstance(given, str) else ""


def _unread(reply: Reply, context: Context) -> Unlisted:
    outcome = "garbage"
    if reply.status == TOO_MANY:
        outcome = "throttled"
    elif reply.status >= 500:
        outcome = "unreachable"
    elif reply.status in OPERATORS_STATUSES or reply.status == 404:
        outcome = "refused"
    wait_s = retry_after(reply.headers, context.clock.now())
    return Unlisted(outcome, f"HTTP {reply.status}", wait_s)
