"""send-message: say something and go on."""

from __future__ import annotations

from app.flows.asks import Ask, Event, Said, Say
from app.flows.states import State
from app.flows.turn import Turn
from app.flows.widgets import message
from app.flows.widgets.contract import Go, Kind, Outcome


def _enter(turn: Turn, state: State) -> Outcome:
    return message.enter(turn, state, "failed")


def _answer(turn: Turn, state: State, ask: Ask, event: Event) -> Outcome:
    if not isinstance(ask, Say):
        return Go("failed")
    shown = {"outbound": message.outbound(ask, event)}
    return Go("sent" if isinstance(event, Said) else "failed", shown)


KIND = Kind(
    types=("send-message",),
    about="Sends a message into the conversation; its author is the flow. "
    "`failed`: it is refused (what a carrier says later does not count).",
    events=("sent", "failed"),
    enter=_enter,
    answer=_answer,
    check=message.check,
    properties=message.PROPERTIES,
)
