"""send-and-wait-for-reply: say something and wait for the other side, for a time.

`deliveryFailure` is taken as soon as the message is refused, or its receipt for the person in
`contact.channel.address` is failed or undelivered, however late, while the widget still waits. That
a carrier says so ends no flow that has drawn nothing for it: it goes on waiting, since an answer
may come all the same.
"""

from __future__ import annotations

from datetime import timedelta

from app.flows.asks import Ask, Event, Replied, Said, Say, Undelivered, Wait
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
        return Pause(wait(turn, state, event.sid), shown)
    if isinstance(event, Undelivered):
        shown = {"outbound": message.undelivered(turn, state, event)}
        drawn = state.next("deliveryFailure") is not None
        return Go("deliveryFailure", shown) if drawn else Pause(ask, shown)
    if isinstance(event, Replied):
        return Go("incomingMessage", {"inbound": variables(event.fields)})
    return Go("timeout")


def wait(turn: Turn, state: State, after: str = "") -> Wait:
    """How long to wait by the property `timeout`, in seconds; what is no number is the default.
    `after` is the message that was said before."""
    text = turn.of(state, "timeout")
    whole = text.isascii() and text.isdigit() and 0 < len(text) <= 12
    seconds = min(max(int(text), 1), TIMEOUT_S_MAX) if whole else TIMEOUT_S
    return Wait(turn.now + timedelta(seconds=seconds), after)


KIND = Kind(
    types=("send-and-wait-for-reply",),
    about="Sends a message and waits for the next one of the other side. "
    "`deliveryFailure`: it is refused, or does not arrive.",
    events=("incomingMessage", "timeout", "deliveryFailure"),
    enter=_enter,
    answer=_answer,
    check=_check,
    properties=f"as send-message, and `timeout` in seconds ({TIMEOUT_S})",
)
