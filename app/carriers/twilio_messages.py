"""Twilio's Messages resource: create one, and find one whose answer was lost.

https://www.twilio.com/docs/messaging/api/message-resource. What became of a create is read from the
answer's status and error code by the tables below; https://www.twilio.com/docs/api/errors.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import orjson
from aiohttp import FormData

from app.carriers.contract import Context
from app.carriers.exchange import Reply, call, retry_after, without_numbers
from app.carriers.twilio_form import STATUSES
from app.errors import NOT_LET_IN, Permanent, Temporary, Unknown
from app.model.traffic import Accepted, Outgoing

# Errors that another try may not meet: a limit that passes, or something that the operator mends.
TEMPORARY_CODES = frozenset(
    {
        14107,  # too many messages at once
        20003,  # wrong credentials
        20005,  # the account is not active
        20404,  # no such account: a wrong account_sid
        20429,  # too many requests
        20503,  # service unavailable
        21611,  # the sender's queue is full
        30001,  # queue overflow
        30022,  # A2P 10DLC throughput
        63018,  # the channel's rate limit
    }
)
# Not about the message but about who asks: the operator's to mend, the message must not die.
OPERATORS_STATUSES = frozenset({401, 403})
UNAVAILABLE_CODE = 20503
UNAUTHORISED, TOO_MANY = 401, 429
# Twilio's clock and ours. Being generous costs little: what is older and ours is known by its SID.
CLOCKS_APART = timedelta(seconds=30)
CONTENT_SID = re.compile(r"HX[0-9a-f]{32}")
PAGE_SIZE = 200
PAGES_MAX = 5


@dataclass(frozen=True, slots=True)
class Line:
    """How the API is reached; `carrier` is its name in the YAML, `timeout_s` is for one call."""

    carrier: str
    base_url: str
    account_sid: str
    auth_token: str = field(repr=False)
    messaging_service_sid: str | None
    timeout_s: float

    @property
    def messages_url(self) -> str:
        """The Messages resource of the account."""
        return f"{self.base_url}/2010-04-01/Accounts/{self.account_sid}/Messages.json"

    @property
    def headers(self) -> dict[str, str]:
        """Who we are."""
        pair = f"{self.account_sid}:{self.auth_token}".encode()
        return {
            "Authorization": f"Basic {b64encode(pair).decode()}",
            "Accept": "application/json",
        }


async def create(line: Line, outgoing: Outgoing, context: Context) -> Accepted:
    """Create a Message. Raises Temporary, Permanent or Unknown."""
    reply = await call(
        context,
        "POST",
        line.messages_url,
        timeout_s=line.timeout_s,
        headers=line.headers,
        data=_form(line, outgoing),
    )
    return accepted(reply, context.clock.now())


def accepted(reply: Reply, now: datetime) -> Accepted:
    """What this answer to a create means; raises Temporary, Permanent or Unknown.

    A success that names no Message, and a server error other than "service unavailable", leave
    open whether it was sent. A refusal that is not Twilio's own (a proxy's) is tried again.
    """
    said = reply.json()
    code = _code(said)
    text = without_numbers(str(said.get("message") or f"HTTP {reply.status}"))
    if 200 <= reply.status < 300:
        return _named(said)
    if reply.status == TOO_MANY:
        raise Temporary(text, code, retry_after(reply.headers, now), throttled=True)
    if reply.status >= 500 and code != UNAVAILABLE_CODE:
        raise Unknown(text, code)
    if reply.status >= 500 or reply.status in OPERATORS_STATUSES or code in TEMPORARY_CODES:
        wait_s = retry_after(reply.headers, now)
        down = reply.status >= 500 or _shut(reply.status, code)
        raise Temporary(text, code, wait_s, down=down)
    if reply.status >= 400 and code is not None:
        raise Permanent(text, code)
    raise Temporary(f"HTTP {reply.status} without an error of Twilio's")


async def find(line: Line, outgoing: Outgoing, context: Context) -> list[Accepted] | None:
    """The Messages like this one that were created since the attempt began; None when there are
    too many to look through.

    Twilio keeps no reference of ours, so a Message is known by its pair, body, number of media and
    time. The same text to the same person a little earlier looks the same: the caller takes away
    the SIDs of its other receipts. How Twilio words a template is its own affair: of one, the pair
    and the time count. Raises Temporary when Twilio could not be asked.
    """
    since = outgoing.started_at - CLOCKS_APART
    found: list[Mapping[str, Any]] = []
    url, params = (
        line.messages_url,
        {
            "To": outgoing.address,
            "From": outgoing.proxy_address,
            "DateSent>": since.strftime("%Y-%m-%d"),
            "PageSize": str(PAGE_SIZE),
        },
    )
    for _ in range(PAGES_MAX):
        page = await _page(line, url, params, context)
        found += [row for row in _rows(page) if _matches(line, row, outgoing, since)]
        following = next_page(line, page)
        if following is None:
            return [_named(row) for row in found]
        url, params = following, {}
    return None


def content_sid(names: Mapping[str, str]) -> str | None:
    """The ContentSid in what a template is called there; None when it is none: it becomes part of
    URLs that our login opens."""
    sid = names.get("sid", "")
    return sid if CONTENT_SID.fullmatch(sid) else None


def _form(line: Line, outgoing: Outgoing) -> FormData:
    form = FormData({"To": outgoing.address, "From": outgoing.proxy_address})
    if line.messaging_service_sid is not None:
        form.add_field("MessagingServiceSid", line.messaging_service_sid)
    content_sid = _content_sid(line, outgoing)
    if outgoing.template is not None and content_sid is not None:
        form.add_field("ContentSid", content_sid)
        if outgoing.template.variables:
            variables = orjson.dumps(outgoing.template.variables).decode()
            form.add_field("ContentVariables", variables)
    else:
        if outgoing.body:
            form.add_field("Body", outgoing.body)
        for part in outgoing.media:
            form.add_field("MediaUrl", part.url)
    if outgoing.status_url is not None:
        form.add_field("StatusCallback", outgoing.status_url)
    return form


def _content_sid(line: Line, outgoing: Outgoing) -> str | None:
    """The template as the account at Twilio knows it; without one it goes as text and files."""
    return content_sid(outgoing.template.named(line.carrier)) if outgoing.template else None


def _code(said: Mapping[str, Any]) -> int | None:
    code = said.get("code")
    return code if isinstance(code, int) and code > 0 else None


def _shut(status: int, code: int | None) -> bool:
    """Whether the account's login is not taken: that of all who send by this carrier."""
    return status == UNAUTHORISED or code in NOT_LET_IN


def _named(said: Mapping[str, Any]) -> Accepted:
    sid = said.get("sid")
    if not isinstance(sid, str) or not sid:
        raise Unknown("the carrier accepted something that it does not name")
    return Accepted(sid, STATUSES.get(str(said.get("status"))))


async def _page(
    line: Line, url: str, params: Mapping[str, str], context: Context
) -> Mapping[str, Any]:
    try:
        reply = await call(
            context,
            "GET",
            url,
            timeout_s=line.timeout_s,
            headers=line.headers,
            params=params,
        )
    except Unknown as lost:
        raise Temporary(lost.message, down=True) from lost
    page = reply.json()
    if reply.status != 200 or not isinstance(page.get("messages"), list):
        wait_s = retry_after(reply.headers, context.clock.now())
        text, code = f"the list of messages: HTTP {reply.status}", _code(page)
        raise Temporary(text, code, wait_s, down=_shut(reply.status, code))
    return page


def _rows(page: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return [row for row in page["messages"] if isinstance(row, dict)]


def next_page(line: Line, page: Mapping[str, Any]) -> str | None:
    """The next page, never away from the API: it is called with our credentials."""
    path = page.get("next_page_uri")
    if not isinstance(path, str) or not path.startswith("/"):
        return None
    base = urlsplit(line.base_url)
    if base.path and path.startswith(f"{base.path}/"):
        return f"{base.scheme}://{base.netloc}{path}"
    return line.base_url + path


def _matches(line: Line, row: Mapping[str, Any], outgoing: Outgoing, since: datetime) -> bool:
    if str(row.get("direction", "")).startswith("inbound") or not row.get("sid"):
        return False
    if (row.get("to"), row.get("from")) != (outgoing.address, outgoing.proxy_address):
        return False
    same_media = str(row.get("num_media") or "0") == str(len(outgoing.media))
    same_body = str(row.get("body") or "").strip() == (outgoing.body or "").strip()
    templated = _content_sid(line, outgoing) is not None
    if not templated and not (same_media and same_body):
        return False
    try:
        return parsedate_to_datetime(str(row.get("date_created"))) >= since
    except (ValueError, TypeError):
        return False
