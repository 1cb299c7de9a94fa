"""A server that behaves like Plivo's message API, with the sandbox's World behind it.

Sends arrive on the World's phones; phones' messages and statuses come to our doors as Plivo's
forms, signed with X-Plivo-Signature-V2. So whole roads run with config/plivo.yaml.
https://www.plivo.com/docs/messaging/api/message/
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import UUID

from aiohttp import web

from app.carriers.sandbox_behaviour import Cut, Refusal
from app.carriers.sandbox_wire import Call, Media, Message, Report, Send
from app.carriers.sandbox_world import World

AUTH_ID = "MA2025STANDIN"
AUTH_TOKEN = "token-of-the-stand-in"
PATH = "/v1/Account/{auth_id}/Message/"
TYPES = {"sms", "mms", "whatsapp"}
# What the World calls a failure, and the error code that Plivo has for it.
CODES = {30007: "30", 30005: "50"}


@dataclass(frozen=True, slots=True)
class PlivoDialect:
    """How Plivo speaks to doors: signed forms, numbers without a plus."""

    auth_token: str = AUTH_TOKEN

    def inbound(self, url: str, message: Message) -> Call:
        """https://www.plivo.com/docs/messaging/api/message/handling-incoming"""
        prefix = message.sender.rpartition(":")[0]
        kind = prefix or ("mms" if message.media else "sms")
        form = self._about(message.id, message.sender, message.to, kind)
        form["Text" if kind == "sms" else "Body"] = message.body or ""
        if kind == "mms":
            form["MediaCount"] = str(len(message.media))
        form |= {f"Media{number}": part.url for number, part in enumerate(message.media, 1)}
        return self._call(url, form)

    def status(self, url: str, report: Report) -> Call:
        """https://www.plivo.com/docs/messaging/api/message/message-status-callbacks"""
        form = self._about(report.id, report.sender, report.to, report.channel)
        form |= {"Status": report.status, "ParentMessageUUID": form["MessageUUID"], "Units": "1"}
        if report.error_code is not None:
            form["ErrorCode"] = CODES.get(report.error_code, "1000")
        return self._call(url, form)

    def _about(self, sid: str, sender: str, to: str, kind: str) -> dict[str, str]:
        return {"MessageUUID": uuid(sid), "From": digits(sender), "To": digits(to), "Type": kind}

    def _call(self, url: str, form: dict[str, str]) -> Call:
        body, nonce = urlencode(form).encode(), str(len(form) * 1000)
        text = url.partition("?")[0] + nonce
        made = b64encode(hmac.digest(self.auth_token.encode(), text.encode(), "sha256")).decode()
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "X-Plivo-Signature-V2": made,
            "X-Plivo-Signature-V2-Nonce": nonce,
        }
        return Call(url, headers, body)


class PlivoStandIn:
    """The API on top of a World that speaks PlivoDialect; `refusals` are answered first."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.requests: list[dict[str, Any]] = []
        self.refusals: list[web.Response] = []

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """The API's origin."""
        app = web.Application()
        app.router.add_post(PATH, self.create)
        runner = web.AppRunner(app, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    async def create(self, request: web.Request) -> web.StreamResponse:
        """https://www.plivo.com/docs/messaging/api/message/send-a-message"""
        login = b64encode(f"{AUTH_ID}:{AUTH_TOKEN}".encode()).decode()
        if (
            request.headers.get("Authorization") != f"Basic {login}"
            or request.match_info["auth_id"] != AUTH_ID
        ):
            return _error(401, "could not verify your access level for that URL")
        said = await request.json()
        self.requests.append(said)
        if self.refusals:
            return self.refusals.pop(0)
        if not said.get("dst") or not said.get("text", said.get("media_urls")):
            return _error(400, "dst and text are needed")
        if said.get("type") not in TYPES:
            return _error(400, "type parameter is not valid")
        try:
            received = await self.world.take(_order(said))
        except Refusal as refusal:
            return _error(400 if refusal.permanent else 429, "refused by the stand-in")
        except Cut:
            assert request.transport is not None
            request.transport.abort()
            return web.Response(status=500)
        done = {"message": "message(s) queued", "message_uuid": [uuid(received.external_id)]}
        return web.json_response(done | {"api_id": "0"}, status=202)


@asynccontextmanager
async def standing_in(**world: Any) -> AsyncIterator[tuple[PlivoStandIn, str]]:
    """A stand-in with a World of its own, and its origin."""
    async with World(dialect=PlivoDialect(), **world) as made:
        stand_in = PlivoStandIn(made)
        async with stand_in.serving() as url:
            yield stand_in, url


def uuid(sid: str) -> str:
    """The World's id as Plivo writes ids."""
    return str(UUID(hex=sid[2:]))


def digits(address: str) -> str:
    """A number as Plivo writes it."""
    return address.rpartition(":")[2].removeprefix("+")


def _order(said: dict[str, Any]) -> Send:
    """Plivo knows no reference: a double is seen by the receipt in the status URL."""
    prefix = "whatsapp:" if said["type"] == "whatsapp" else ""
    url = said.get("url")
    media = [Media(url=one, content_type="image/png") for one in said.get("media_urls", ())]
    return Send(
        reference=parse_qs(urlsplit(url or "").query).get("receipt", [""])[0],
        channel=said["type"],
        sender=f"{prefix}+{said['src']}",
        to=f"{prefix}+{said['dst']}",
        body=said.get("text"),
        media=tuple(media),
        status_url=url,
    )


def _error(status: int, text: str) -> web.Response:
    return web.json_response({"api_id": "0", "error": text}, status=status)
