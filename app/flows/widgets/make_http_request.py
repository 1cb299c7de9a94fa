"""make-http-request: call a URL and keep what it answers."""

from __future__ import annotations

from urllib.parse import urlencode

from app.flows.asks import Answered, Ask, Call, Event
from app.flows.states import State
from app.flows.turn import Turn
from app.flows.widgets import http
from app.flows.widgets.contract import Go, Kind, Outcome, Pause, Report


def _check(state: State, report: Report) -> None:
    http.check_url(state, report)
    report.only(state, "method", "GET", "POST")
    report.pairs(state, "parameters")
    for name in ("add_twilio_auth", "send_twilio_credentials"):
        if state.text(name).lower() == "true":
            report.say(("properties", name), "no credentials of the account are given away")


def _enter(turn: Turn, state: State) -> Outcome:
    url = turn.of(state, "url")
    if not http.callable_url(url):
        return Go("failed", {"error": "the URL cannot be called"})
    method = turn.of(state, "method", "GET").upper()
    kind = turn.of(state, "content_type", f"{http.FORM};charset=utf-8")
    body = turn.text(state.text("body"))
    parameters = {key: value for key, value, _ in turn.pairs(state, "parameters")}
    if method == "POST" and not body and kind.lower().startswith(http.FORM):
        body, parameters = urlencode(parameters), {}
    headers = {"Content-Type": kind} if method == "POST" else {}
    if any(mark < " " for mark in kind):
        return Go("failed", {"error": "content_type is no header"})
    return Pause(
        Call(
            method="POST" if method == "POST" else "GET",
            url=http.with_query(url, parameters),
            headers=headers,
            body=body if method == "POST" else "",
            timeout_s=http.TIMEOUT_S,
        )
    )


def _answer(turn: Turn, state: State, ask: Ask, event: Event) -> Outcome:
    shown = http.shown(event)
    well = isinstance(event, Answered) and 200 <= event.status < 300
    return Go("success" if well and shown is not None else "failed", shown or {})


KIND = Kind(
    types=("make-http-request",),
    about="Calls a URL within 10 s. JSON answers are `widgets.NAME.parsed.*`; `success` is 2xx.",
    events=("success", "failed"),
    enter=_enter,
    answer=_answer,
    check=_check,
    properties="`url`, `method` (GET, POST), `content_type`, `body`, `parameters` (the query, or "
    "the form of a POST)",
)
