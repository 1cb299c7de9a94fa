"""An execution with the flows that it has entered: one upon the other, the last one asks.

`run-subflow` asks to enter another flow; here that is done, so whoever runs executions sees only
what must be done outside: Say, Wait, Call, Add. A flow that is not there refuses the widget
(`failed`), and so does one more than DEPTH_MAX deep.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from app.flows import machine
from app.flows.asks import Ask, Enter, Event, Refused, Returned
from app.flows.memory import Ended, Memory, Step, Trigger
from app.flows.states import Flow

DEPTH_MAX = 5
ENTERED_MAX = 100  # flows entered or left for one event

Find = Callable[[str, str], tuple[str, Flow] | None]
"""A flow by its SID and revision (LatestPublished, LatestDraft, a number), with the revision that
it is: an execution stays with the revision with which it began. None: there is none."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One flow of the stack, and where it stands."""

    flow_sid: str
    revision: str
    memory: Memory


@dataclass(frozen=True, slots=True)
class Taken:
    """A step that was made. `id` is unique in the execution and the same when it is made again."""

    id: str
    flow_sid: str
    step: Step


@dataclass(frozen=True, slots=True)
class Stack:
    """An execution. `taken` are the steps of the last event only, in their order."""

    frames: tuple[Frame, ...]
    taken: tuple[Taken, ...] = ()

    @property
    def memory(self) -> Memory:
        """The flow that asks, or the first one when all have ended."""
        return self.frames[-1].memory

    @property
    def ask(self) -> Ask | None:
        """What must be done: Say, Wait, Call or Add. None: it has ended."""
        return self.memory.ask

    @property
    def ended(self) -> Ended | None:
        """How it ended; None while it asks."""
        return self.memory.ended

    @property
    def ask_id(self) -> str:
        """The ask's name in this execution, the same when it is asked again: `3`, or `3.1` for the
        first ask of the flow that ask 3 has entered."""
        return ".".join(str(frame.memory.asked) for frame in self.frames)

    def to_json(self) -> dict[str, Any]:
        """Everything but `taken`, as plain JSON."""
        return {
            "frames": [
                {
                    "flow_sid": frame.flow_sid,
                    "revision": frame.revision,
                    "memory": replace(frame.memory, steps=()).to_json(),
                }
                for frame in self.frames
            ]
        }

    @classmethod
    def from_json(cls, shown: Mapping[str, Any]) -> Stack:
        """What `to_json` gave."""
        return cls(
            tuple(
                Frame(one["flow_sid"], one["revision"], Memory.from_json(one["memory"]))
                for one in shown["frames"]
            )
        )


def begin(found: tuple[str, Flow], trigger: Trigger, find: Find) -> Stack:
    """Start a flow (and its revision) and walk to its first ask, or its end."""
    revision, flow = found
    memory = machine.begin(flow, trigger)
    climb = _Climb([Frame(trigger.flow_sid, revision, memory)], find, trigger.at)
    climb.note()
    return climb.settle()


def advance(stack: Stack, event: Event, now: datetime, find: Find, ask_id: str = "") -> Stack:
    """Answer the pending ask and walk on. An event that does not answer it (or has the id of
    another ask) changes nothing: the same stack is given back."""
    if ask_id not in ("", stack.ask_id) or not machine.answers(stack.memory, event):
        return stack
    climb = _Climb(list(stack.frames), find, now)
    climb.answer(event)
    return climb.settle()


def cancel(stack: Stack, reason: str = "cancelled") -> Stack:
    """End it from outside, with all that it has entered."""
    if stack.ended:
        return stack
    first = stack.frames[0]
    return Stack((replace(first, memory=machine.cancel(first.memory, reason)),))


class _Climb:
    def __init__(self, frames: list[Frame], find: Find, now: datetime) -> None:
        self._frames = frames
        self._find = find
        self._now = now
        self._taken: list[Taken] = []

    def settle(self) -> Stack:
        """Enter and return until something must be done outside, or all have ended."""
        for _ in range(ENTERED_MAX):
            top = self._frames[-1].memory
            if isinstance(top.ask, Enter):
                self._enter(top.ask)
            elif top.ended and len(self._frames) > 1:
                self._return(top)
            else:
                return Stack(tuple(self._frames), tuple(self._taken))
        return self._too_many()

    def answer(self, event: Event) -> None:
        """Answer the last flow's ask."""
        top = self._frames[-1]
        found = self._find(top.flow_sid, top.revision)
        if found is None:
            failed = Ended("failed", f"{top.memory.state}: the flow is not there any more")
            memory = replace(top.memory, ask=None, ended=failed, steps=(), kept={})
        else:
            memory = machine.advance(found[1], top.memory, event, self._now)
        self._frames[-1] = replace(top, memory=memory)
        self.note()

    def note(self) -> None:
        """Put down the steps that the last flow has just made."""
        top = self._frames[-1]
        above = "".join(f"{frame.memory.asked}." for frame in self._frames[:-1])
        self._taken += [
            Taken(f"{above}{step.number}", top.flow_sid, step) for step in top.memory.steps
        ]

    def _enter(self, ask: Enter) -> None:
        if len(self._frames) >= DEPTH_MAX:
            self.answer(Refused(f"flows enter each other at most {DEPTH_MAX} deep"))
            return
        found = self._find(ask.flow_sid, ask.revision)
        if found is None:
            self.answer(Refused(f"there is no flow {ask.flow_sid}"))
            return
        revision, flow = found
        memory = machine.begin(flow, self._trigger(ask))
        self._frames.append(Frame(ask.flow_sid, revision, memory))
        self.note()

    def _trigger(self, ask: Enter) -> Trigger:
        context = self._frames[-1].memory.context
        return Trigger(
            event="incomingParent",
            at=self._now,
            fields=context["trigger"]["message"],
            contact=context["contact"]["channel"]["address"],
            address=context["flow"]["channel"]["address"],
            flow_sid=ask.flow_sid,
            execution_sid=context["flow"]["sid"],
            parent={
                "parameters": ask.parameters,
                "flow_sid": context["flow"]["flow_sid"],
                "execution_sid": context["flow"]["sid"],
            },
        )

    def _return(self, top: Memory) -> None:
        self._frames.pop()
        error = top.ended.error if top.ended else ""
        self.answer(Returned(top.context["flow"]["variables"], error))

    def _too_many(self) -> Stack:
        first = self._frames[0]
        said = f"more than {ENTERED_MAX} flows entered without a reply: a loop?"
        ended = Ended("failed", f"{first.memory.state}: {said}")
        memory = replace(first.memory, ask=None, ended=ended, steps=(), kept={})
        return Stack((replace(first, memory=memory),), tuple(self._taken))
