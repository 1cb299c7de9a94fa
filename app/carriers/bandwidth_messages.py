"""Bandwidth's messages: create one, and find one whose answer was lost.

https://dev.bandwidth.com/docs/messaging/createMessage, .../getMessage and .../errors.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from app.carriers import codes
from app.carriers.contract import Context
from app.carriers.document import Node
from app.carriers.exchange import Reply, call, retry_after, without_numbers
from app.errors import Permanent, Temporary, Unknown
from app.model.traffic import Accepted, DeliveryStatus, Outgoing

CHANNELS = frozenset({"sms", "mms"})
UNAUTHORISED, TOO_MANY = 401, 429
# Not about the message: the operator's to mend, the message must not die.
OPERATORS_STATUSES: Mapping[int, int] = {
    401: codes.UNAUTHORISED,
    403: codes.UNAUTHORISED,
    404: codes.UNAVAILABLE,
    405: codes.UNAVAILABLE,
    406: codes.UNAVAILABLE,
    415: codes.UNAVAILABLE,
}
# The field that a 400 complains about -> the original's number.
FIELDS: Mapping[str, int] = {
    "to": codes.TO_INVALID,
    "from": codes.FROM_NOT_OURS,
    "text": codes.BODY_TOO_LONG,
    "media": codes.MEDIA_URL_INVALID,
}
# Status in the list -> receipt status. A failure is left to its report, which knows why.
LISTED: Mapping[str, DeliveryStatus] = {"SENT": "sent", "DELIVERED": "delivered"}
CLOCKS_APART = timedelta(seconds=30)
PAGE_SIZE = 100
PAGES_MAX = 5
# The list is not for this user: whether the message was sent cannot be told.
NO_LIST_STATUSES = frozenset({401, 403, 404})

# Letters, digits and signs that are one character in every encoding of an SMS.
_COUNTABLE = re.compile(r"[\n !\"#$%&'()*+,./:;<=>?0-9A-Za-z_-]*")


@dataclass(frozen=True, slots=True)
class Line:
    """How the API is reached; `login` is user:password, `timeout_s` is for one call."""

    base_url: str
    account_id: str
    application_id: str
    login: str = field(repr=False)
    timeout_s: float

    @property
    def messages_url(self) -> str:
        """The messages of the account."""
        return f"{self.base_url}/api/v2/users/{self.account_id}/messages"

    @property
    def media_url(self) -> str:
        """The files of the account."""
        return f"{self.base_url}/api/v2/users/{self.account_id}/media"

    @property
    def headers(self) -> dict[str, str]:
        """Who we are."""
        return {"Authorization": f"Basic {b64encode(self.login.encode()).decode()}"}


async def create(line: Line, outgoing: Outgoing, context: Context) -> Accepted:
    """Create a message. Raises Temporary, Permanent or Unknown."""
    if outgoing.channel not in CHANNELS:
        text = f"this carrier does not carry {outgoing.channel}"
        raise Permanent(text, codes.CONTENT_NOT_ACCEPTED)
    reply = await call(
        context,
        "POST",
        line.messages_url,
        timeout_s=line.timeout_s,
        headers=line.headers | {"Content-Type": "application/json; charset=utf-8"},
        data=orjson.dumps(_message(line, outgoing)),
    )
    return accepted(reply, context.clock.now())


def accepted(reply: Reply, now: datetime) -> Accepted:
    """What this answer to a create means; raises Temporary, Permanent or Unknown.

    Bandwidth promises that nothing was sent when it answers 4xx or 5xx; a server error that is not
    its own (a proxy's) leaves that open.
    """
    said = reply.json()
    if 200 <= reply.status < 300:
        return _named(said)
    text = _told(said)
    wait_s = retry_after(reply.headers, now)
    if reply.status == TOO_MANY:
        raise Temporary(text or "HTTP 429", codes.TOO_MANY_REQUESTS, wait_s, throttled=True)
    if reply.status >= 500 and text:
        raise Temporary(text, codes.UNAVAILABLE, wait_s, down=True)
    if reply.status >= 500:
        raise Unknown(f"HTTP {reply.status} without an error of Bandwidth's", codes.UNKNOWN)
    if reply.status in OPERATORS_STATUSES:
        text, code = text or f"HTTP {reply.status}", OPERATORS_STATUSES[reply.status]
        raise Temporary(text, code, down=reply.status == UNAUTHORISED)
    if reply.status >= 400 and text:
        raise Permanent(text, _refusal(said))
    raise Temporary(f"HTTP {reply.status} without an error of Bandwidth's")


async def find(line: Line, outgoing: Outgoing, context: Context) -> list[Accepted] | None:
    """The messages like this one that were taken since the attempt began; None when they are too
    many to look through, when the list is closed to us, and of a group text: the list has pairs.

    The list holds neither text nor tag: a message is known by its pair, type, time, number of files
    and (of texts whose characters nobody counts in another way) length. Raises Temporary when
    Bandwidth could not be asked.
    """
    if outgoing.others:
        return None
    since = outgoing.started_at - CLOCKS_APART
    params = {
        "sourceTn": outgoing.proxy_address,
        "destinationTn": outgoing.address,
        "messageDirection": "OUTBOUND",
        "fromDateTime": since.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "limit": str(PAGE_SIZE),
    }
    found: list[Accepted] = []
    for _ in range(PAGES_MAX):
        page = await _page(line, params, context)
        if page is None:
            return None
        rows = [Node("messages", row) for row in page["messages"] if isinstance(row, dict)]
        found += [_listed(row) for row in rows if _matches(row, outgoing, since)]
        token = _next(page)
        if token is None:
            return found
        params = params | {"pageToken": token}
    return None


def _message(line: Line, outgoing: Outgoing) -> dict[str, Any]:
    message: dict[str, Any] = {
        "applicationId": line.application_id,
        "to": [outgoing.address, *outgoing.others],
        "from": outgoing.proxy_address,
        "tag": outgoing.reference,
    }
    if outgoing.body:
        message["text"] = outgoing.body
    if outgoing.media:
        message["media"] = [part.url for part in outgoing.media]
    return message


def _named(said: Mapping[str, Any]) -> Accepted:
    external_id = said.get("id")
    if not isinstance(external_id, str) or not external_id:
        raise Unknown("the carrier accepted something that it does not name")
    return Accepted(external_id)


def _told(said: Mapping[str, Any]) -> str:
    """What Bandwidth says is wrong; empty when it is not Bandwidth who speaks."""
    error = Node("", said)
    kind, description = error.word("type"), error.word("description")
    fields = [f"{name}: {text}" for name, text in _fields(said)]
    return without_numbers("; ".join(filter(None, (kind, description, *fields))))


def _fields(said: Mapping[str, Any]) -> list[tuple[str, str]]:
    listed = said.get("fieldErrors")
    rows = listed if isinstance(listed, list) else []
    nodes = [Node("fieldErrors", row) for row in rows if isinstance(row, dict)]
    return [(row.word("fieldName"), row.word("description")) for row in nodes]


def _refusal(said: Mapping[str, Any]) -> int:
    """The number for the first field that is wrong, like `to` or `media[0]`."""
    names = (name.partition("[")[0].partition(".")[0] for name, _ in _fields(said))
    return next((FIELDS[name] for name in names if name in FIELDS), codes.UNKNOWN)


async def _page(
    line: Line, params: Mapping[str, str], context: Context
) -> Mapping[str, Any] | None:
    try:
        reply = await call(
            context,
            "GET",
            line.messages_url,
            timeout_s=line.timeout_s,
            headers=line.headers,
            params=params,
        )
    except Unknown as lost:
        raise Temporary(lost.message, down=True) from lost
    if reply.status in NO_LIST_STATUSES:
        return None
    page = reply.json()
    if reply.status != 200 or not isinstance(page.get("messages"), list):
        wait_s = retry_after(reply.headers, context.clock.now())
        raise Temporary(f"the list of messages: HTTP {reply.status}", codes.UNAVAILABLE, wait_s)
    return page


def _next(page: Mapping[str, Any]) -> str | None:
    match page.get("pageInfo"):
        case {"nextPageToken": str(token)} if token:
            return token
    return None


def _matches(row: Node, outgoing: Outgoing, since: datetime) -> bool:
    pair = (row.word("sourceTn"), row.word("destinationTn"))
    if pair != (outgoing.proxy_address, outgoing.address) or not row.word("messageId"):
        return False
    if row.word("messageDirection") not in ("", "OUTBOUND"):
        return False
    if row.word("messageType") not in ("", "mms" if outgoing.media else "sms"):
        return False
    taken_at = row.moment("receiveTime")
    if taken_at is not None and taken_at < since:
        return False
    if outgoing.media:
        return row.word("attachmentCount") in ("", str(len(outgoing.media)))
    body = outgoing.body or ""
    return not _COUNTABLE.fullmatch(body) or row.word("messageLength") in ("", str(len(body)))


def _listed(row: Node) -> Accepted:
    return Accepted(row.word("messageId"), LISTED.get(row.word("messageStatus")))
