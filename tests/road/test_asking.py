"""The whole house asks before it changes: what the YAML says, through the guarded client."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from app.service import running
from tests.support.customer import Customer, customer
from tests.support.settings import ACCOUNT, TOKEN, settings

TOLD = {"X-Twilio-Webhook-Enabled": "true"}


class Caller:
    """Somebody with the account's token, and the customer."""

    def __init__(self, http: aiohttp.ClientSession, url: str, customer: Customer) -> None:
        self.http, self.url, self.customer = http, url, customer

    async def create(self) -> tuple[int, Any]:
        """A new conversation; gives status and body."""
        async with self.http.post(f"{self.url}/v1/Conversations", headers=TOLD) as answer:
            return answer.status, await answer.json()

    async def metrics(self) -> str:
        """The page of metrics."""
        async with self.http.get(f"{self.url}/metrics") as answer:
            return await answer.text()


@asynccontextmanager
async def calling(dsn: str, webhooks: Any = None, **sections: Any) -> AsyncIterator[Caller]:
    """A running service whose file names a customer who is asked."""
    async with customer(TOKEN) as one:
        said = {"pre_url": f"{one.url}/before", "filters": ["onConversationAdd"]}
        given = settings(webhooks=said | (webhooks or {}), **sections)
        login = b64encode(f"{ACCOUNT}:{TOKEN}".encode()).decode()
        async with (
            running(given, dsn) as service,
            aiohttp.ClientSession(headers={"Authorization": f"Basic {login}"}) as http,
        ):
            yield Caller(http, service.url, one)


async def test_whom_the_yaml_names_is_asked_and_counted(dsn: str) -> None:
    async with calling(dsn) as caller:
        assert (await caller.create())[0] == 201
        caller.customer.answer = lambda hook: 403
        status, body = await caller.create()
        assert (status, body["code"]) == (403, 50056)
        assert all(hook.signed for hook in caller.customer.hooks)
        assert {hook.headers["Connection"] for hook in caller.customer.hooks} == {"close"}
        page = await caller.metrics()
        for outcome in ("delivered", "refused"):
            labels = f'{{outcome="{outcome}",phase="pre",scope="global"}}'
            assert f"parley_hook_attempts_total{labels} 1.0" in page


async def test_what_the_yaml_says_of_silence_decides(dsn: str) -> None:
    closed = {"pre_on_timeout": "closed", "pre_timeout_ms": 200, "pre_url": "http://127.0.0.1:9/"}
    async with calling(dsn, closed) as caller:
        status, body = await caller.create()
        assert (status, body["code"], body["details"]["answered"]) == (403, 50056, None)


async def test_an_address_that_is_not_opened_is_not_asked(dsn: str) -> None:
    async with calling(dsn, egress={"open": []}) as caller:
        assert (await caller.create())[0] == 201, "on_timeout: open"
        assert caller.customer.hooks == []
        labels = '{outcome="unreachable",phase="pre",scope="global"}'
        assert f"parley_hook_attempts_total{labels} 1.0" in await caller.metrics()
