"""run-function: code of the customer behind a URL, which gets the parameters as a form."""

from __future__ import annotations

from urllib.parse import urlencode

from app.flows.asks import Answered, Ask, Call, Event
from app.flows.states import State
from app.flows.turn import Turn
from app.flows.widgets import http
from app.flows.widgets.contract import Go, Kind, Outcome, Pause, Report


def _check(state: State, report: Report) -> None:
    http.check_url(state, report)
    report.pairs(state, "parameters")


def _enter(turn: Turn, state: State) -> Outcome:
    url = turn.of(state, "url")
    if not http.callable_url(url):
        return Go("fail", {"error": "the URL cannot be called"})
    parameters = {key: value for key, value, _ in turn.pairs(state, "parameters")}
    return Pause(
        Call(
            method="POST",
            url=url,
            headers={"Content-Type": f"{http.FORM};charset=utf-8"},
            body=urlencode(parameters),
            timeout_s=http.TIMEOUT_S,
        )
    )


def _answer(turn: Turn, state: State, ask: Ask, event: Event) -> Outcome:
    shown = http.shown(event)
    well = isinstance(event, Answered) and 200 <= event.status < 400
    return Go("success" if well and shown is not None else "fail", shown or {})


KIND = Kind(
    types=("run-function", "run-function-v2"),
    about="POSTs the parameters to the function's URL within 10 s; SIDs of functions mean nothing.",
    events=("success", "fail"),
    enter=_enter,
    answer=_answer,
    check=_check,
    properties="`url`, `parameters`",
)
