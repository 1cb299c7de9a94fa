"""Files that a provider keeps for a while: behind a login, perhaps, and gone when they expire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from aiohttp import web


@dataclass
class Files:
    """Files by name. `opens` says whether an Authorization header is good for them."""

    url: str = ""
    opens: Callable[[str], bool] = lambda header: True
    kept: dict[str, bytes] = field(default_factory=dict)

    def keep(self, name: str, content: bytes) -> str:
        """The URL of a new file."""
        self.kept[name] = content
        return f"{self.url}/{name}"

    def expire(self) -> None:
        """The time of all files is over."""
        self.kept.clear()

    async def fetch(self, request: web.Request) -> web.Response:
        """GET: 401 without the login, 404 once it has expired."""
        if not self.opens(request.headers.get("Authorization", "")):
            return web.Response(status=401)
        content = self.kept.get(request.match_info["name"])
        return web.Response(status=404) if content is None else web.Response(body=content)
