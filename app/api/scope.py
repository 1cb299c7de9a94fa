"""Where things are: the absolute URLs of both trees, `/v1/...` and `/v1/Services/{IS}/...`.

Nothing below the API knows which tree a request came by; answers do, in their URLs, and in the
`chat_service_sid` that messages, participants and receipts show in the service tree only.
"""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from app.settings.models import ServerSettings


@dataclass(frozen=True, slots=True)
class Links:
    """`host` is the scheme and host under which the caller knows us; `service` the service in
    the request's path, None in the account's tree."""

    host: str
    service: str | None

    @property
    def tree(self) -> str:
        """The root of the request's tree."""
        below = f"/Services/{self.service}" if self.service else ""
        return f"{self.host}/v1{below}"

    def conversation(self, sid: str) -> str:
        """The URL of a conversation; what is below it hangs on this."""
        return f"{self.tree}/Conversations/{sid}"

    def account(self, path: str) -> str:
        """The URL of something that only the account's tree has."""
        return f"{self.host}/v1{path}"

    def shown(self, service_sid: str) -> dict[str, str]:
        """The key that only the service tree shows."""
        return {"chat_service_sid": service_sid} if self.service else {}


def host(request: web.Request, server: ServerSettings) -> str:
    """The configured public URL, or else what the request was sent to."""
    return server.public_url or f"{request.scheme}://{request.host}"
