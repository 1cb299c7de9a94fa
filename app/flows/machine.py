"""The machine that walks a flow: what happened goes in, a memory with the next ask comes out.

It is a function of its arguments: the same memory and event give the same memory again, ask and
number included, so whoever was killed between two steps may simply do it once more. The one
exception is a regular expression that takes too long by the clock, which ends the execution.

Bounded, whatever the definition: STEPS_MAX steps for one event and STEPS_TOTAL_MAX for an
execution, what templates and patterns may cost (`fuel`), what is remembered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from app.clock import iso_seconds
from app.flows.asks import ANSWERS, Ask, Event, Undelivered, Wait
from app.flows.fuel import CONTEXT_BYTES_MAX, VALUE_BYTES_MAX, Exceeded, Fuel, clean, weight
from app.flows.memory import Ended, Memory, Step, Trigger
from app.flows.states import Flow, State
from app.flows.turn import Turn, opening
from app.flows.widgets import discover
from app.flows.widgets.contract import Go, Halt, Outcome, Pause

STEPS_MAX = 1_000
STEPS_TOTAL_MAX = 10_000
SHOWN_BYTES_MAX = 2_048  # of one variable in a step
SHOWN_EVENT_BYTES_MAX = 131_072  # of all steps of one event


def hears(flow: Flow, event: str) -> bool:
    """Whether a trigger of this name leads anywhere in the flow."""
    return flow.states[flow.initial_state].next(event) is not None


def message_event(flow: Flow) -> str | None:
    """The trigger by which a message of a conversation begins this flow; None: it does not."""
    events = ("incomingConversationMessage", "incomingMessage")
    return next((event for event in events if hears(flow, event)), None)


def begin(flow: Flow, trigger: Trigger) -> Memory:
    """Start an execution at `trigger.at` and walk to its first ask, or its end. A trigger that
    fills more than half of what may be remembered fails at once."""
    memory = Memory(state=flow.initial_state, context=opening(trigger))
    if weight(memory.context) > CONTEXT_BYTES_MAX // 2:
        bare = opening(replace(trigger, fields={}, parent={}))
        ended = Ended("failed", f"{memory.state}: what began it is too large")
        return replace(memory, context=bare, ended=ended)
    return _Walk(flow, memory, trigger.at).along(Go(trigger.event))


def advance(flow: Flow, memory: Memory, event: Event, now: datetime) -> Memory:
    """Answer the pending ask and walk to the next one, or to the end. An event that does not answer
    it (of another kind, with the number of another ask, after the end) changes nothing: the same
    memory is given back."""
    if memory.ask is None or not answers(memory, event):
        return memory
    return _Walk(flow, memory, now).answer(memory.ask, event)


def answers(memory: Memory, event: Event) -> bool:
    """Whether this event answers what is asked."""
    if memory.ask is None or event.ask not in (None, memory.asked):
        return False
    if isinstance(event, Undelivered) and isinstance(memory.ask, Wait):
        return event.sid == memory.ask.after
    return isinstance(event, ANSWERS[type(memory.ask)])


def cancel(memory: Memory, reason: str = "cancelled") -> Memory:
    """End an execution from outside; one that has ended stays as it is."""
    if memory.ended:
        return memory
    return replace(memory, ask=None, ended=Ended(reason), steps=(), kept={})


class _Walk:
    def __init__(self, flow: Flow, memory: Memory, now: datetime) -> None:
        self._flow = flow
        self._memory = memory
        self._now = now
        self._fuel = Fuel()
        self._state = memory.state
        self._steps: list[Step] = []
        self._context = dict(memory.context)
        self._context["widgets"] = dict(memory.context["widgets"])
        self._context["flow"] = memory.context["flow"] | {
            "variables": dict(memory.context["flow"]["variables"])
        }
        self._weight = weight(self._context)
        self._room = SHOWN_EVENT_BYTES_MAX

    def answer(self, ask: Ask, event: Event) -> Memory:
        """Give the answer to the widget that asked, and go on."""
        state = self._flow.states.get(self._state)
        answer = discover.kind(state.type).answer if state else None
        if state is None or answer is None:
            return self._failed("the flow has no such state any more")
        try:
            outcome = answer(self._turn(self._memory.kept), state, ask, event)
            self._remember(state, outcome, anew=False)
        except Exceeded as error:
            return self._failed(str(error))
        return self.along(outcome)

    def along(self, outcome: Outcome) -> Memory:
        """Walk from state to state until one asks, or nothing follows."""
        try:
            while isinstance(outcome, Go):
                state = self._flow.states[self._state]
                following = _following(state, outcome)
                self._step(state, outcome.event, following, outcome.variables)
                if following is None:
                    return self._ended(Ended("completed"))
                self._state = following
                outcome = self._enter(self._flow.states[following])
        except Exceeded as error:
            return self._failed(str(error))
        if isinstance(outcome, Pause):
            return self._left(ask=outcome.ask, kept=outcome.kept)
        state = self._flow.states[self._state]
        self._step(state, outcome.event, None, {})
        return self._ended(Ended("stopped"))

    def _enter(self, state: State) -> Outcome:
        self._fuel.burn(10)
        outcome = discover.kind(state.type).enter(self._turn({}), state)
        self._remember(state, outcome, anew=True)
        return outcome

    def _turn(self, kept: Mapping[str, Any]) -> Turn:
        return Turn(self._context, self._now, self._fuel, kept)

    def _remember(self, state: State, outcome: Outcome, *, anew: bool) -> None:
        """Keep what a widget sets. Raises Exceeded when it is too much."""
        if isinstance(outcome, Halt) or state.type == "trigger":
            return
        widgets = self._context["widgets"]
        before = widgets.get(state.name, {})
        after = clean(outcome.variables if anew else {**before, **outcome.variables})
        self._weigh(state.name, before, after)
        widgets[state.name] = after
        if isinstance(outcome, Go) and outcome.shared:
            shared = self._context["flow"]["variables"]
            wanted = clean(outcome.shared)
            self._weigh(state.name, {key: shared.get(key) for key in wanted}, wanted)
            shared.update(wanted)

    def _weigh(self, name: str, before: Any, after: Any) -> None:
        heavy = weight(after)
        self._fuel.burn(heavy / 64)
        if heavy > VALUE_BYTES_MAX:
            raise Exceeded(f"a widget keeps at most {VALUE_BYTES_MAX} bytes")
        self._weight += heavy - weight(before) + len(name) + 8
        if self._weight > CONTEXT_BYTES_MAX:
            raise Exceeded(f"an execution keeps at most {CONTEXT_BYTES_MAX} bytes")

    def _step(
        self, state: State, event: str, following: str | None, variables: Mapping[str, Any]
    ) -> None:
        if len(self._steps) >= STEPS_MAX:
            raise Exceeded(f"more than {STEPS_MAX} steps without a reply: a loop?")
        number = self._memory.stepped + len(self._steps) + 1
        if number > STEPS_TOTAL_MAX:
            raise Exceeded(f"an execution has at most {STEPS_TOTAL_MAX} steps")
        at = iso_seconds(self._now)
        shown = self._shown(clean(variables))
        self._steps.append(Step(number, state.name, state.type, event, following, at, shown))

    def _shown(self, variables: Mapping[str, Any]) -> dict[str, Any]:
        """What a step shows of what was set: all of it, or the sizes of what is large; nothing
        when the event has shown enough."""
        shown = {}
        for name, value in variables.items():
            heavy = weight(value)
            shown[name] = value if heavy <= SHOWN_BYTES_MAX else f"({heavy} bytes)"
        self._room -= weight(shown)
        return shown if self._room >= 0 else {}

    def _failed(self, error: str) -> Memory:
        return self._ended(Ended("failed", f"{self._state}: {error}"))

    def _ended(self, ended: Ended) -> Memory:
        return self._left(ended=ended)

    def _left(
        self,
        ask: Ask | None = None,
        ended: Ended | None = None,
        kept: Mapping[str, Any] | None = None,
    ) -> Memory:
        return Memory(
            state=self._state,
            context=self._context,
            ask=ask,
            ended=ended,
            asked=self._memory.asked + (ask is not None),
            stepped=self._memory.stepped + len(self._steps),
            steps=tuple(self._steps),
            kept=clean(kept or {}),
        )


def _following(state: State, outcome: Go) -> str | None:
    return state.next(outcome.event) if outcome.to is None else outcome.to or None
