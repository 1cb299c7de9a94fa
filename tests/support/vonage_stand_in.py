"""A server that behaves like Vonage's Messages API, with the sandbox's World behind it.

https://developer.vonage.com/en/api/messages. It takes the tokens of one application, whose key is
made here, and received files are behind such a token until `expire` is called.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import jwt
import orjson
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from app.carriers.sandbox_behaviour import Cut, Refusal
from app.carriers.sandbox_wire import Call, Media, Message, Report, Send
from app.carriers.sandbox_world import World
from tests.support.files import Files
from tests.support.serving import serving

APPLICATION_ID = "aaaaaaaa-bbbb-cccc-dddd-0123456789ab"
SECRET = "signature-secret-of-the-stand-in-account"
_KEY = rsa.generate_private_key(65537, 2048)
PRIVATE_KEY = _KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
OPTIONS: dict[str, Any] = {
    "application_id": APPLICATION_ID,
    "private_key": PRIVATE_KEY,
    "signature_secret": [SECRET, "another-secret-for-the-time-of-the-change"],
}
# The World's words -> Vonage's.
WORDS = {"sent": "submitted", "undelivered": "undeliverable"}


def sign(body: bytes, secret: str = SECRET, **claims: Any) -> str:
    """The Authorization header that Vonage sends with this body."""
    made = {
        "iss": "Vonage",
        "iat": int(time.time()),
        "jti": str(uuid.uuid4()),
        "payload_hash": sha256(body).hexdigest(),
        "api_key": "abcd1234",
        "application_id": APPLICATION_ID,
    }
    kept = {name: value for name, value in (made | claims).items() if value is not None}
    return "Bearer " + jwt.encode(kept, secret, algorithm="HS256")


def received(
    external_id: str, sender: str, to: str, text: str | None, media: Sequence[str] = ()
) -> dict[str, Any]:
    """An inbound webhook: a text, an image with a caption, or several images (MMS)."""
    channel = channel_of(to, bool(media))
    about = {
        "channel": channel,
        "message_uuid": external_id,
        "to": bare(to),
        "from": bare(sender),
        "timestamp": "2030-01-02T03:04:05.678Z",
    }
    if not media:
        return about | {"message_type": "text", "text": text}
    files = [{"url": url} for url in media]
    if text:
        files[0]["caption"] = text
    if len(files) == 1:
        return about | {"message_type": "image", "image": files[0]}
    return about | {"message_type": "content", "content": [{"type": "image", **f} for f in files]}


def report(
    external_id: str, sender: str, to: str, word: str, code: int | None, reference: str
) -> dict[str, Any]:
    """A status webhook."""
    said: dict[str, Any] = {
        "message_uuid": external_id,
        "to": bare(to),
        "from": bare(sender),
        "timestamp": "2030-01-02T03:04:05.678Z",
        "status": word,
        "channel": channel_of(to, False),
        "client_ref": reference,
    }
    if code is not None:
        kind = f"https://developer.vonage.com/api-errors/messages#{code}"
        said["error"] = {"type": kind, "title": code, "detail": "refused", "instance": "bf0c"}
    return said


def bare(address: str) -> str:
    """As Vonage spells it."""
    return address.rpartition(":")[2].removeprefix("+")


def channel_of(address: str, media: bool) -> str:
    """Vonage's name of the channel."""
    prefix, colon, _ = address.rpartition(":")
    return prefix if colon else ("mms" if media else "sms")


def dashed(sid: str) -> str:
    """Vonage's id of what the World calls by a SID."""
    return str(uuid.UUID(hex=sid[2:]))


@dataclass(frozen=True, slots=True)
class VonageDialect:
    """How Vonage speaks to doors: JSON and a token about it."""

    def inbound(self, url: str, message: Message) -> Call:
        """An inbound message."""
        media = [part.url for part in message.media]
        said = received(dashed(message.id), message.sender, message.to, message.body, media)
        if message.others:
            said |= {"channel": "mms", "mms": {"participants": [*map(bare, message.others)]}}
        return _call(url, said)

    def status(self, url: str, said: Report) -> Call:
        """A status."""
        word = WORDS.get(said.status, said.status)
        about = report(dashed(said.id), said.sender, said.to, word, said.error_code, said.reference)
        return _call(url, about)


@dataclass
class VonageStandIn:
    """The API on top of a World that speaks VonageDialect."""

    world: World
    files: Files = field(default_factory=Files)
    requests: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.files.opens = _opens

    def app(self) -> web.Application:
        """The API's resources."""
        app = web.Application()
        app.add_routes(
            [web.post("/v1/messages", self.create), web.get("/v3/media/{name}", self.files.fetch)]
        )
        return app

    async def create(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/messages"""
        if not _opens(request.headers.get("Authorization", "")):
            return _error(401, "unauthorized", "You did not provide correct credentials.")
        message = orjson.loads(await request.read())
        self.requests.append(message)
        try:
            taken = await self.world.take(_order(message))
        except Refusal as refusal:
            return _refusal(refusal)
        except Cut:
            assert request.transport is not None
            request.transport.abort()
            return web.Response(status=500)
        except (KeyError, ValueError):
            return _error(422, "1150", "Invalid params", name="to")
        return web.json_response({"message_uuid": dashed(taken.external_id)}, status=202)


@asynccontextmanager
async def standing_in(
    *, inbound_url: str | None = None, **world: Any
) -> AsyncIterator[tuple[VonageStandIn, str]]:
    """A stand-in with a World of its own, and the `base_url` for a carrier of kind vonage (with
    OPTIONS)."""
    async with World(inbound_url=inbound_url, dialect=VonageDialect(), **world) as made:
        stand_in = VonageStandIn(made)
        async with serving(stand_in.app()) as url:
            stand_in.files.url = f"{url}/v3/media"
            yield stand_in, url


def _opens(header: str) -> bool:
    try:
        claims = jwt.decode(
            header.removeprefix("Bearer "),
            _KEY.public_key(),
            algorithms=["RS256"],
            options={"require": ["iat", "exp", "jti", "application_id"]},
        )
    except jwt.PyJWTError:
        return False
    return bool(claims["application_id"] == APPLICATION_ID)


def _order(message: dict[str, Any]) -> Send:
    channel, kind = message["channel"], message["message_type"]
    prefix = "" if channel in ("sms", "mms") else f"{channel}:"
    plus = "" if channel == "messenger" else "+"
    parts = message["content"] if kind == "content" else [message[kind]] if kind != "text" else []
    if kind == "custom":  # in WhatsApp's words
        message, parts = message | {"text": _said(message["custom"])}, []
    captions = [part["caption"] for part in parts if "caption" in part]
    return Send(
        reference=message.get("client_ref", ""),
        channel=channel,
        sender=f"{prefix}{plus}{message['from']}",
        to=f"{prefix}{plus}{message['to']}",
        body=message.get("text") or (captions[0] if captions else None),
        media=tuple(Media(url=part["url"]) for part in parts),
        status_url=message.get("webhook_url"),
    )


def _said(custom: dict[str, Any]) -> str:
    said = custom[custom["type"]]
    return str(said["name"] if custom["type"] == "template" else said["body"]["text"])


def _call(url: str, said: dict[str, Any]) -> Call:
    body = orjson.dumps(said)
    return Call(url, {"Content-Type": "application/json", "Authorization": sign(body)}, body)


def _refusal(refusal: Refusal) -> web.Response:
    if refusal.permanent:
        return _error(422, str(refusal.code), "refused by the stand-in")
    response = _error(429, "1010", "Rate Limit Hit")
    if refusal.retry_after_s is not None:
        response.headers["Retry-After"] = str(int(refusal.retry_after_s))
    return response


def _error(status: int, code: str, title: str, name: str | None = None) -> web.Response:
    said: dict[str, Any] = {
        "type": f"https://developer.vonage.com/api-errors/messages#{code}",
        "title": title,
        "detail": "see the documentation",
        "instance": "bf0ca0bf927b3b52e3cb03217e1a1ddf",
    }
    if name is not None:
        said["invalid_parameters"] = [{"name": name, "reason": "is not a number"}]
    return web.json_response(said, status=status)
