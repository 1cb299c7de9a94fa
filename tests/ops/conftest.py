"""An account on an empty database, what the service hands down, and rows to look at."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import asyncpg
import pytest

from app import ids
from app.model import Account, Binding, Conversation, Participant, Service, WebhookConfiguration
from app.observe import Observation, Observe
from app.runtime import Runtime
from app.settings.models import Settings
from app.store.database import Database
from tests.support.settings import ACCOUNT, SMS, settings

SERVICE = "IS" + "b" * 32
HOOK_URL = "https://crm.example.com/hooks?token=secret"


@dataclass
class House:
    """One account, its runtime, what was observed, and a raw connection beside it."""

    runtime: Runtime
    sql: asyncpg.Connection
    observed: list[Observation] = field(default_factory=list)

    @property
    def now(self) -> datetime:
        return self.runtime.clock.now()

    def seen(self, kind: type) -> list[Any]:
        return [one for one in self.observed if isinstance(one, kind)]

    async def conversation(self, **columns: Any) -> str:
        """A conversation as it is given; active, without timers."""
        sid = columns.pop("sid", None) or ids.new(ids.CONVERSATION)
        dates = dict.fromkeys(("active_at", "state_at", "date_created", "date_updated"), self.now)
        row = Conversation(
            sid=sid, account_sid=ACCOUNT, chat_service_sid=SERVICE, **{**dates, **columns}
        )
        async with self.runtime.db.begin() as tx:
            await tx.add(row)
        return sid

    async def pair(self, conversation_sid: str, address: str, proxy_address: str = SMS) -> str:
        """An external participant that holds a pair."""
        sid = ids.new(ids.PARTICIPANT)
        async with self.runtime.db.begin() as tx:
            await tx.add(
                Participant(
                    sid=sid,
                    account_sid=ACCOUNT,
                    chat_service_sid=SERVICE,
                    conversation_sid=conversation_sid,
                    channel="sms",
                    address=address,
                    proxy_address=proxy_address,
                    date_created=tx.now,
                    date_updated=tx.now,
                )
            )
            await tx.add(
                Binding(
                    participant_sid=sid,
                    conversation_sid=conversation_sid,
                    account_sid=ACCOUNT,
                    address=address,
                    proxy_address=proxy_address,
                )
            )
        return sid

    async def row(self, conversation_sid: str) -> asyncpg.Record:
        found = await self.sql.fetchrow(
            "SELECT * FROM conversations WHERE sid = $1", conversation_sid
        )
        assert found is not None
        return found

    def ago(self, seconds: float) -> datetime:
        return self.now - timedelta(seconds=seconds)


Build = Callable[..., Any]


@pytest.fixture
def build(sql: asyncpg.Connection) -> Build:
    """Makes the house on this database."""

    async def built(db: Database, chosen: Settings | None = None) -> House:
        observe = Observe()
        nobody: Any = None
        runtime = Runtime(
            chosen or settings(), db, nobody, nobody, db.clock, observe, {}, "http://parley.test"
        )
        house = House(runtime, sql)
        observe.to(house.observed.append)
        async with db.begin() as tx:
            dates = {"date_created": tx.now, "date_updated": tx.now}
            await tx.add(Account(sid=ACCOUNT, default_chat_service_sid=SERVICE, **dates))
            await tx.add(Service(sid=SERVICE, account_sid=ACCOUNT, friendly_name="s", **dates))
            await tx.add(
                WebhookConfiguration(
                    sid=ids.new(ids.WEBHOOK),
                    account_sid=ACCOUNT,
                    post_url=HOOK_URL,
                    filters=["onConversationStateUpdated", "onMessageAdded"],
                    **dates,
                )
            )
        return house

    return built


@pytest.fixture
async def house(db: Database, build: Build) -> House:
    """The house with the usual settings and a clock that stands still."""
    made: House = await build(db)
    return made
