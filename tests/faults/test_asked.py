"""Killed while a customer decides on every inbound, and a consumer reads the event stream: nothing
is lost, doubled or out of order, and no event is missed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from tests.faults.ground import Ground
from tests.faults.load import storm
from tests.faults.rude import BEFORE, MOODS, SINK
from tests.faults.test_kills import strike
from tests.faults.town import LEASE_S, TIMEOUT_S, WAITS_S, Town, rows, town
from tests.faults.verdict import judge
from tests.support.settings import POST_EVENTS

pytestmark = pytest.mark.faults

ASKED = ("onConversationAdd", "onMessageAdd")
ADDED = "com.twilio.conversations.message.added"
EVENTS = "SELECT position, id, data FROM stream_events WHERE type = $1 ORDER BY position"
MESSAGES = "SELECT sid, conversation_sid, index FROM messages ORDER BY conversation_sid, index"
WAITING = "SELECT count(*) AS events FROM stream_intake"


async def followed(one: Town) -> None:
    """Somebody subscribes to the messages, to fetch them and to be sent them."""
    url = one.service.url

    async def made(path: str, **form: str) -> Any:
        async with one.http.post(f"{url}/v1/{path}", data=form) as answer:
            assert answer.status == 201, await answer.text()
            return await answer.json()

    wanted = json.dumps({"type": ADDED, "schema_version": 2})
    pushed = json.dumps({"destination": f"{one.customer.url}{SINK}", "method": "POST"})
    for kind, config in (("http-pull", "{}"), ("webhook", pushed)):
        sink = await made("Sinks", Description=kind, SinkType=kind, SinkConfiguration=config)
        await made("Subscriptions", Description=kind, SinkSid=sink["sid"], Types=wanted)


async def streamed(one: Town) -> None:
    """Every message is in the stream, once, and those of a conversation in their order."""
    while (await rows(one.dsn, WAITING))[0]["events"]:
        await asyncio.sleep(0.1)
    told: dict[str, list[tuple[int, str]]] = {}
    for row in await rows(one.dsn, EVENTS, ADDED):
        data = json.loads(row["data"])
        told.setdefault(data["ConversationSid"], []).append((data["Index"], data["MessageSid"]))
    kept: dict[str, list[tuple[int, str]]] = {}
    for row in await rows(one.dsn, MESSAGES):
        kept.setdefault(row["conversation_sid"], []).append((row["index"], row["sid"]))
    assert told == kept, one.story("the stream and the conversations differ")
    await one.customer.until(lambda: len(accepted(one)) == sum(map(len, kept.values())))
    sent: dict[str, list[tuple[int, str]]] = {}
    for data in accepted(one).values():
        sent.setdefault(data["ConversationSid"], []).append((data["Index"], data["MessageSid"]))
    assert sent == kept, one.story("what the sink was sent and the conversations differ")
    assert all(hook.signed for hook, _ in one.customer.sunk)


def accepted(one: Town) -> dict[str, Any]:
    """The data of each event that the sink took, in the order in which they came first."""
    taken: dict[str, Any] = {}
    for hook, events in one.customer.sunk:
        for event in events if hook.status == 200 else ():
            taken.setdefault(event["id"], event["data"])
    return taken


def moods() -> Iterator[str]:
    """A customer who is well every other time."""
    for number in count():
        yield "well" if number % 2 else MOODS[number // 2 % len(MOODS)]


async def test_kills_while_a_customer_decides_and_somebody_follows(
    ground: Ground, tmp_path: Path, seed: int, kills: int
) -> None:
    sections = {
        "webhooks": {"pre_timeout_ms": 300, "filters": [*POST_EVENTS, *ASKED]},
        "streams": {"waits_s": WAITS_S, "timeout_s": TIMEOUT_S, "lease_s": LEASE_S},
    }
    async with town(ground, tmp_path, seed, services=2, **sections) as one:
        await followed(one)
        one.world.behave(inbound_double_share=0.3)
        async with storm(one, per_s=40) as load:
            for _, mood in zip(range(kills), moods(), strict=False):
                one.customer.turn(mood)
                await strike(one, load, one.services[one.random.randrange(2)])
            one.customer.turn("well")
        await judge(one, load)
        await streamed(one)
        assert {hook.form["EventType"] for hook in one.customer.asked} == set(ASKED)
        assert all(hook.signed and hook.path == BEFORE for hook in one.customer.asked)
