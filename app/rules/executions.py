"""A run of a flow: the memories of the flow and of those that it entered, one upon the other.

Only the uppermost asks for something; when it ends, the one below is told. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson

from app.flows import machine
from app.flows.asks import Ask, Event, Returned, Wait
from app.flows.memory import Ended, Memory, Step, Trigger
from app.flows.states import Flow
from app.model.flows import ACTIVE, ENDED

DEPTH_MAX = 8
"""Flows that are entered from one another."""
OVER = "Ended"
"""Where the last step of a flow leads."""
CANCELLED, FAILED = "cancelled", "failed"


@dataclass(frozen=True, slots=True)
class Frame:
    """One flow of a run, in which revision, and where it stands."""

    flow_sid: str
    revision: int
    memory: Memory


@dataclass(frozen=True, slots=True)
class Run:
    """A run: the flow that was started, then those that were entered. `steps` are those made since
    they were kept last."""

    frames: tuple[Frame, ...]
    steps: tuple[Step, ...] = ()

    @property
    def top(self) -> Frame:
        """The flow that asks."""
        return self.frames[-1]

    @property
    def ask(self) -> Ask | None:
        """What is asked for; None: the uppermost flow has ended."""
        return self.top.memory.ask

    @property
    def ended(self) -> Ended | None:
        """How the whole run ended, if it did."""
        return self.top.memory.ended if len(self.frames) == 1 else None

    @property
    def rests(self) -> bool:
        """Whether there is nothing to do until somebody writes or the time is up."""
        return self.ended is not None or isinstance(self.ask, Wait)

    @property
    def due(self) -> datetime | None:
        """When its wait is over."""
        return self.ask.until if isinstance(self.ask, Wait) else None

    @property
    def asked(self) -> str:
        """The name of what is asked for: it is the same whenever the run stands here again."""
        return ".".join(str(frame.memory.asked) for frame in self.frames)

    @property
    def context(self) -> Mapping[str, Any]:
        """What the flow that was started knows."""
        return self.frames[0].memory.context

    def enters(self, flow_sid: str, revision: int, flow: Flow, trigger: Trigger) -> Run:
        """The run when the uppermost flow has entered another one."""
        frame = begun(flow_sid, revision, flow, trigger)
        return Run((*self.frames, frame), (*self.steps, *frame.memory.steps))

    def advances(self, flow: Flow, event: Event, now: datetime) -> Run:
        """The run when the uppermost flow, whose definition this is, was answered."""
        memory = machine.advance(flow, self.top.memory, event, now)
        if memory is self.top.memory:  # it was no answer to what is asked
            return self
        frame = replace(self.top, memory=memory)
        return Run((*self.frames[:-1], frame), (*self.steps, *memory.steps))

    def returns(self, below: Flow, now: datetime) -> Run:
        """The run when the uppermost flow, which has ended, is left for the one below."""
        memory = self.top.memory
        assert memory.ended is not None
        event = Returned(variables=memory.context, error=memory.ended.error)
        return Run(self.frames[:-1], self.steps).advances(below, event, now)

    def breaks(self, reason: str, error: str = "") -> Run:
        """The run, ended from outside."""
        first = self.frames[0]
        ended = replace(machine.cancel(first.memory), ended=Ended(reason, error))
        return Run((replace(first, memory=ended),), self.steps)

    def to_json(self) -> str:
        """Everything but the steps."""
        shown = [
            {
                "flow_sid": frame.flow_sid,
                "revision": frame.revision,
                "memory": replace(frame.memory, steps=()).to_json(),
            }
            for frame in self.frames
        ]
        return orjson.dumps(shown).decode()

    @classmethod
    def from_json(cls, text: str) -> Run:
        """What `to_json` wrote."""
        return cls(
            tuple(
                Frame(one["flow_sid"], one["revision"], Memory.from_json(one["memory"]))
                for one in orjson.loads(text)
            )
        )


def begun(flow_sid: str, revision: int, flow: Flow, trigger: Trigger) -> Frame:
    """A flow that was started."""
    return Frame(flow_sid, revision, machine.begin(flow, trigger))


def starts(flow_sid: str, revision: int, flow: Flow, trigger: Trigger) -> Run:
    """A new run."""
    frame = begun(flow_sid, revision, flow, trigger)
    return Run((frame,), frame.memory.steps)


def standing(run: Run) -> dict[str, Any]:
    """The columns of an execution that say where its run stands."""
    ended = run.ended
    return {
        "status": ACTIVE if ended is None else ENDED,
        "reason": None if ended is None else ": ".join(filter(None, (ended.reason, ended.error))),
        "memory": run.to_json(),
        "due": run.due,
    }


def steps(execution_sid: str, made: Sequence[Step], sids: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of these steps, which get these SIDs."""
    return [
        {
            "sid": sid,
            "execution_sid": execution_sid,
            "name": step.event,
            "transitioned_from": step.name,
            "transitioned_to": step.next or OVER,
            "type": step.widget,
            "context": orjson.dumps({"widgets": {step.name: step.variables}}).decode(),
            "date_created": step.at,
        }
        for sid, step in zip(sids, made, strict=True)
    ]
