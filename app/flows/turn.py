"""What a widget sees of an execution while it is its turn, and the variables of messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from app.flows import liquid, patterns
from app.flows.fuel import Fuel, clean
from app.flows.memory import TRIGGERS, Trigger
from app.flows.states import State

FIELD_MAX = 8_192  # characters of one field of a message
FIELDS_MAX = 24_576  # of all of them
FIRST = ("Body", "Author", "MessageSid", "ConversationSid", "ChatServiceSid")
ALIASES = (("From", "Author"), ("ChannelSid", "ConversationSid"), ("InstanceSid", "ChatServiceSid"))


class Turn:
    """The present moment of an execution: its variables, what it may still cost, what the widget
    kept when it asked."""

    def __init__(
        self, context: Mapping[str, Any], now: datetime, fuel: Fuel, kept: Mapping[str, Any]
    ) -> None:
        self.context = context
        self.now = now
        self.fuel = fuel
        self.kept = kept

    def text(self, template: str) -> str:
        """A template with its variables. Raises Exceeded."""
        return liquid.render(template, self.context, self.now, self.fuel)

    def of(self, state: State, name: str, default: str = "") -> str:
        """A property of the widget with its variables, without space around it. Raises Exceeded."""
        return self.text(state.text(name)).strip() or default

    def pairs(self, state: State, name: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """A list of keys and values, the values with their variables. Raises Exceeded."""
        for key, value, entry in state.pairs(name):
            yield self.text(key), self.text(value), entry

    def matches(self, pattern: str, text: str) -> bool:
        """Whether the whole text is like this regular expression. Raises Exceeded."""
        return patterns.matches(pattern, text, self.fuel)

    @property
    def flow_sid(self) -> str:
        """The flow's SID."""
        return str(self.context["flow"]["flow_sid"])


def message(fields: Mapping[str, Any]) -> dict[str, Any]:
    """The variables of a message, from its form; what is too long is cut, and fields that do not
    fit any more are left out. Channel and Instance are the names that older flows use."""
    room = FIELDS_MAX
    shown: dict[str, Any] = {}
    for name in dict.fromkeys((*FIRST, *fields)):
        value = str(clean(str(fields.get(name, ""))))[:FIELD_MAX]
        if name in fields and len(value) <= room:
            shown[str(clean(name))[:100]] = value
            room -= len(value) + 32
    for alias, name in ALIASES:
        if name in shown:
            shown.setdefault(alias, shown[name])
    return shown


def opening(trigger: Trigger) -> dict[str, Any]:
    """The variables with which an execution begins."""
    data: dict[str, Any] = {}
    began: dict[str, Any] = {}
    if trigger.event == "incomingRequest":
        data = clean(dict(trigger.fields))
        began["request"] = {"parameters": data, "to": trigger.contact, "from": trigger.address}
    else:
        shown = message(trigger.fields)
        shown.setdefault("From", trigger.contact)
        shown.setdefault("To", trigger.address)
        began = {"message": shown, "conversation": shown, "parent": clean(dict(trigger.parent))}
    return {
        "trigger": {kind: began.get(kind, {}) for kind in TRIGGERS.values()},
        "widgets": {},
        "contact": {"channel": {"address": trigger.contact}},
        "flow": {
            "flow_sid": trigger.flow_sid,
            "sid": trigger.execution_sid,
            "channel": {"address": trigger.address},
            "variables": {},
            "data": data,
        },
    }
