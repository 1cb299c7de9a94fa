"""Files that a provider keeps for a while: behind a login, perhaps, and gone when they expire."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from aiohttp import web

from app.clock import Clock


@dataclass
class Files:
    """Files by name. `opens` says whether an Authorization header is good for them."""

    url: str = ""
    opens: Callable[[str], bool] = lambda header: True
    kept: dict[str, bytes] = field(default_factory=dict)
    clock: Clock = field(default_factory=Clock)
    gone: int = 404
    meets: deque[Callable[[], None]] = field(default_factory=deque)
    """What the next requests meet: each is called, and answered 500."""
    asked: int = 0
    _until: dict[str, datetime] = field(default_factory=dict)

    def keep(self, name: str, content: bytes, lives_s: float | None = None) -> str:
        """The URL of a new file, and for how long it is good."""
        self.kept[name] = content
        if lives_s is not None:
            self._until[name] = self.clock.now() + timedelta(seconds=lives_s)
        return f"{self.url}/{name}"

    def expire(self) -> None:
        """The time of all files is over."""
        self.kept.clear()

    async def fetch(self, request: web.Request) -> web.Response:
        """GET: 401 without the login, `gone` once it has expired."""
        self.asked += 1
        if self.meets:
            self.meets.popleft()()
            return web.Response(status=500)
        if not self.opens(request.headers.get("Authorization", "")):
            return web.Response(status=401)
        name = request.match_info["name"]
        until = self._until.get(name)
        over = until is not None and self.clock.now() > until
        content = None if over else self.kept.get(name)
        if content is None:
            return web.Response(status=self.gone)
        return web.Response(body=content)
