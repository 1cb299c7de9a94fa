"""A server that behaves like Telnyx's Messages API, with the sandbox's World behind it.

https://developers.telnyx.com/api-reference/messages/send-a-message. Events are signed with a key
made here. Received files lie on the server itself, until `expire` is called.
"""

from __future__ import annotations

import hmac
import time
import uuid
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import orjson
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from app.carriers import telnyx
from app.carriers.sandbox_behaviour import Cut, Refusal
from app.carriers.sandbox_records import Received
from app.carriers.sandbox_wire import Call, Media, Message, Report, Send
from app.carriers.sandbox_world import World
from tests.support.files import Files
from tests.support.serving import serving

API_KEY = "KEY_of-the-stand-in"
_KEY = Ed25519PrivateKey.from_private_bytes(b"the key of the stand-in, 32 byte")
PUBLIC_KEY = b64encode(_KEY.public_key().public_bytes_raw()).decode()
PROFILE = "16fd2706-8baf-433b-82eb-8c7fada847da"
# How an inbound event marks the number whose webhook it is.
OURS = "webhook_delivered"
STOPPED = "40300"
NO_SUCH_NUMBER = "40310"
# The World's words -> Telnyx's.
WORDS = {"undelivered": "delivery_failed"}


def sign(body: bytes, at: int | None = None) -> dict[str, str]:
    """The headers that Telnyx sends with this body."""
    timestamp = str(int(time.time()) if at is None else at)
    made = _KEY.sign(f"{timestamp}|".encode() + body)
    return {telnyx.SIGNATURE: b64encode(made).decode(), telnyx.TIMESTAMP: timestamp}


def received(
    external_id: str,
    sender: str,
    to: str,
    text: str | None,
    media: Sequence[tuple[str, str]] = (),
    cc: Sequence[str] = (),
) -> dict[str, Any]:
    """A `message.received` event."""
    files = [{"url": url, "content_type": kind, "sha256": "ab" * 32} for url, kind in media]
    return _event(
        "message.received",
        {
            "id": external_id,
            "direction": "inbound",
            "type": "MMS" if files or cc else "SMS",
            "from": {"phone_number": sender, "carrier": "T-Mobile USA", "line_type": "Wireless"},
            "to": [{"phone_number": to, "carrier": "Telnyx", "status": OURS}],
            "cc": [{"phone_number": number, "carrier": "Verizon"} for number in cc],
            "text": text,
            "media": files,
            "received_at": "2030-01-02T03:04:05.678+00:00",
        },
    )


def report(
    external_id: str,
    sender: str,
    to: str,
    status: str,
    code: int | str | None = None,
    others: Sequence[str] = (),
) -> dict[str, Any]:
    """A `message.sent` or `message.finalized` event; of the `others` of a group text nothing is
    known yet."""
    errors = [] if code is None else [{"code": str(code), "title": "Undeliverable"}]
    return _event(
        "message.sent" if status in ("queued", "sending", "sent") else "message.finalized",
        {
            "id": external_id,
            "direction": "outbound",
            "type": "SMS",
            "from": {"phone_number": sender},
            "to": [
                {"phone_number": to, "status": status, "carrier": "T-Mobile USA"},
                *({"phone_number": other, "status": "queued"} for other in others),
            ],
            "errors": errors,
        },
    )


@dataclass(frozen=True, slots=True)
class TelnyxDialect:
    """How Telnyx speaks to doors: signed events."""

    def inbound(self, url: str, message: Message) -> Call:
        """A `message.received`."""
        media = [(part.url, part.content_type) for part in message.media]
        event = received(
            dashed(message.id), message.sender, message.to, message.body, media, message.others
        )
        return _call(url, event)

    def status(self, url: str, said: Report) -> Call:
        """A `message.sent` or `message.finalized`."""
        word = WORDS.get(said.status, said.status)
        name, code = dashed(said.id), said.error_code
        return _call(url, report(name, said.sender, said.to, word, code, said.others))


@dataclass
class TelnyxStandIn:
    """The API on top of a World that speaks TelnyxDialect."""

    world: World
    files: Files = field(default_factory=Files)
    requests: list[dict[str, Any]] = field(default_factory=list)

    def app(self) -> web.Application:
        """The API's resources."""
        app = web.Application()
        app.add_routes(
            [
                web.post("/v2/messages", self.create),
                web.post("/v2/messages/group_mms", self.create),
                web.get("/files/{name}", self.files.fetch),
            ]
        )
        return app

    async def create(self, request: web.Request) -> web.StreamResponse:
        """POST /v2/messages, or /v2/messages/group_mms, where `to` is a list."""
        given = request.headers.get("Authorization", "").encode("utf-8", "replace")
        if not hmac.compare_digest(given, f"Bearer {API_KEY}".encode()):
            return _error(401, "10009", "Authentication failed")
        message = orjson.loads(await request.read())
        self.requests.append(message)
        if isinstance(message.get("to"), list) != request.path.endswith("/group_mms"):
            return _error(400, NO_SUCH_NUMBER, "Invalid 'to' address")
        if not message.get("text") and not message.get("media_urls"):
            return _error(400, "40316", "No content provided")
        try:
            taken = await self.world.take(_order(message))
        except Refusal as refusal:
            return _refusal(refusal)
        except Cut:
            assert request.transport is not None
            request.transport.abort()
            return web.Response(status=500)
        except (KeyError, ValueError):
            return _error(400, NO_SUCH_NUMBER, "Invalid 'to' address")
        return web.json_response({"data": _resource(message, taken)})


@asynccontextmanager
async def standing_in(
    *, inbound_url: str | None = None, **world: Any
) -> AsyncIterator[tuple[TelnyxStandIn, str]]:
    """A stand-in with a World of its own, and the `base_url` for a carrier of kind telnyx (with
    API_KEY and PUBLIC_KEY)."""
    async with World(inbound_url=inbound_url, dialect=TelnyxDialect(), **world) as made:
        stand_in = TelnyxStandIn(made)
        async with serving(stand_in.app()) as url:
            stand_in.files.url = f"{url}/files"
            yield stand_in, url


def dashed(sid: str) -> str:
    """Telnyx's id of what the World calls by a SID."""
    return str(uuid.UUID(hex=sid[2:]))


def _event(kind: str, payload: dict[str, Any]) -> dict[str, Any]:
    payload |= {"record_type": "message", "messaging_profile_id": PROFILE, "parts": 1}
    data = {
        "record_type": "event",
        "id": "b301ed3f-1490-491f-995f-6e64e69674d4",
        "event_type": kind,
        "occurred_at": "2030-01-02T03:04:05.700+00:00",
        "payload": payload,
    }
    return {"data": data, "meta": {"attempt": 1}}


def _call(url: str, event: dict[str, Any]) -> Call:
    body = orjson.dumps(event)
    return Call(url, {"Content-Type": "application/json", **sign(body)}, body)


def _order(message: dict[str, Any]) -> Send:
    """Telnyx knows no reference: a double is seen by the receipt in the webhook URL."""
    media = tuple(Media(url=url) for url in message.get("media_urls", ()))
    url = message.get("webhook_url")
    to, *others = message["to"] if isinstance(message["to"], list) else [message["to"]]
    return Send(
        reference=(url or "").rpartition("receipt=")[2],
        channel="mms" if media or others else "sms",
        sender=message["from"],
        to=to,
        others=tuple(others),
        body=message.get("text"),
        media=media,
        status_url=url,
    )


def _resource(message: dict[str, Any], taken: Received) -> dict[str, Any]:
    return {
        "record_type": "message",
        "direction": "outbound",
        "id": dashed(taken.external_id),
        "type": message.get("type", "MMS"),
        "from": {"phone_number": taken.sender},
        "to": [{"phone_number": to, "status": "queued"} for to in (taken.to, *taken.others)],
        "text": taken.body,
        "webhook_url": message.get("webhook_url"),
        "errors": [],
    }


def _refusal(refusal: Refusal) -> web.Response:
    if refusal.permanent:
        return _error(403, str(refusal.code), "refused by the stand-in")
    wait = {"Retry-After": str(int(refusal.retry_after_s or 1))}
    return _error(429, "10011", "Too many requests", wait)


def _error(
    status: int, code: str, title: str, headers: dict[str, str] | None = None
) -> web.Response:
    errors = [{"code": code, "title": title, "detail": "see the documentation"}]
    return web.json_response({"errors": errors}, status=status, headers=headers)
