"""A world with a customer who is asked before its changes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from app.webhooks.proposals import PRE_EVENTS
from tests.support.customer import Answer, Customer, Hook, customer

from .conftest import TOKEN, World

TOLD = {"X-Twilio-Webhook-Enabled": "true"}
ACCOUNTS = "/v1/Configuration/Webhooks"
TABLES = ("conversations", "messages", "participants", "users", "bindings", "idempotency_keys")


@dataclass
class Asked:
    """Both, and how the world's changes are made."""

    world: World
    customer: Customer

    async def configure(self, path: str = ACCOUNTS, **form: Any) -> None:
        """Change the webhooks."""
        status, body = await self.world.call("POST", path, form)
        assert status == 200, body

    async def change(self, method: str, path: str, form: Any = None, **headers: str) -> Any:
        """A change that its caller wants told; gives status and body."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.world.call(method, path, form, headers=TOLD | given)

    async def made(self, path: str, form: Any = None) -> Any:
        """Something that is made without asking."""
        status, body = await self.world.call("POST", path, form or {})
        assert status == 201, body
        return body

    def answers(self, answer: Answer, event: str | None = None) -> None:
        """From now on the customer answers so (to this event; to all others 200)."""

        def decide(hook: Hook) -> int | web.Response:
            return answer(hook) if event in (None, hook.event) else 200

        self.customer.answer = decide

    async def rows(self) -> dict[str, int]:
        """How many rows there are of what a change could leave."""
        async with self.world.runtime.db.begin() as tx:
            counts = {
                table: await tx.sql.fetchval(
                    f"SELECT count(*) FROM {table} WHERE account_sid = $1", self.world.account_sid
                )
                for table in TABLES
            }
            counts["outbox"] = await tx.sql.fetchval("SELECT count(*) FROM outbox")
        return counts

    async def log(self) -> list[dict[str, Any]]:
        """The attempts at this customer, oldest first."""
        async with self.world.runtime.db.begin() as tx:
            rows = await tx.sql.fetch(
                "SELECT * FROM attempts WHERE target LIKE $1 || '%' ORDER BY id", self.customer.url
            )
        return [dict(row) for row in rows]


@asynccontextmanager
async def asked(world: World, **form: Any) -> AsyncIterator[Asked]:
    """A customer who is asked about everything in this account."""
    async with customer(TOKEN) as one:
        made = Asked(world, one)
        filters = [("Filters", event) for event in sorted(PRE_EVENTS)]
        given = {"PreWebhookUrl": f"{one.url}/before?who=me", **form}
        status, body = await world.call("POST", ACCOUNTS, [*filters, *given.items()])
        assert status == 200, body
        yield made


def says(text: str | bytes, status: int = 200, kind: str = "application/json") -> Answer:
    """An answer with a body."""
    body = text.encode() if isinstance(text, str) else text
    return lambda hook: web.Response(status=status, body=body, content_type=kind)
