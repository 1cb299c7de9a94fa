"""stop: the execution ends here."""

from __future__ import annotations

from app.flows.states import State
from app.flows.turn import Turn
from app.flows.widgets.contract import Halt, Kind, Outcome


def _enter(turn: Turn, state: State) -> Outcome:
    return Halt()


KIND = Kind(
    types=("stop",),
    about="Ends the execution. (So does every transition that leads nowhere.)",
    events=(),
    enter=_enter,
)
