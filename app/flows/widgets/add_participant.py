"""add-participant: hand over to somebody, by identity or by address."""

from __future__ import annotations

from app.flows.asks import Add, Added, Ask, Event, Refused
from app.flows.states import State
from app.flows.turn import Turn
from app.flows.widgets.contract import Go, Kind, Outcome, Pause, Report


def _check(state: State, report: Report) -> None:
    report.needs_one(state, "identity", "address")
    if state.text("identity") and state.text("address"):
        report.say(("properties", "address"), "give an identity or an address, not both")


def _enter(turn: Turn, state: State) -> Outcome:
    asked = Add(
        identity=turn.of(state, "identity"),
        address=turn.of(state, "address"),
        proxy_address=turn.of(state, "proxy_address"),
        attributes=turn.of(state, "attributes"),
        conversation=turn.of(state, "channel"),
    )
    if not (asked.identity or asked.address):
        return Go("failed", {"error": "the identity or address is empty"})
    return Pause(asked)


def _answer(turn: Turn, state: State, ask: Ask, event: Event) -> Outcome:
    if isinstance(event, Added):
        return Go("success", {"ParticipantSid": event.sid})
    refused = event if isinstance(event, Refused) else Refused()
    return Go("failed", {"error": refused.reason, "code": refused.code})


KIND = Kind(
    types=("add-participant", "add-member-to-chat-channel"),
    about="Adds a person to the conversation: by `identity` (our own people) or by `address`.",
    events=("success", "failed"),
    enter=_enter,
    answer=_answer,
    check=_check,
    properties="`identity`, or `address` and `proxy_address`; `attributes` (JSON)",
)
