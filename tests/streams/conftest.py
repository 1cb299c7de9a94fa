"""A house whose customer subscribes to event streams."""

from __future__ import annotations

import json
from typing import Any

from app.streams.types import CONVERSATIONS, TYPES
from tests.support.house import House

MARIA = "+15551230001"
QUICK = {"waits_s": [0.02, 0.02, 0.02], "timeout_s": 10}
EVERYTHING = [{"type": one} for one in TYPES]


def only(*names: str, version: int = 2) -> list[dict[str, Any]]:
    """These types, by the ends of their names."""
    return [{"type": CONVERSATIONS + name, "schema_version": version} for name in names]


async def sink(one: House, kind: str = "webhook", **configuration: Any) -> str:
    """A new sink; a webhook leads to the customer."""
    if kind == "webhook":
        configuration = {"destination": f"{one.customer.url}/stream", **configuration}
    made = await one.post(
        "/v1/Sinks",
        Description="tests",
        SinkType=kind,
        SinkConfiguration=json.dumps(configuration),
    )
    sid: str = made["sid"]
    return sid


async def subscribe(one: House, sink_sid: str, types: list[dict[str, Any]] = EVERYTHING) -> str:
    """A new subscription."""
    made = await one.post(
        "/v1/Subscriptions",
        Description="tests",
        SinkSid=sink_sid,
        Types=[json.dumps(kind) for kind in types],
    )
    sid: str = made["sid"]
    return sid


def arrived(one: House, path: str = "/stream") -> list[dict[str, Any]]:
    """The events that the customer took, in the order in which they came."""
    return [
        event
        for hook in one.customer.hooks
        if hook.path == path and hook.status < 300
        for event in (hook.json if isinstance(hook.json, list) else [hook.json])
    ]


def names(events: list[dict[str, Any]]) -> list[str]:
    """The ends of their types."""
    return [event["type"].removeprefix(CONVERSATIONS) for event in events]
