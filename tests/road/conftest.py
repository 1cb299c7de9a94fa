"""The road without its doors: convoys on a real database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

from app import ids
from app.convoy import Convoy
from app.model.traffic import Inbound
from app.observe import Observe
from app.road.items import Arrival, Draft, Posted, Road, Taken
from app.road.walk import Walker, order_of
from app.runtime import Runtime
from app.settings.models import Settings
from app.store.database import Database
from app.store.declared import declare
from tests.support.settings import ACCOUNT, SMS, settings


@dataclass
class Roadside:
    """A road that is open, and eyes on the database beside it."""

    runtime: Runtime
    road: Road
    sql: asyncpg.Connection

    async def arrive(
        self, external_id: str, address: str = "+15551230001", to: str = SMS, **parts: Any
    ) -> Taken:
        """An inbound walks the road."""
        channel = "whatsapp" if to.startswith("whatsapp:") else "sms"
        channel = "mms" if parts.get("others") else channel
        inbound = Inbound("lab", external_id, channel, address, to, **{"body": "hi", **parts})
        taken = await self.road.submit(Arrival(ACCOUNT, inbound))
        assert isinstance(taken, Taken)
        return taken

    async def post(self, conversation_sid: str, author: str = "system", **parts: Any) -> Posted:
        """A message of the API walks the road."""
        service_sid = self.runtime.settings.service_sid(self.runtime.settings.default_service)
        draft = Draft(ACCOUNT, service_sid, conversation_sid, author, **{"body": "hello", **parts})
        posted = await self.road.submit(draft)
        assert isinstance(posted, Posted)
        return posted

    async def join(self, conversation_sid: str, **columns: Any) -> str:
        """Somebody joins a conversation, straight into the tables."""
        sid = ids.new(ids.PARTICIPANT)
        async with self.runtime.db.begin() as tx:
            await tx.sql.execute(
                "INSERT INTO participants (sid, account_sid, chat_service_sid, conversation_sid,"
                " identity, channel, address, proxy_address, date_created, date_updated)"
                " SELECT $1, account_sid, chat_service_sid, sid, $3, $4, $5, $6, $7, $7"
                " FROM conversations WHERE sid = $2",
                sid,
                conversation_sid,
                columns.get("identity"),
                columns.get("channel"),
                columns.get("address"),
                columns.get("proxy_address"),
                tx.now,
            )
            if columns.get("address"):
                await tx.sql.execute(
                    "INSERT INTO bindings (participant_sid, conversation_sid, account_sid,"
                    " address, proxy_address) VALUES ($1, $2, $3, $4, $5)",
                    sid,
                    conversation_sid,
                    ACCOUNT,
                    columns["address"],
                    columns["proxy_address"],
                )
        return sid

    async def indices(self, conversation_sid: str) -> list[int]:
        """The indices of a conversation's messages in the order of their SIDs' commit."""
        rows = await self.sql.fetch(
            "SELECT index FROM messages WHERE conversation_sid = $1 ORDER BY index",
            conversation_sid,
        )
        return [row["index"] for row in rows]


Open = Callable[..., Any]


@pytest.fixture
async def open_road(db: Database, sql: asyncpg.Connection) -> Open:
    """Opens a road with these settings."""

    @asynccontextmanager
    async def opened(given: Settings | None = None) -> AsyncIterator[Roadside]:
        chosen = given or settings()
        async with db.begin() as tx:
            await declare(tx, chosen)
        runtime = Runtime(
            chosen,
            db,
            None,  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
            db.clock,
            Observe(),
            {},
            "http://parley.test",
        )
        walkers = [Walker(runtime) for _ in range(2)]
        road: Road = Convoy(*walkers, longest=64, waiting_max=10_000, order=order_of, beside=3)
        async with asyncio.TaskGroup() as group:
            group.create_task(road.run())
            try:
                yield Roadside(runtime, road, sql)
            finally:
                road.close()
        for walker in walkers:
            await walker.close()

    return opened


@pytest.fixture
async def roadside(open_road: Open) -> AsyncIterator[Roadside]:
    """A road with the usual settings."""
    async with open_road() as one:
        yield one
