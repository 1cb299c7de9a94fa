"""What an execution of a flow remembers between two events: plain JSON, and everything there is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from app.flows.asks import Ask, ask_from_json, ask_to_json

TRIGGERS = {
    "incomingMessage": "message",
    "incomingConversationMessage": "conversation",
    "incomingRequest": "request",
    "incomingParent": "parent",
}
"""The events that start a flow here, and what the variables of each are called: `trigger.X.*`."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """What starts an execution.

    event: one of TRIGGERS. fields: the onMessageAdded form for the messages, the parameters for a
    request; `contact` is the other side's address (or identity), `address` ours. `parent` is what a
    flow that enters this one says of itself (flow_sid, execution_sid, parameters); the message
    that began it is then in `fields`.
    """

    event: str
    at: datetime
    fields: Mapping[str, Any] = field(default_factory=dict)
    contact: str = ""
    address: str = ""
    flow_sid: str = ""
    execution_sid: str = ""
    parent: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """One widget that was gone through: it was left by `event` towards `next` (None: the end).
    `number` counts from 1 over the whole execution; `variables` is what it set, shortened."""

    number: int
    name: str
    widget: str
    event: str
    next: str | None
    at: str
    variables: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ended:
    """How it ended: completed, stopped (by a stop widget), failed (`error` says why) or cancelled
    (from outside)."""

    reason: str
    error: str = ""


@dataclass(frozen=True, slots=True)
class Memory:
    """Where an execution stands. Exactly one of `ask` and `ended` is set.

    `state` is where it stands, `asked` the number of the ask (from 1, it never falls), `stepped`
    how many steps were made, `steps` those of the last event only: whoever keeps a history
    appends them. `context` is what Liquid sees; `kept` is a widget's own, while it is busy.
    """

    state: str
    context: Mapping[str, Any]
    ask: Ask | None = None
    ended: Ended | None = None
    asked: int = 0
    stepped: int = 0
    steps: tuple[Step, ...] = ()
    kept: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain JSON."""
        return {
            "state": self.state,
            "context": self.context,
            "ask": ask_to_json(self.ask) if self.ask else None,
            "ended": asdict(self.ended) if self.ended else None,
            "asked": self.asked,
            "stepped": self.stepped,
            "steps": [asdict(step) for step in self.steps],
            "kept": self.kept,
        }

    @classmethod
    def from_json(cls, shown: Mapping[str, Any]) -> Memory:
        """What `to_json` gave."""
        return cls(
            state=shown["state"],
            context=shown["context"],
            ask=ask_from_json(shown["ask"]) if shown["ask"] else None,
            ended=Ended(**shown["ended"]) if shown["ended"] else None,
            asked=shown["asked"],
            stepped=shown["stepped"],
            steps=tuple(Step(**step) for step in shown["steps"]),
            kept=shown["kept"],
        )
