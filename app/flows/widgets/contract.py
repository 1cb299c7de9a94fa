"""What a widget is to the machine: how it is checked, and what it does when it is entered or
answered."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from app.flows import liquid
from app.flows.asks import Ask, Event
from app.flows.states import State
from app.flows.turn import Turn

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Go:
    """Leave by this event; `to` says where instead of the transitions ("": nowhere). `variables`
    become `widgets.NAME.*`, `shared` become `flow.variables.*`."""

    event: str
    variables: Mapping[str, Any] = field(default_factory=dict)
    shared: Mapping[str, Any] = field(default_factory=dict)
    to: str | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """Ask, and stay. `kept` is given back with the answer (`Turn.kept`)."""

    ask: Ask
    variables: Mapping[str, Any] = field(default_factory=dict)
    kept: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Halt:
    """End the execution here."""

    event: str = "stop"


Outcome = Go | Pause | Halt


class Report:
    """Where a widget's check says what is wrong with one state: a path below the state, and why."""

    def __init__(self, say: Callable[[Path, str], None]) -> None:
        self.say = say

    def needs(self, state: State, *names: str) -> None:
        """These properties must not be empty."""
        for name in names:
            if not state.text(name).strip():
                self.say(("properties", name), f"{state.type} needs {name}")

    def needs_one(self, state: State, *names: str) -> None:
        """One of these must not be empty."""
        if not any(state.text(name).strip() for name in names):
            said = " or ".join(names)
            self.say(("properties", names[0]), f"{state.type} needs {said}")

    def only(self, state: State, name: str, *words: str) -> None:
        """A property is one of these words, in either case; or empty, or has variables."""
        text = state.text(name)
        if text and "{" not in text and text.lower() not in (word.lower() for word in words):
            self.say(("properties", name), f"should be {' or '.join(words)}")

    def number(self, state: State, name: str, least: int, most: int) -> None:
        """A property is a whole number between these; or empty, or has variables."""
        text = state.text(name).strip()
        if not text or "{" in text:
            return
        if not (text.isascii() and text.isdigit() and least <= int(text[:12]) <= most):
            self.say(("properties", name), f"should be a whole number from {least} to {most}")

    def pairs(self, state: State, name: str, *, least: int = 0) -> None:
        """A property is a list of `{"key": ..., "value": ...}`, each key once and not empty."""
        entries = state.properties.get(name) or []
        path: Path = ("properties", name)
        if not isinstance(entries, list) or len(entries) < least:
            self.say(path, "should be a list of keys and values")
            return
        for at, entry in enumerate(entries):
            if not isinstance(entry, dict) or not str(entry.get("key") or "").strip():
                self.say((*path, at), 'should be {"key": ..., "value": ...} with a key')

    def templates(self, value: Any, path: Path = ("properties",)) -> None:
        """Every text below this is Liquid that can be read."""
        if isinstance(value, str) and (said := liquid.wrong(value)) is not None:
            self.say(path, f"Liquid: {said}")
        elif isinstance(value, dict):
            for key, inner in value.items():
                self.templates(inner, (*path, key))
        elif isinstance(value, list):
            for at, inner in enumerate(value):
                self.templates(inner, (*path, at))


def _nothing(state: State, report: Report) -> None:
    """A widget that can be given nothing wrong."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One widget: the words that `type` may be, its row of the table, the events it leaves by.

    `enter` and `answer` raise Exceeded when the execution cannot go on. A widget that asks has an
    `answer`; it is given only what can answer its ask.
    """

    types: tuple[str, ...]
    about: str
    events: tuple[str, ...]
    enter: Callable[[Turn, State], Outcome]
    answer: Callable[[Turn, State, Ask, Event], Outcome] | None = None
    check: Callable[[State, Report], None] = _nothing
    properties: str = ""
