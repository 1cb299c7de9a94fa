"""A server that behaves like Twilio's Content API, as far as approvals go.

https://www.twilio.com/docs/content/content-api-resources. What WhatsApp decides is up to the test.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.support.serving import serving
from tests.support.twilio_stand_in import ACCOUNT_SID, AUTH_TOKEN

Trouble = Callable[[web.Request], web.StreamResponse]
NOTHING = {
    "name": "",
    "category": "",
    "content_type": "",
    "status": "unsubmitted",
    "rejection_reason": "",
    "allow_category_change": True,
}


async def nothing() -> None:
    """Nothing happens."""


@dataclass
class TwilioContents:
    """The templates of an account, by their ContentSid, and how each stands. `asked` and
    `submitted` are what was called; `troubles` are what the next calls meet instead."""

    approvals: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    submitted: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    troubles: deque[Trouble] = field(default_factory=deque)
    cut: bool = False
    """The answer to the next request for approval is lost."""
    meanwhile: Callable[[], Awaitable[None]] = nothing
    """What happens while a question is under way."""
    refuses: str = ""
    """Why requests for approval are not taken."""

    def made(self, sid: str, **approval: Any) -> None:
        """A template was made at Twilio."""
        self.approvals[sid] = NOTHING | {"content_type": "twilio/text"} | approval

    def app(self) -> web.Application:
        """The API's resources."""
        app = web.Application()
        path = "/v1/Content/{sid}/ApprovalRequests"
        app.add_routes([web.get(path, self.fetch), web.post(f"{path}/whatsapp", self.create)])
        return app

    async def fetch(self, request: web.Request) -> web.StreamResponse:
        """How a template stands."""
        sid = request.match_info["sid"]
        self.asked.append(sid)
        await self.meanwhile()
        if (instead := self._instead(request)) is not None:
            return instead
        whatsapp = {"type": "whatsapp", **self.approvals[sid]}
        return web.json_response({"sid": sid, "account_sid": ACCOUNT_SID, "whatsapp": whatsapp})

    async def create(self, request: web.Request) -> web.StreamResponse:
        """A request for approval."""
        sid, wanted = request.match_info["sid"], await request.json()
        self.submitted.append((sid, wanted))
        if (instead := self._instead(request)) is not None:
            return instead
        if self.approvals[sid]["status"] != "unsubmitted":
            return _error(409, 20409, "The template was submitted before")
        if self.refuses:
            return _error(400, 63040, self.refuses)
        self.approvals[sid] |= {**wanted, "status": "received"}
        if self.cut:
            self.cut = False
            assert request.transport is not None
            request.transport.abort()
        return web.json_response(self.approvals[sid], status=201)

    def _instead(self, request: web.Request) -> web.StreamResponse | None:
        if self.troubles:
            return self.troubles.popleft()(request)
        wanted = b"Basic " + b64encode(f"{ACCOUNT_SID}:{AUTH_TOKEN}".encode())
        given = request.headers.get("Authorization", "").encode("utf-8", "replace")
        if not hmac.compare_digest(wanted, given):
            return _error(401, 20003, "Authenticate")
        if request.match_info["sid"] not in self.approvals:
            return _error(404, 20404, "The requested resource was not found")
        return None


def throttled(after_s: int) -> Trouble:
    """Too many requests, for so long."""
    wait = {"Retry-After": str(after_s)}
    return lambda _: _error(429, 20429, "Too Many Requests", wait)


@asynccontextmanager
async def contents_standing_in() -> AsyncIterator[tuple[TwilioContents, str]]:
    """A stand-in, and the `content_url` for a carrier of kind twilio."""
    stand_in = TwilioContents()
    async with serving(stand_in.app()) as url:
        yield stand_in, url


def _error(
    status: int, code: int, message: str, headers: dict[str, str] | None = None
) -> web.Response:
    said = {"code": code, "message": message, "status": status}
    return web.json_response(said, status=status, headers=headers)
