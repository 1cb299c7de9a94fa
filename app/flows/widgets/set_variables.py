"""set-variables: values that all later widgets see as `flow.variables.KEY`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from app.flows.fuel import json_value
from app.flows.states import State
from app.flows.turn import Turn
from app.flows.widgets.contract import Go, Kind, Outcome, Report

KEY_MAX = 100
JSON_FLAGS = ("parse_as_json", "parse_as_object")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{0,9}[1-9])?")


def _check(state: State, report: Report) -> None:
    report.pairs(state, "variables", least=1)


def _enter(turn: Turn, state: State) -> Outcome:
    made = {
        key[:KEY_MAX]: typed(value, more) for key, value, more in turn.pairs(state, "variables")
    }
    return Go("next", made, shared=made)


def typed(text: str, more: Mapping[str, Any]) -> Any:
    """The value of a text: JSON where the entry asks for it, a number where it is written as one
    (so that Liquid can compare it), else the text."""
    if more.get("type") == "object" or any(more.get(flag) in (True, "true") for flag in JSON_FLAGS):
        try:
            return json_value(text)
        except ValueError:
            return text
    number = _NUMBER.fullmatch(text)
    if number is None or text == "-0":
        return text
    return float(text) if "." in text else int(text)


KIND = Kind(
    types=("set-variables",),
    about="Sets `flow.variables.KEY`; a number stays one. JSON is taken apart with "
    "`parse_as_json`.",
    events=("next",),
    enter=_enter,
    check=_check,
    properties="`variables` (key, value)",
)
