"""send-and-wait-for-reply: say something and wait for the other side, for a time."""

from __future__ import annotations

from datetime import timedelta

from app.flows.asks import Ask, Event, Replied, Said, Say, Wait
from app.flows.states import State
from app.flows.turn import Turn
from app.flows.turn import message as variables
from app.flows.widgets import message
from app.flows.widgets.contract import Go, Kind, Outcome, Pause, Report

TIMEOUT_S = 3_600
TIMEOUT_S_MAX = 31_536_000  # a year


def _check(state: State, report: Report) -> None:
    message.check(state, report)
    report.number(state, "timeout", 1, TIMEOUT_S_MAX)


def _enter(turn: Turn, state: State) -> Outcome:
    return message.enter(turn, state, "deliveryFailure")


def _answer(turn: Turn, state: State, ask: Ask, event: Event) -> Outcome:
    if isinstance(ask, Say):
        shown = {"outbound": message.outbound(ask, event)}
        if not isinstance(event, Said):
            return Go("deliveryFailure", shown)
        return Pause(wait(turn, state), shown)
    if isinstance(event, Replied):
        return Go("incomingMessage", {"inbound": variables(event.fields)})
    return Go("timeout")


def wait(turn: Turn, state: State) -> Wait:
    """How long to wait by the property `timeout`, in seconds; what is no number is the default."""
    text = turn.of(state, "timeout")
    whole = text.isascii() and text.isdigit() and 0 < len(text) <= 12
    seconds = min(max(int(text), 1), TIMEOUT_S_MAX) if whole else TIMEOUT_S
    return Wait(turn.now + timedelta(seconds=seconds))


KIND = Kind(
    types=("send-and-wait-for-reply",),
    about="Sends a message and waits for the next one of the other side. "
    "`deliveryFailure`: it is refused.",
    events=("incomingMessage", "timeout", "deliveryFailure"),
    enter=_enter,
    answer=_answer,
    check=_check,
    properties=f"as send-message, and `timeout` in seconds ({TIMEOUT_S})",
)
