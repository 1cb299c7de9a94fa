"""A running service, who may connect to it, and its REST API."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from app.clock import Clock
from app.observe import Observation, Observe
from app.service import Service, running
from tests.support import sdk
from tests.support.sdk import Sdk
from tests.support.settings import ACCOUNT, SMS, TOKEN, settings

KEY, SECRET = "SK" + "c" * 32, "the-secret-of-the-key-that-signs-tokens"


@dataclass
class Town:
    """One process."""

    service: Service
    http: aiohttp.ClientSession
    observed: list[Observation] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.service.url

    @property
    def service_sid(self) -> str:
        chosen = self.service.runtime.settings
        return chosen.service_sid(chosen.default_service)

    def token(self, identity: str, ttl_s: int = 3600) -> str:
        """An access token for somebody."""
        return sdk.token(ACCOUNT, KEY, SECRET, self.service_sid, identity, ttl_s)

    def client(self, identity: str, ttl_s: int = 3600) -> Any:
        """Somebody connects."""
        return sdk.connected(self.url, self.token(identity, ttl_s))

    async def rest(self, method: str, path: str, form: Any = None, **headers: str) -> Any:
        """A request of REST that must go well."""
        login = {"Authorization": aiohttp.encode_basic_auth(ACCOUNT, TOKEN)}
        async with self.http.request(
            method, f"{self.url}/v1{path}", data=form, headers=login | headers
        ) as response:
            body = await response.read()
            assert response.status < 300, (response.status, body)
            return await response.json() if body else None

    async def conversation(self, *identities: str, **form: str) -> str:
        """A conversation with these people in it; gives its SID."""
        sid: str = (await self.rest("POST", "/Conversations", form or {"FriendlyName": "x"}))["sid"]
        for identity in identities:
            await self.rest("POST", f"/Conversations/{sid}/Participants", {"Identity": identity})
        return sid

    async def say(self, sid: str, body: str, author: str = "system") -> dict[str, Any]:
        """A message by REST."""
        form = {"Body": body, "Author": author}
        shown: dict[str, Any] = await self.rest("POST", f"/Conversations/{sid}/Messages", form)
        return shown

    def hub_sessions(self) -> list[Any]:
        """Who is connected."""
        return [one for one in self.service.hub.sessions if not one.gone]

    def phone(self, address: str = "+15551230001") -> Any:
        """A simulated phone at the sandbox carrier."""
        return self.service.runtime.carriers["lab"].world.phone(address)  # type: ignore[attr-defined]


@asynccontextmanager
async def town(dsn: str, clock: Clock | None = None, **changes: Any) -> AsyncIterator[Town]:
    """The service on a database, with a key that signs tokens."""
    account = {
        "sid": ACCOUNT,
        "auth_token": TOKEN,
        "api_keys": [{"sid": KEY, "secret": SECRET}],
    }
    chosen = settings(**({"account": account} | changes))
    observed: list[Observation] = []
    observe = Observe()
    observe.to(observed.append)
    async with (
        running(chosen, dsn, observe=observe, clock=clock) as service,
        aiohttp.ClientSession() as http,
    ):
        yield Town(service, http, observed)


async def joined(client: Sdk, sid: str) -> tuple[Any, Any, Any]:
    """Open a conversation as the SDK does: document, messages, roster."""
    document = await client.open("Documents", f"{sid}.channel")
    messages = await client.open("Lists", f"{sid}.messages")
    roster = await client.open("Maps", f"{sid}.roster")
    await client.items(roster, PageSize="50", Order="asc")
    await client.subscribe(document, messages, roster)
    return document, messages, roster


__all__ = ["ACCOUNT", "KEY", "SECRET", "SMS", "Town", "joined", "town"]
