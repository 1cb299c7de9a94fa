"""A world for each test: an account, its services and senders, and the API on a real port."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

import aiohttp
import pytest
from aiohttp import web
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import SQLModel
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client
from yarl import URL

import app.model  # noqa: F401
from app import ids
from app.api.application import build
from app.clock import Clock
from app.convoy import Convoy
from app.files.store import Files
from app.model import Account, Service
from app.observe import Failed, Observation, Observe
from app.road.items import Road
from app.road.walk import Walker
from app.runtime import Runtime
from app.settings.models import Settings
from app.store import embedded, roles
from app.store.database import Database
from app.vault import Vault

from .checker import Checker

T = TypeVar("T")

VAULT_KEY = "a key of thirty-two characters ..."
TOKEN, KEY_SECRET = "token-of-the-account", "secret-of-the-key"
OURS, OURS_TOO, OURS_WHATSAPP = "+15005550006", "+15005550009", "whatsapp:+15005550010"
LONELY = "+15005550001"  # a sender in no messaging service
ORIGINAL = "https://conversations.twilio.com"


@dataclass
class World:
    """One account and the API that serves it."""

    runtime: Runtime
    base: str
    http: aiohttp.ClientSession
    service_sid: str
    other_service_sid: str
    key_sid: str
    observed: list[Observation]

    @property
    def account_sid(self) -> str:
        return self.runtime.settings.account.sid

    @property
    def client(self) -> Client:
        return Client(self.account_sid, TOKEN, http_client=Redirected(self.base))

    @property
    def login(self) -> dict[str, str]:
        """The header of somebody who may do everything."""
        credentials = base64.b64encode(f"{self.account_sid}:{TOKEN}".encode()).decode()
        return {"Authorization": f"Basic {credentials}"}

    async def api(self, ask: Callable[[Any], T]) -> T:
        """Ask something of the official client (it blocks)."""
        return await asyncio.to_thread(ask, self.client.conversations.v1)

    async def service(self, ask: Callable[[Any], T]) -> T:
        """The same in the tree of the account's second service."""
        return await self.api(lambda v1: ask(v1.services(self.other_service_sid)))

    async def call(
        self,
        method: str,
        path: str | URL,
        form: Any = None,
        *,
        auth: tuple[str, str] | None = ("", ""),
        **options: Any,
    ) -> tuple[int, Any]:
        """A raw request; gives status and decoded body."""
        headers = dict(options.pop("headers", {}))
        if auth is not None:
            user, password = auth if auth[0] else (self.account_sid, TOKEN)
            credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
            headers.setdefault("Authorization", f"Basic {credentials}")
        url = path if str(path).startswith("http") else self.base + path
        async with self.http.request(
            method, url, data=form, headers=headers, **options
        ) as response:
            body = await response.read()
            if not body:
                return response.status, None
            if response.headers.get("Content-Disposition"):  # an export
                return response.status, body
            assert response.content_type == "application/json", body
            return response.status, await response.json()


class Redirected(TwilioHttpClient):
    """The official client's transport, to our host."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self._base = base

    def request(self, method: str, url: str, **options: Any) -> Any:
        return super().request(method, url.replace(ORIGINAL, self._base), **options)

    def close(self) -> None:
        self.session.close()


@pytest.fixture(scope="session")
async def api_dsn(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    server = await embedded.start(tmp_path_factory.mktemp("api") / "postgres")
    url = server.dsn.replace("postgresql://", "postgresql+asyncpg://", 1)
    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    await engine.dispose()
    yield server.dsn
    await server.stop()


@pytest.fixture
async def world(api_dsn: str) -> AsyncIterator[World]:
    async with living(api_dsn) as made:
        yield made
        assert [seen for seen in made.observed if isinstance(seen, Failed)] == []


@pytest.fixture
def a_world(api_dsn: str) -> Callable[..., AbstractAsyncContextManager[World]]:
    """Worlds with settings of their own."""
    return partial(living, api_dsn)


@asynccontextmanager
async def living(dsn: str, **more: Any) -> AsyncIterator[World]:
    """A new account on this database, with the given settings on top."""
    settings = a_settings(**more)
    observed: list[Observation] = []
    observe = Observe()
    observe.to(observed.append)
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(aiohttp.ClientSession())
        database = Database(dsn, Clock())
        stack.push_async_callback(database.close)
        vault = Vault([VAULT_KEY])
        folder = Path(stack.enter_context(TemporaryDirectory()))
        files = Files.on_disk(vault, folder, settings.media.free_bytes_min)
        runtime = Runtime(
            *(settings, database, http, http, Clock(), observe, {}, ""), vault=vault, files=files
        )
        services = await _account(runtime)
        road = await stack.enter_async_context(_walked(runtime))
        site, checker = build(runtime, road), Checker()
        site.middlewares.append(checker.middleware)
        runner = web.AppRunner(site)
        await runner.setup()
        stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        base = f"http://127.0.0.1:{runner.addresses[0][1]}"
        key_sid = settings.account.api_keys[0].sid
        yield World(runtime, base, http, *services, key_sid, observed)
        assert checker.problems == []


@asynccontextmanager
async def _walked(runtime: Runtime) -> AsyncIterator[Road]:
    """The road, with somebody who walks it."""
    walker = Walker(runtime)
    road: Road = Convoy(walker, longest=64, waiting_max=1000)
    walking = asyncio.create_task(road.run())
    try:
        yield road
    finally:
        road.close()
        await walking
        await walker.close()


def a_settings(**more: Any) -> Settings:
    senders = [
        {"address": address, "carrier": "lab", "messaging_service": "default"}
        for address in (OURS, OURS_TOO, OURS_WHATSAPP)
    ]
    return Settings.model_validate(
        {
            "account": {
                "sid": ids.new("AC"),
                "auth_token": TOKEN,
                "api_keys": [{"sid": ids.new("SK"), "secret": KEY_SECRET}],
            },
            "carriers": {"lab": {"kind": "sandbox"}},
            "senders": [*senders, {"address": LONELY, "carrier": "lab"}],
            "messaging_services": {"default": {}},
            "limits": {"actions_per_s": 0},
            **more,
        }
    )


async def _account(runtime: Runtime) -> tuple[str, str]:
    account_sid = runtime.settings.account.sid
    service_sid, other_sid = ids.new(ids.SERVICE), ids.new(ids.SERVICE)
    async with runtime.db.begin() as tx:
        for table in ("media", "files", "doomed_files"):  # of a world before, whose folder is gone
            await tx.sql.execute(f"DELETE FROM {table}")
        dates = {"date_created": tx.now, "date_updated": tx.now}
        await tx.add(Account(sid=account_sid, default_chat_service_sid=service_sid, **dates))
        for sid in (service_sid, other_sid):
            service = Service(sid=sid, account_sid=account_sid, friendly_name=sid, **dates)
            await tx.add(service)
            await roles.seed(tx, service)
    return service_sid, other_sid
