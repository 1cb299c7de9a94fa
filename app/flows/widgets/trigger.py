"""trigger: where an execution begins, by the event that began it."""

from __future__ import annotations

from app.flows.memory import TRIGGERS
from app.flows.states import State
from app.flows.turn import Turn
from app.flows.widgets.contract import Go, Kind, Outcome


def _enter(turn: Turn, state: State) -> Outcome:
    """A transition may lead back to the trigger: nothing began anew, so nothing follows."""
    return Go("", to="")


KIND = Kind(
    types=("trigger",),
    about="Where it begins. A message of a conversation comes as `incomingConversationMessage` "
    "(`incomingMessage` when only that is connected), a REST call as `incomingRequest`. "
    "Other events may stand there, unconnected.",
    events=tuple(TRIGGERS),
    enter=_enter,
)
