"""Changes by REST are told only to those who asked for it ("Conversations Webhooks")."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import get_args

import orjson
import pytest

from app import ids
from app.settings.types import PostEvent
from app.store import scope, webhooks

from .conftest import OURS

PAIR = {"MessagingBinding.Address": "+15558675310", "MessagingBinding.ProxyAddress": OURS}


@pytest.fixture
async def listening(world):
    """The world, with a webhook that wants every event."""
    async with world.runtime.db.begin() as tx:
        await tx.sql.execute(
            "INSERT INTO webhook_configurations (sid, account_sid, post_url, method, filters,"
            " date_created, date_updated) VALUES ($1, $2, $3, 'POST', $4, $5, $5)",
            ids.new(ids.WEBHOOK),
            world.account_sid,
            "https://crm.example.com/hook",
            list(get_args(PostEvent)),
            tx.now,
        )
    return world


async def told(world) -> list[dict[str, str]]:
    """What waits to be told, in order; deliveries aside."""
    async with world.runtime.db.begin() as tx:
        rows = await tx.sql.fetch(
            "SELECT params::text FROM outbox WHERE account_sid = $1 AND kind = 'hook' ORDER BY seq",
            world.account_sid,
        )
    return [orjson.loads(row["params"]) for row in rows]


async def live(world, headers: dict[str, str]) -> None:
    """One change of each kind."""

    async def call(method: str, path: str, form=None):
        status, body = await world.call(method, path, form, headers=headers)
        assert status < 300, body
        return body

    parent = await call("POST", "/v1/Conversations", {"FriendlyName": "a"})
    member = await call("POST", f"{parent['url']}/Participants", PAIR)
    await call("POST", member["url"], {"LastReadMessageIndex": "0"})
    said = await call("POST", f"{parent['url']}/Messages", {"Body": "x"})
    await call("POST", said["url"], {"Body": "y"})
    await call("DELETE", said["url"])
    await call("DELETE", member["url"])
    await call("POST", parent["url"], {"FriendlyName": "b"})
    await call("POST", parent["url"], {"State": "closed"})
    await call("DELETE", parent["url"])


async def test_every_change_is_told_when_asked_for(listening) -> None:
    await live(listening, {"X-Twilio-Webhook-Enabled": "true"})
    events = await told(listening)
    assert [said["EventType"] for said in events] == [
        "onConversationAdded",
        "onParticipantAdded",
        "onParticipantUpdated",
        "onMessageAdded",
        "onMessageUpdated",
        "onMessageRemoved",
        "onParticipantRemoved",
        "onConversationUpdated",
        "onConversationUpdated",
        "onConversationStateUpdated",
        "onConversationRemoved",
    ]
    assert {said["Source"] for said in events} == {"API"}
    moved = events[9]
    assert (moved["StateFrom"], moved["StateTo"], moved["Reason"]) == ("active", "closed", "API")


@pytest.mark.parametrize("headers", [{}, {"X-Twilio-Webhook-Enabled": "false"}])
async def test_nothing_is_told_otherwise(listening, headers: dict[str, str]) -> None:
    await live(listening, headers)
    assert await told(listening) == []


@pytest.fixture
async def asked(listening) -> Callable[[], Awaitable[list[str]]]:
    """What the database is asked by the changes of a life that nobody asked to be told of."""
    heard: list[str] = []
    async with listening.runtime.db.begin() as tx:  # one caller: it is always this connection
        tx.sql.add_query_logger(lambda query: heard.append(query.query))

    async def of_a_life() -> list[str]:
        heard.clear()
        await live(listening, {})
        await asyncio.sleep(0)  # the driver tells of its queries a little later
        return list(heard)

    return of_a_life


async def test_where_nobody_hears_of_it_a_quiet_change_asks_for_no_targets(
    listening, asked
) -> None:
    statements = await asked()
    assert scope.SERVICE in statements
    assert webhooks.TARGETS not in statements
    sql = "UPDATE webhook_configurations SET echo = true WHERE account_sid = $1"
    async with listening.runtime.db.begin() as tx:
        await tx.sql.execute(sql, listening.account_sid)
    assert webhooks.TARGETS in await asked()
    assert len(await told(listening)) == 11


async def test_one_conversations_echo_makes_no_other_webhook_hear(listening) -> None:
    _, parent = await listening.call("POST", "/v1/Conversations", {})
    form = {
        "Target": "webhook",
        "Configuration.Url": "https://example.com/h",
        "Configuration.Filters": "onMessageAdded",
        "Configuration.Echo": "true",
    }
    await listening.call("POST", f"{parent['url']}/Webhooks", form)
    await live(listening, {})
    assert await told(listening) == []
    await listening.call("POST", f"{parent['url']}/Messages", {"Body": "x"})
    [added] = await told(listening)
    assert (added["EventType"], added["ConversationSid"]) == ("onMessageAdded", parent["sid"])


async def test_a_refused_change_is_not_told(listening) -> None:
    headers = {"X-Twilio-Webhook-Enabled": "true"}
    form = {"UniqueName": "one"}
    for expected in (201, 409):
        status, _ = await listening.call("POST", "/v1/Conversations", form, headers=headers)
        assert status == expected
    assert len(await told(listening)) == 1
