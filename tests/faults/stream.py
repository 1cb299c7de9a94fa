"""A consumer of the event stream, by fetching and by a sink: it misses nothing."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.faults.rude import SINK
from tests.faults.town import Town, rows

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
