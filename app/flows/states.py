"""A flow as it is walked: states, each a widget, and the transitions between them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from app.errors import ParleyError


@dataclass(frozen=True, slots=True)
class Condition:
    """What a transition of split-based-on asks: the first argument is compared with the value."""

    type: str
    argument: str
    value: str
    name: str


@dataclass(frozen=True, slots=True)
class Transition:
    """Where a state goes at an event. next None: nowhere, the flow ends there."""

    event: str
    next: str | None
    conditions: tuple[Condition, ...] = ()


@dataclass(frozen=True, slots=True)
class State:
    """One widget of a flow, with what it was given."""

    name: str
    type: str
    properties: Mapping[str, Any]
    transitions: tuple[Transition, ...]
    line: int = 0

    def next(self, event: str) -> str | None:
        """Where the first transition for this event leads; None: nowhere."""
        return next((one.next for one in self.transitions if one.event == event), None)

    def text(self, name: str) -> str:
        """A property as the text that it was written as; empty when it is missing or null."""
        return written(self.properties.get(name))

    def pairs(self, name: str) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
        """A list of `{"key": ..., "value": ...}`: key, value as text, and the whole entry."""
        for entry in self.properties.get(name) or ():
            yield written(entry.get("key")), written(entry.get("value")), entry


@dataclass(frozen=True, slots=True)
class Flow:
    """A definition that can be run."""

    description: str
    initial_state: str
    states: Mapping[str, State]
    flags: Mapping[str, Any]


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """What is wrong with a definition, and where. `line` counts from 1; `path` is like
    `states[2].properties.body`; state and widget are empty when it is none of theirs."""

    line: int
    path: str
    message: str
    state: str = ""
    widget: str = ""

    def __str__(self) -> str:
        where = f"{self.state} ({self.widget}): " if self.state else ""
        return f"{self.line}: {where}{self.path}: {self.message}"


class FlowErrors(ParleyError):
    """The definition cannot be run. `problems` holds every reason, in the order of the text."""

    def __init__(self, problems: list[Problem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


def written(value: Any) -> str:
    """A property's value as text: numbers and true/false as JSON has them; null is nothing."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
