"""How the World calls our doors: like a carrier, again and again until somebody takes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp

from app.carriers.sandbox_wire import Call
from app.clock import Clock

# The waits between tries; the last one is followed by the last try.
RETRY_WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0)
# Twilio gives a webhook 15 s (behaviour.md 4.1).
TIMEOUT_S = 15.0
LOST = "lost"


@dataclass(slots=True)
class Doors:
    """Calls doors. `via` is the origin that is really called; what is signed stays the URL.
    `on_answer` is called after each try."""

    http: aiohttp.ClientSession
    clock: Clock
    waits_s: Sequence[float]
    on_answer: Callable[[], None]

    async def call(self, make: Callable[[], Call], via: str | None, tries: list[str]) -> bool:
        """Whether a door took it (2xx). Anything but 429, 5xx and silence is a last word; the
        answer of each try is added to `tries`."""
        for wait_s in (*self.waits_s, None):
            answer = await self._try(make(), via)
            tries.append(answer)
            self.on_answer()
            if answer != LOST and answer != "429" and not answer.startswith("5"):
                return answer.startswith("2")
            if wait_s is not None:
                await self.clock.sleep(wait_s)
        return False

    async def _try(self, call: Call, via: str | None) -> str:
        url = call.url
        if via is not None:
            url = via + urlsplit(url)._replace(scheme="", netloc="", fragment="").geturl()
        try:
            async with self.http.post(url, data=call.body, headers=call.headers) as response:
                return str(response.status)
        except (aiohttp.ClientError, TimeoutError, OSError):
            return LOST
