"""From the JSON of a flow to a flow that can be run, or everything that is wrong with it.

The form is the original's (docs/65): `states` with `name`, `type`, `transitions`, `properties`,
and `initial_state`. A text of at most 1 MB and 1,000 states.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any

from app.flows.document import Lines, Path, Unreadable, read
from app.flows.states import Condition, Flow, FlowErrors, Problem, State, Transition, written
from app.flows.widgets import discover
from app.flows.widgets.contract import Report

STATES_MAX = 1_000
TRANSITIONS_MAX = 200
CONDITIONS_MAX = 50
NAME_MAX = 128
PROBLEMS_MAX = 100


def parse(text: str | bytes) -> Flow:
    """The flow of a JSON text. Raises FlowErrors with every problem (at most PROBLEMS_MAX), each
    with its state, widget, path and line."""
    try:
        document, lines = read(text)
    except Unreadable as error:
        raise FlowErrors([Problem(error.line, "definition", error.message)]) from None
    reader = _Reader(lines)
    flow = reader.flow(document)
    if reader.problems or flow is None:
        raise FlowErrors(reader.problems)
    return flow


class _Reader:
    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._owner = ("", "")
        self.problems: list[Problem] = []

    def flow(self, document: Any) -> Flow | None:
        """The flow; whether it can be run, `problems` says."""
        if not isinstance(document, dict):
            self._wrong((), "should be an object with states and initial_state")
            return None
        entries = document.get("states")
        if not isinstance(entries, list) or not entries:
            self._wrong(("states",), "should be a list of states")
            return None
        if len(entries) > STATES_MAX:
            self._wrong(("states",), f"has more than {STATES_MAX} states")
            return None
        found = [self._state(entry, ("states", at)) for at, entry in enumerate(entries)]
        self._owner = ("", "")
        initial = document.get("initial_state")
        states = {state.name: state for state in found if state}
        self._names(found, initial)
        for at, state in enumerate(found):
            if state:
                self._check(state, ("states", at), states)
        flags = document.get("flags")
        return Flow(
            description=written(document.get("description")),
            initial_state=str(initial),
            states=states,
            flags=flags if isinstance(flags, dict) else {},
        )

    def _names(self, found: list[State | None], initial: Any) -> None:
        count = Counter(state.name for state in found if state)
        for at, state in enumerate(found):
            if state and count[state.name] > 1:
                self._own(state)
                self._wrong(("states", at, "name"), f"{count[state.name]} states have this name")
        self._owner = ("", "")
        first = next((one for one in found if one and one.name == initial), None)
        if first is None:
            self._wrong(("initial_state",), "should be the name of a state")
        elif first.type != "trigger":
            self._wrong(("initial_state",), f"should be the trigger; {first.name} is none")

    def _state(self, entry: Any, path: Path) -> State | None:
        self._owner = ("", "")
        if not isinstance(entry, dict):
            self._wrong(path, "should be an object with name and type")
            return None
        name, type_ = entry.get("name"), entry.get("type")
        if not isinstance(name, str) or not 0 < len(name) <= NAME_MAX:
            self._wrong((*path, "name"), f"should be a name of 1 to {NAME_MAX} characters")
            return None
        if not isinstance(type_, str):
            self._owner = (name, "")
            self._wrong((*path, "type"), "should be the type of a widget")
            return None
        self._owner = (name, type_[:60])
        properties = entry.get("properties")
        if properties is not None and not isinstance(properties, dict):
            self._wrong((*path, "properties"), "should be an object")
        return State(
            name=name,
            type=type_,
            properties=properties if isinstance(properties, dict) else {},
            transitions=self._transitions(entry.get("transitions"), (*path, "transitions")),
            line=self._line(path),
        )

    def _transitions(self, entries: Any, path: Path) -> tuple[Transition, ...]:
        if entries is None:
            return ()
        if not isinstance(entries, list) or len(entries) > TRANSITIONS_MAX:
            self._wrong(path, f"should be a list of at most {TRANSITIONS_MAX} transitions")
            return ()
        found = [self._transition(entry, (*path, at)) for at, entry in enumerate(entries)]
        return tuple(found)

    def _transition(self, entry: Any, path: Path) -> Transition:
        if not isinstance(entry, dict) or not isinstance(entry.get("event"), str):
            self._wrong(path, "should be an object with an event")
            return Transition("", None)
        following = entry.get("next")
        if following is not None and not isinstance(following, str):
            self._wrong((*path, "next"), "should be the name of a state")
            following = None
        conditions = entry.get("conditions") or []
        if not isinstance(conditions, list) or len(conditions) > CONDITIONS_MAX:
            self._wrong((*path, "conditions"), f"should be a list of at most {CONDITIONS_MAX}")
            conditions = []
        at = (*path, "conditions")
        read_ = tuple(self._condition(one, (*at, n)) for n, one in enumerate(conditions))
        return Transition(entry["event"], following or None, read_)

    def _condition(self, entry: Any, path: Path) -> Condition:
        if not isinstance(entry, dict):
            self._wrong(path, "should be an object with type, arguments and value")
            return Condition("", "", "", "")
        arguments = entry.get("arguments")
        if arguments is not None and not isinstance(arguments, list):
            self._wrong((*path, "arguments"), "should be a list with the variable to test")
            arguments = []
        return Condition(
            type=written(entry.get("type")),
            argument=written(arguments[0]) if arguments else "",
            value=written(entry.get("value")),
            name=written(entry.get("friendly_name")),
        )

    def _check(self, state: State, path: Path, states: Mapping[str, State]) -> None:
        self._own(state)
        if (kind := discover.kinds().get(state.type)) is None:
            self._wrong((*path, "type"), refusal(state.type))
            return
        report = Report(lambda below, said: self._wrong((*path, *below), said))
        kind.check(state, report)
        for name, value in state.properties.items():
            if name != "content_variables":
                report.templates(value, ("properties", name))
        for at, transition in enumerate(state.transitions):
            where = (*path, "transitions", at)
            if transition.next is None:
                continue
            if transition.event not in kind.events:
                said = ", ".join(kind.events) or "none"
                self._wrong((*where, "event"), f"{state.type} leaves by: {said}")
            if transition.next not in states and len(self.problems) < PROBLEMS_MAX:
                near = get_close_matches(transition.next[:NAME_MAX], list(states)[:200], n=1)
                hint = f" (did you mean {near[0]}?)" if near else ""
                self._wrong((*where, "next"), f"there is no state of this name{hint}")

    def _own(self, state: State) -> None:
        self._owner = (state.name, state.type[:60])

    def _wrong(self, path: Path, message: str) -> None:
        if len(self.problems) < PROBLEMS_MAX:
            state, widget = self._owner
            where = dotted(path)
            self.problems.append(Problem(self._line(path), where, message, state, widget))

    def _line(self, path: Path) -> int:
        """The line of a part; of what it is missing in, when it is not there."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)


def refusal(type_: str) -> str:
    """Why there is no widget of this type, in words."""
    if type_ in discover.REFUSED:
        return f"{type_} {discover.REFUSED[type_]}"
    near = get_close_matches(type_[:60], discover.kinds(), n=1)
    hint = f"; did you mean {near[0]}?" if near else f"; there are {', '.join(discover.kinds())}"
    return f"there is no widget {type_[:60]!r}{hint}"


def dotted(path: Path) -> str:
    """A path as people write it: `states[2].properties.body`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f"{'.' * bool(text)}{part[:80]}"
    return text or "definition"
