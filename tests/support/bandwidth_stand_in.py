"""A server that behaves like Bandwidth's messaging API, with the sandbox's World behind it.

https://dev.bandwidth.com/docs/messaging. Reports go to one callback URL, known by their tag;
received files are behind the API's login until `expire` is called. The list of messages holds no
text.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web

from app.carriers.sandbox_behaviour import Cut, Refusal
from app.carriers.sandbox_records import Received
from app.carriers.sandbox_wire import Call, Media, Message, Report, Send
from app.carriers.sandbox_world import World
from tests.support.files import Files
from tests.support.serving import serving

ACCOUNT_ID, APPLICATION_ID = "5500001", "93de2206-9669-4e07-948d-329f4b722ee2"
OPTIONS: dict[str, Any] = {
    "account_id": ACCOUNT_ID,
    "application_id": APPLICATION_ID,
    "username": "api-user",
    "password": "api-password",
    "callback_username": "callback-user",
    "callback_password": ["callback-password", "the-next-one"],
}
API = f"/api/v2/users/{ACCOUNT_ID}"
PAGE_SIZE_MAX = 1000


def login(user: str, password: str) -> str:
    """The header of Basic authentication."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def callback_login(password: str = "callback-password") -> str:
    """What callbacks sign in with."""
    return login("callback-user", password)


def received(
    external_id: str,
    sender: str,
    to: str,
    text: str | None,
    media: Sequence[str] = (),
    others: Sequence[str] = (),
) -> dict[str, Any]:
    """A `message-received` event."""
    message = _message(external_id, sender, [to, *others], "in", owner=to)
    message |= {"text": text or "", "media": list(media)}
    return {
        "type": "message-received",
        "time": "2030-01-02T03:04:05.678Z",
        "description": "Incoming message received",
        "to": to,
        "message": message,
    }


def report(
    external_id: str,
    sender: str,
    to: str,
    word: str,
    code: int | None,
    tag: str,
    others: Sequence[str] = (),
) -> dict[str, Any]:
    """An event about a send: sending, sent, delivered, failed; of a group text one for each."""
    everybody = sorted([to, *others])
    message = _message(external_id, sender, everybody, "out", owner=sender)
    message |= {"text": "", "tag": tag}
    event = {
        "type": f"message-{word}",
        "time": "2030-01-02T03:04:05.678Z",
        "description": "ok" if code is None else "rejected",
        "to": to,
        "message": message,
    }
    return event if code is None else event | {"errorCode": code}


@dataclass(frozen=True, slots=True)
class BandwidthDialect:
    """How Bandwidth speaks to doors: lists of events, signed in."""

    def inbound(self, url: str, message: Message) -> Call:
        """A `message-received`."""
        media = [part.url for part in message.media]
        event = received(
            message.id, message.sender, message.to, message.body, media, message.others
        )
        return _call(url, event)

    def status(self, url: str, said: Report) -> Call:
        """An event about a send."""
        word = "failed" if said.status == "undelivered" else said.status
        code, tag = said.error_code, said.reference
        return _call(url, report(said.id, said.sender, said.to, word, code, tag, said.others))


@dataclass
class BandwidthStandIn:
    """The API on top of a World that speaks BandwidthDialect. `callback_url` is the application's;
    `listing` false closes the list of messages to this user."""

    world: World
    callback_url: str | None = None
    listing: bool = True
    files: Files = field(default_factory=Files)
    requests: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.files.opens = self._opens

    def app(self) -> web.Application:
        """The API's resources."""
        app = web.Application()
        app.add_routes(
            [
                web.post(f"{API}/messages", self.create),
                web.get(f"{API}/messages", self.page),
                web.get(f"{API}/media/{{name}}", self.files.fetch),
            ]
        )
        return app

    async def create(self, request: web.Request) -> web.StreamResponse:
        """POST messages"""
        if not self._opens(request.headers.get("Authorization", "")):
            return _error(401, "unauthorized", "Authentication Failed")
        message = orjson.loads(await request.read())
        self.requests.append(message)
        try:
            taken = await self.world.take(self._order(message))
        except Refusal as refusal:
            return _refusal(refusal)
        except Cut:
            assert request.transport is not None
            request.transport.abort()
            return web.Response(status=500)
        except (KeyError, ValueError):
            return _error(400, "request-validation", "Your request could not be accepted", "to")
        said = _message(taken.external_id, taken.sender, [taken.to], "out", owner=taken.sender)
        return web.json_response(said | {"tag": message.get("tag", "")}, status=202)

    async def page(self, request: web.Request) -> web.StreamResponse:
        """GET messages with sourceTn, destinationTn, fromDateTime, limit and pageToken."""
        if not self._opens(request.headers.get("Authorization", "")):
            return _error(401, "unauthorized", "Authentication Failed")
        if not self.listing:
            return _error(403, "forbidden", "Access Denied")
        query = request.query
        found = [
            _row(taken)
            for taken in self.world.records.taken()
            if query.get("sourceTn", taken.sender) == taken.sender
            and query.get("destinationTn", taken.to) == taken.to
            and query.get("fromDateTime", "") <= taken.taken_at.isoformat()
        ]
        start, size = int(query.get("pageToken", "0")), min(int(query["limit"]), PAGE_SIZE_MAX)
        more = {"nextPageToken": str(start + size)} if len(found) > start + size else {}
        shown = found[start : start + size]
        return web.json_response({"totalCount": len(found), "pageInfo": more, "messages": shown})

    def _opens(self, header: str) -> bool:
        wanted = login(OPTIONS["username"], OPTIONS["password"]).encode()
        return hmac.compare_digest(header.encode("utf-8", "replace"), wanted)

    def _order(self, message: dict[str, Any]) -> Send:
        media = tuple(Media(url=url) for url in message.get("media", ()))
        to, *others = message["to"]
        return Send(
            reference=message.get("tag", ""),
            channel="mms" if media or others else "sms",
            sender=message["from"],
            to=to,
            others=tuple(others),
            body=message.get("text"),
            media=media,
            status_url=self.callback_url,
        )


@asynccontextmanager
async def standing_in(
    *, inbound_url: str | None = None, **world: Any
) -> AsyncIterator[tuple[BandwidthStandIn, str]]:
    """A stand-in with a World of its own, and the `base_url` for a carrier of kind bandwidth (with
    OPTIONS)."""
    async with World(inbound_url=inbound_url, dialect=BandwidthDialect(), **world) as made:
        stand_in = BandwidthStandIn(made)
        async with serving(stand_in.app()) as url:
            stand_in.files.url = f"{url}{API}/media"
            yield stand_in, url


def _message(
    external_id: str, sender: str, to: list[str], direction: str, *, owner: str
) -> dict[str, Any]:
    return {
        "id": external_id,
        "owner": owner,
        "applicationId": APPLICATION_ID,
        "time": "2030-01-02T03:04:05.678Z",
        "segmentCount": 1,
        "direction": direction,
        "to": to,
        "from": sender,
    }


def _row(taken: Received) -> dict[str, Any]:
    words = taken.statuses
    return {
        "messageId": taken.external_id,
        "accountId": ACCOUNT_ID,
        "sourceTn": taken.sender,
        "destinationTn": taken.to,
        "messageStatus": words[-1].upper() if words else "ACCEPTED",
        "messageDirection": "OUTBOUND",
        "messageType": "mms" if taken.media else "sms",
        "messageLength": len(taken.body or ""),
        "attachmentCount": len(taken.media) or None,
        "receiveTime": taken.taken_at.isoformat(),
    }


def _call(url: str, event: dict[str, Any]) -> Call:
    headers = {"Content-Type": "application/json; charset=utf-8", "Authorization": callback_login()}
    return Call(url, headers, orjson.dumps([event]))


def _refusal(refusal: Refusal) -> web.Response:
    if refusal.permanent:
        return _error(400, "request-validation", f"refused ({refusal.code})")
    response = _error(429, "max-message-queue-size-exceeded", "The SMS queue is full")
    if refusal.retry_after_s is not None:
        response.headers["Retry-After"] = str(int(refusal.retry_after_s))
    return response


def _error(status: int, kind: str, description: str, field: str | None = None) -> web.Response:
    said: dict[str, Any] = {"type": kind, "description": description}
    if field is not None:
        said["fieldErrors"] = [{"fieldName": field, "description": "must be a number"}]
    return web.json_response(said, status=status)
