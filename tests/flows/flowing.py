"""Flows made in a line or two, and a talk with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from app.flows import machine
from app.flows.asks import Event
from app.flows.definition import parse
from app.flows.memory import Memory, Trigger
from app.flows.states import Flow

NOW = datetime(2026, 3, 4, 15, 30, tzinfo=UTC)
FLOW, EXECUTION = "FW" + "1" * 32, "FN" + "2" * 32
BOTS = Path(__file__).parents[2] / "config/flows/bots.json"
FORM = {
    "Body": "Hi",
    "Author": "+15550100",
    "MessageSid": "IM" + "3" * 32,
    "ConversationSid": "CH" + "4" * 32,
    "ChatServiceSid": "IS" + "5" * 32,
}

State = dict[str, Any]


def state(
    name: str, type_: str, leads: Mapping[str, str | None] | None = None, **properties: Any
) -> State:
    """A state as the JSON has it; `leads` is where each event leads."""
    transitions = [
        {"event": event} | ({"next": following} if following else {})
        for event, following in (leads or {}).items()
    ]
    return {"name": name, "type": type_, "transitions": transitions, "properties": properties}


def say(name: str, body: str, following: str | None = None) -> State:
    """A send-message."""
    return state(name, "send-message", {"sent": following, "failed": None}, body=body)


def definition(*states: State, event: str = "incomingConversationMessage") -> str:
    """The text of a flow that begins with the first of these states."""
    trigger = state("Trigger", "trigger", {event: states[0]["name"] if states else None})
    return json.dumps({"states": [trigger, *states], "initial_state": "Trigger"}, indent=1)


def flow(*states: State, event: str = "incomingConversationMessage") -> Flow:
    """A flow that begins with the first of these states."""
    return parse(definition(*states, event=event))


def trigger(event: str = "incomingConversationMessage", **changed: Any) -> Trigger:
    """What begins a flow: somebody writes Hi."""
    given: dict[str, Any] = {
        "fields": FORM,
        "contact": "+15550100",
        "address": "+15550199",
        "flow_sid": FLOW,
        "execution_sid": EXECUTION,
    }
    return Trigger(event=event, at=NOW, **(given | changed))


def begun(*states: State, **changed: Any) -> Memory:
    """What a flow of these states asks first."""
    return machine.begin(flow(*states), trigger(**changed))


def talk(made: Flow, *events: Event, **changed: Any) -> Memory:
    """Where a flow stands after these events; each must answer what it asks."""
    memory = machine.begin(made, trigger(**changed))
    for event in events:
        assert machine.answers(memory, event), (memory.ask, event)
        memory = machine.advance(made, memory, event, NOW)
    return memory


def rendered(template: str, **changed: Any) -> str:
    """What a message with this body says."""
    memory = begun(say("it", template), **changed)
    assert memory.ask is not None, memory.ended
    return str(getattr(memory.ask, "body", None))
