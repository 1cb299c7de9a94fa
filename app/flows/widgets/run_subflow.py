"""run-subflow: another flow, run to its end; what it set comes back."""

from __future__ import annotations

from app import ids
from app.flows.asks import Ask, Enter, Event, Returned
from app.flows.states import State
from app.flows.turn import Turn
from app.flows.widgets.contract import Go, Kind, Outcome, Pause, Report
from app.flows.widgets.set_variables import typed


def _check(state: State, report: Report) -> None:
    report.needs(state, "flow_sid")
    sid = state.text("flow_sid").strip()
    if sid and "{" not in sid and not ids.is_sid(ids.lowered(sid), ids.FLOW):
        report.say(("properties", "flow_sid"), "should be FW and 32 hexadecimal digits")
    report.pairs(state, "parameters")


def _enter(turn: Turn, state: State) -> Outcome:
    given = {
        key: typed(value, more) if isinstance(more.get("type"), str) or len(more) > 2 else value
        for key, value, more in turn.pairs(state, "parameters")
    }
    return Pause(
        Enter(
            flow_sid=turn.of(state, "flow_sid"),
            revision=turn.of(state, "flow_revision", "LatestPublished"),
            parameters=given,
        )
    )


def _answer(turn: Turn, state: State, ask: Ask, event: Event) -> Outcome:
    if not isinstance(event, Returned) or event.error:
        return Go("failed")
    return Go("completed", dict(event.variables))


KIND = Kind(
    types=("run-subflow",),
    about="Runs another flow to its end; what it set is `widgets.NAME.KEY`, what it is given "
    "`trigger.parent.parameters.*`. Five deep at most.",
    events=("completed", "failed"),
    enter=_enter,
    answer=_answer,
    check=_check,
    properties="`flow_sid`, `flow_revision` (LatestPublished), `parameters`",
)
