"""The definition of a flow as a parameter, and what is wrong with one ("REST API v2: Flow").

A draft may be wrong: it is kept and says so. What is published is right.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import orjson

from app.api.forms import Parameter
from app.errors import Invalid
from app.flows.definition import parse
from app.flows.states import FlowErrors, Problem
from app.model.flows import PUBLISHED

BAD_DEFINITION = 20422
SHOWN_MAX = 100
"""Problems that an answer lists."""


def _read(texts: Sequence[str]) -> str:
    """The text of a JSON object."""
    try:
        value = orjson.loads(texts[-1])
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise ValueError
    return texts[-1]


DEFINITION: Parameter[str] = Parameter("Definition", _read)


async def problems(definition: str) -> list[dict[str, Any]]:
    """What is wrong with a definition: where (a JSON pointer, the line) and what. It is read beside
    the event loop: one of 1 MB takes seconds."""
    try:
        await asyncio.to_thread(parse, definition)
    except FlowErrors as errors:
        return [_shown(one) for one in errors.problems[:SHOWN_MAX]]
    return []


async def check(definition: str, status: str) -> None:
    """Whether a definition can have this status. Raises Invalid 20422 with `errors` in its details
    for one to be published that is wrong."""
    wrong = await problems(definition) if status == PUBLISHED else []
    if wrong:
        raise Invalid(BAD_DEFINITION, "Invalid Definition", {"errors": wrong, "warnings": []})


def _shown(problem: Problem) -> dict[str, Any]:
    pointer = problem.path.replace("[", "/").replace("]", "").replace(".", "/")
    shown = {"message": problem.message, "property_path": f"#/{pointer}", "line": problem.line}
    if problem.state:
        shown |= {"state": problem.state, "widget": problem.widget}
    return shown
