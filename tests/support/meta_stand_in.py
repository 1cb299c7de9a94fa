"""A server that behaves like Meta's Graph API, with the sandbox's World behind it.

Sends arrive on the World's phones; phones' messages and statuses come to our door as Meta's signed
documents. A token opens it, a closed window refuses, and a file's URL lives for five minutes. So
whole roads run with `kind: meta`. https://developers.facebook.com/docs/whatsapp/cloud-api
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from app.carriers import meta_signature
from app.carriers.sandbox_behaviour import Cut, Refusal
from app.carriers.sandbox_wire import Call, Media, Message, Report, Send
from app.carriers.sandbox_world import World
from app.clock import Clock

APP_SECRET, VERIFY_TOKEN = "secret-of-the-app", "word-of-ours"
ACCESS_TOKEN, PAGE_TOKEN = "token-of-the-system-user", "token-of-the-page"
PHONE_NUMBER_ID, NUMBER, PAGE = "106540352242922", "+15005550010", "108732"
INSTAGRAM, INSTAGRAM_TOKEN = "17841405822304914", "token-of-the-page-of-instagram"
INSTAGRAM_BYTES_MAX = 1000
VERSION = "v25.0"
CHATS = {"messenger": ("page", PAGE), "instagram": ("instagram", INSTAGRAM)}
TEXT_CHARS_MAX, CHAT_CHARS_MAX = 4096, 2000
WINDOW, FILE_LIVES = timedelta(hours=24), timedelta(minutes=5)
THROTTLED = frozenset({4, 613, 80007, 130429, 131048, 131056})

# What the API says of a send that it does not take: (HTTP status, code, subcode, message).
Error = tuple[int, int, int, str]
UNAUTHORISED: Error = (401, 190, 0, "Invalid OAuth access token")
NO_OBJECT: Error = (400, 100, 33, "Unsupported post request: the object does not exist")
BAD_REQUEST: Error = (400, 100, 0, "Invalid parameter")
NO_PERSON: Error = (400, 131008, 0, "The parameter to or recipient is required")
CLOSED: Error = (400, 131047, 0, "Re-engagement message")
CLOSED_CHAT: Error = (400, 10, 2018278, "This message is sent outside of allowed window")
NO_FILE: Error = (404, 100, 33, "Unsupported get request: the object does not exist")


@dataclass(frozen=True, slots=True)
class File:
    """Something that a phone sent."""

    content: bytes
    content_type: str


class MetaStandIn:
    """The API and the way in which Meta speaks to doors. `world` is set when it stands in."""

    world: World

    def __init__(self, clock: Clock | None = None) -> None:
        self.requests: list[dict[str, Any]] = []
        self.files: dict[str, File] = {}
        self.meanwhile: deque[Callable[[], None]] = deque()  # after a file's URL was told
        self._clock = clock or Clock()
        self._written: dict[tuple[str, str], datetime] = {}

    def options(self, base_url: str, **changes: Any) -> dict[str, Any]:
        """A carrier in the YAML that speaks to us."""
        return {
            "kind": "meta",
            "app_secret": APP_SECRET,
            "verify_token": VERIFY_TOKEN,
            "access_token": ACCESS_TOKEN,
            "phone_numbers": {PHONE_NUMBER_ID: NUMBER},
            "pages": {PAGE: PAGE_TOKEN},
            "instagram": {INSTAGRAM: INSTAGRAM_TOKEN},
            "base_url": base_url,
            **changes,
        }

    async def subscribe(self, url: str, verify_token: str = VERIFY_TOKEN) -> bool:
        """Register a door as the webhook: it is taken when it repeats the challenge."""
        challenge = self.world.new_id("CH")
        query = {
            "hub.mode": "subscribe",
            "hub.verify_token": verify_token,
            "hub.challenge": challenge,
        }
        async with (
            aiohttp.ClientSession() as http,
            http.get(url, params=query) as response,
        ):
            if response.status != 200 or await response.text() != challenge:
                return False
        self.world.inbound_url = url
        return True

    def inbound(self, url: str, message: Message) -> Call:
        """A phone's message; `metadata` is put into it as it is."""
        self._written[message.sender, message.to] = self._clock.now()
        if message.channel in CHATS:
            event = _event(message.sender, message.to) | {"message": _chat(message)}
            return _page(url, event, message.channel)
        person = _person(message.sender)
        contact = {"profile": {"name": "Ann"}, **person}
        sent_at = message.sent_at or self._clock.now()
        said = {
            "id": message.id,
            "timestamp": str(int(sent_at.timestamp())),
            **{{"wa_id": "from", "user_id": "from_user_id"}[key]: person[key] for key in person},
            **_said(message),
            **(message.metadata or {}),
        }
        return _whatsapp(url, message.to, {"contacts": [contact], "messages": [said]})

    def status(self, url: str, report: Report) -> Call:
        """What became of a send, with the reference that it came with."""
        if report.channel in CHATS:
            return _page(url, _chat_status(report), report.channel)
        status: dict[str, Any] = {
            "id": report.id,
            "status": "failed" if report.status == "undelivered" else report.status,
            "timestamp": str(int(self._clock.now().timestamp())),
            "biz_opaque_callback_data": report.reference,
        }
        if report.error_code is not None:
            status["errors"] = [{"code": report.error_code, "title": "as the phone is told to"}]
        return _whatsapp(url, report.sender, {"statuses": [status]})

    def app(self) -> web.Application:
        """The API's resources."""
        app = web.Application()
        app.add_routes(
            [
                web.post(f"/{VERSION}/{{path}}/messages", self.create),
                web.get(f"/{VERSION}/{{file}}", self.find_file),
                web.get("/cdn/{file}", self.serve_file),
            ]
        )
        return app

    async def create(self, request: web.Request) -> web.StreamResponse:
        """POST {phone number id or page id}/messages"""
        path = request.match_info["path"]
        tokens = {PHONE_NUMBER_ID: ACCESS_TOKEN, PAGE: PAGE_TOKEN, "me": INSTAGRAM_TOKEN}
        token = tokens.get(path)
        if token is None:
            return _error(NO_OBJECT)
        if not _authorised(request, token):
            return _error(UNAUTHORISED)
        said = orjson.loads(await request.read())
        self.requests.append(said)
        if path == "me":
            order = self._instagram_order(said)
        else:
            order = self._chat_order(said) if path == PAGE else self._order(said)
        if not isinstance(order, Send):
            return _error(order)
        try:
            received = await self.world.take(order)
        except Refusal as refusal:
            return _refusal(refusal)
        except Cut:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=500)
        return web.json_response(_taken(order, received.external_id))

    async def find_file(self, request: web.Request) -> web.StreamResponse:
        """GET {media id}"""
        if not _authorised(request, ACCESS_TOKEN):
            return _error(UNAUTHORISED)
        name = request.match_info["file"]
        file = self.files.get(name)
        if file is None:
            return _error(NO_FILE)
        until = int((self._clock.now() + FILE_LIVES).timestamp())
        if self.meanwhile:
            self.meanwhile.popleft()()
        return web.json_response(
            {
                "messaging_product": "whatsapp",
                "url": str(request.url.origin().joinpath("cdn", name) % {"ext": until}),
                "mime_type": file.content_type,
                "sha256": sha256(file.content).hexdigest(),
                "file_size": str(len(file.content)),
                "id": name,
            }
        )

    async def serve_file(self, request: web.Request) -> web.StreamResponse:
        """The file itself, for those who have the token, while its URL lives."""
        if not _authorised(request, ACCESS_TOKEN):
            return _error(UNAUTHORISED)
        file = self.files[request.match_info["file"]]
        if self._clock.now().timestamp() > int(request.query["ext"]):
            return _error(NO_FILE)
        return web.Response(body=file.content, content_type=file.content_type)

    def _order(self, said: Mapping[str, Any]) -> Send | Error:
        person = said.get("to") or said.get("recipient")
        if not person:
            return NO_PERSON
        kind = said.get("type")
        content = said.get(kind) if isinstance(kind, str) else None
        if said.get("messaging_product") != "whatsapp" or not isinstance(content, dict):
            return BAD_REQUEST
        body = content.get("body") or content.get("caption") or content.get("name")
        if isinstance(body, dict):  # of an interactive message
            body = body["text"]
        if kind == "text" and not 0 < len(body or "") <= TEXT_CHARS_MAX:
            return BAD_REQUEST
        ours, theirs = f"whatsapp:{NUMBER}", f"whatsapp:{person}"
        link = content.get("link")
        order = self._send("whatsapp", ours, theirs, body, link, said["biz_opaque_callback_data"])
        return order if kind == "template" or self._open(order) else CLOSED

    def _chat_order(self, said: Mapping[str, Any]) -> Send | Error:
        message = said["message"]
        text, attachment = message.get("text"), message.get("attachment")
        if len(text or "") > CHAT_CHARS_MAX or bool(text) == bool(attachment):
            return BAD_REQUEST
        ours, theirs = f"messenger:{PAGE}", f"messenger:{said['recipient']['id']}"
        link = attachment and attachment["payload"].get("url")
        if attachment and attachment["type"] == "template":  # a card
            [card] = attachment["payload"]["elements"]
            text, link = card["title"], card.get("image_url")
        order = self._send("messenger", ours, theirs, text, link, message["metadata"])
        return order if self._open(order) else CLOSED_CHAT

    def _instagram_order(self, said: Mapping[str, Any]) -> Send | Error:
        """Texts are counted in bytes, and there is nowhere to put a reference."""
        message = said["message"]
        text, attachment = message.get("text"), message.get("attachment")
        if len((text or "").encode()) > INSTAGRAM_BYTES_MAX or bool(text) == bool(attachment):
            return BAD_REQUEST
        if "metadata" in message or "messaging_type" in said:
            return BAD_REQUEST
        ours, theirs = f"instagram:{INSTAGRAM}", f"instagram:{said['recipient']['id']}"
        link = attachment and attachment["payload"]["url"]
        order = self._send("instagram", ours, theirs, text, link, "")
        return order if self._open(order) else CLOSED_CHAT

    def _send(
        self, channel: str, ours: str, theirs: str, body: Any, link: Any, reference: str
    ) -> Send:
        return Send(
            reference=reference,
            channel=channel,
            sender=ours,
            to=theirs,
            body=body,
            media=(Media(url=link),) if link else (),
            status_url=self.world.inbound_url,
        )

    def _open(self, order: Send) -> bool:
        written = self._written.get((order.to, order.sender))
        return written is not None and self._clock.now() - written < WINDOW


@asynccontextmanager
async def standing_in(
    *, clock: Clock | None = None, **world: Any
) -> AsyncIterator[tuple[MetaStandIn, str]]:
    """A stand-in with a World of its own, and the `base_url` for a carrier of kind meta."""
    stand_in = MetaStandIn(clock)
    async with World(dialect=stand_in, **world) as stand_in.world:
        runner = web.AppRunner(stand_in.app(), shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield stand_in, f"http://127.0.0.1:{runner.addresses[0][1]}/{VERSION}"
        finally:
            await runner.cleanup()


def _whatsapp(url: str, ours: str, value: dict[str, Any]) -> Call:
    metadata = {
        "display_phone_number": ours.removeprefix("whatsapp:+"),
        "phone_number_id": PHONE_NUMBER_ID,
    }
    value = {"messaging_product": "whatsapp", "metadata": metadata, **value}
    entry = {"id": "102290129340398", "changes": [{"field": "messages", "value": value}]}
    return _call(url, {"object": "whatsapp_business_account", "entry": [entry]})


def _page(url: str, event: dict[str, Any], channel: str) -> Call:
    about, ours = CHATS[channel]
    return _call(url, {"object": about, "entry": [{"id": ours, "messaging": [event]}]})


def _call(url: str, document: dict[str, Any]) -> Call:
    body = orjson.dumps(document)
    made = meta_signature.sign(body, APP_SECRET)
    return Call(url, {"Content-Type": "application/json", meta_signature.HEADER: made}, body)


def _person(address: str) -> dict[str, str]:
    known = address.removeprefix("whatsapp:")
    return {"wa_id": known[1:]} if known.startswith("+") else {"user_id": known}


def _said(message: Message) -> dict[str, Any]:
    if not message.media:
        return {"type": "text", "text": {"body": message.body or ""}}
    part = message.media[0]
    kind = part.content_type.partition("/")[0]
    file = {"id": part.url.rpartition("/")[2], "mime_type": part.content_type}
    return {"type": kind, kind: {**file, "caption": message.body or ""}}


def _event(sender: str, to: str) -> dict[str, Any]:
    return {
        "sender": {"id": sender.partition(":")[2]},
        "recipient": {"id": to.partition(":")[2]},
    }


def _chat(message: Message) -> dict[str, Any]:
    files = [{"type": "image", "payload": {"url": part.url}} for part in message.media]
    return {"mid": message.id, "text": message.body or "", "attachments": files}


def _chat_status(report: Report) -> dict[str, Any]:
    """Sent is told by an echo, delivered by ids; on Instagram read is, by one."""
    if report.channel == "instagram" and report.status != "sent":
        return _event(report.to, report.sender) | {"read": {"mid": report.id}}
    if report.status == "sent":
        echo = {"mid": report.id, "is_echo": True, "metadata": report.reference}
        return _event(report.sender, report.to) | {"message": echo}
    return _event(report.to, report.sender) | {"delivery": {"mids": [report.id], "watermark": 1}}


def _authorised(request: web.Request, token: str) -> bool:
    return request.headers.get("Authorization") == f"Bearer {token}"


def _taken(order: Send, external_id: str) -> dict[str, Any]:
    if order.channel in CHATS:
        return {"recipient_id": order.to.partition(":")[2], "message_id": external_id}
    contact = {"input": order.to.removeprefix("whatsapp:"), **_person(order.to)}
    return {
        "messaging_product": "whatsapp",
        "contacts": [contact],
        "messages": [{"id": external_id}],
    }


def _refusal(refusal: Refusal) -> web.Response:
    error: Error = (400 if refusal.permanent else 503, refusal.code, 0, "refused by the stand-in")
    if refusal.code not in THROTTLED:
        return _error(error)
    minutes = round((refusal.retry_after_s or 0) / 60)
    usage = {"102290129340398": [{"type": "messages", "estimated_time_to_regain_access": minutes}]}
    headers = {"X-Business-Use-Case-Usage": orjson.dumps(usage).decode()}
    return _error((400, *error[1:]), headers)


def _error(error: Error, headers: dict[str, str] | None = None) -> web.Response:
    status, code, subcode, message = error
    said = {
        "message": message,
        "type": "OAuthException",
        "code": code,
        "error_subcode": subcode,
        "fbtrace_id": "AbCdEf",
    }
    return web.json_response({"error": said}, status=status, headers=headers)
