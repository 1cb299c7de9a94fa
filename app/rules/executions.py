"""Where an execution of a flow stands, as it is kept. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson

from app.flows.asks import Wait
from app.flows.memory import Ended
from app.flows.stack import Stack, Taken
from app.model.flows import ACTIVE, ENDED

OVER = "Ended"
"""Where the last step of a flow leads."""
FAILED = "failed"


def read(text: str) -> Stack:
    """The execution that `standing` wrote."""
    return Stack.from_json(orjson.loads(text))


def rests(stack: Stack) -> bool:
    """Whether there is nothing to do until somebody writes or the time is up."""
    return stack.ended is not None or isinstance(stack.ask, Wait)


def due(stack: Stack) -> datetime | None:
    """When its wait is over."""
    return stack.ask.until if isinstance(stack.ask, Wait) else None


def outcome(stack: Stack) -> str:
    """How it stands, in a word: waits, completed, stopped, failed, cancelled."""
    return "waits" if stack.ended is None else stack.ended.reason


def reason(stack: Stack) -> str | None:
    """How it ended, and why."""
    ended = stack.ended
    return None if ended is None else ": ".join(filter(None, (ended.reason, ended.error)))


def failed(stack: Stack, error: str) -> Stack:
    """The same, ended, because it cannot go on."""
    first = stack.frames[0]
    memory = replace(first.memory, ask=None, ended=Ended(FAILED, error), steps=(), kept={})
    return Stack((replace(first, memory=memory),))


def standing(stack: Stack) -> dict[str, Any]:
    """The columns of an execution that say where it stands."""
    return {
        "status": ACTIVE if stack.ended is None else ENDED,
        "reason": reason(stack),
        "memory": orjson.dumps(stack.to_json()).decode(),
        "due": due(stack),
    }


def steps(execution_sid: str, made: Sequence[Taken], sids: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of these steps, which get these SIDs."""
    return [
        {
            "sid": sid,
            "execution_sid": execution_sid,
            "name": taken.step.event,
            "transitioned_from": taken.step.name,
            "transitioned_to": taken.step.next or OVER,
            "type": taken.step.widget,
            "context": orjson.dumps({"widgets": {taken.step.name: taken.step.variables}}).decode(),
            "date_created": taken.step.at,
        }
        for sid, taken in zip(sids, made, strict=True)
    ]
