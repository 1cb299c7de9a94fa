"""A document against a pydantic model: every difference in an operator's words, at its place."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from app.settings.document import Document, Steps
from app.settings.parse import scalar
from app.settings.problems import did_you_mean
from app.settings.words import keys_at, words

_M = TypeVar("_M", bound=BaseModel)

# A missing value may be filled in, a text from outside turned into a number; then we look again.
ROUNDS = 3
NUMBERS: Mapping[str, tuple[type, ...]] = {
    "int_type": (int,),
    "int_parsing": (int,),
    "int_from_float": (int,),
    "float_type": (int, float),
    "float_parsing": (int, float),
    "bool_type": (bool,),
    "bool_parsing": (bool,),
}


def match(
    document: Document,
    model: type[_M],
    steps: Steps = (),
    *,
    without: frozenset[str] = frozenset(),
    strict: bool = True,
) -> _M | None:
    """The model from the mapping at these steps but for the keys in `without`; None, and the
    problems on the document, when it does not fit. `strict` takes no number for a text and no text
    for a number; a carrier's own options are not strict, as its validators may not be."""
    errors: list[ErrorDetails] = []
    for _ in range(ROUNDS):
        try:
            return model.model_validate_json(_json(document, steps, without), strict=strict)
        except ValidationError as failure:
            errors = failure.errors(include_url=False, include_input=False)
        mended = [_mend(document, error, steps) for error in errors]
        if not any(mended):
            break
    for error in errors:
        _report(document, model, error, steps)
    return None


def _json(document: Document, steps: Steps, without: frozenset[str]) -> str:
    """As JSON, so that pydantic is strict about types and still takes lists for tuples."""
    value = document.get(*steps)
    if isinstance(value, dict):
        value = {name: item for name, item in value.items() if name not in without}
    return json.dumps(value)


def _mend(document: Document, error: ErrorDetails, prefix: Steps) -> bool:
    """A key without a value is as good as absent, a section without one is empty, and a text from
    outside becomes the number or boolean that is asked for. Says whether anything changed."""
    steps = (*prefix, *error["loc"])
    holder, value, kind = document.get(*steps[:-1]), document.get(*steps), error["type"]
    if not steps or not isinstance(holder, dict) or steps[-1] not in holder:
        return _convert(document, steps, value, kind)
    if value is not None or steps in document.broken or kind in ("extra_forbidden", "missing"):
        return _convert(document, steps, value, kind)
    if kind == "model_type":
        holder[steps[-1]] = {}
    else:
        del holder[steps[-1]]
    return True


def _convert(document: Document, steps: Steps, value: Any, kind: str) -> bool:
    if not isinstance(value, str) or steps not in document.filled or kind not in NUMBERS:
        return False
    meant = scalar(value)
    if not isinstance(meant, NUMBERS[kind]) or (
        isinstance(meant, bool) and not kind.startswith("bool")
    ):
        return False
    document.replace(steps, meant)
    return True


def _report(document: Document, model: type[BaseModel], error: ErrorDetails, prefix: Steps) -> None:
    kind = error["type"]
    steps = _existing(document, (*prefix, *error["loc"]), kind)
    if kind == "extra_forbidden":
        known = keys_at(model, steps[len(prefix) : -1])
        document.report(steps, "unknown key" + did_you_mean(str(steps[-1]), known), at_key=True)
        return
    if any(broken[: len(steps)] == steps for broken in document.broken) and kind == "value_error":
        return
    at_key = "[key]" in error["loc"]
    document.report(steps, words(document, model, error, steps, prefix), at_key=at_key)


def _existing(document: Document, steps: Steps, kind: str) -> Steps:
    """Without what pydantic adds to a path: the branch of a union, `[key]`."""
    found: Steps = ()
    for index, step in enumerate(steps):
        last_missing = kind == "missing" and index == len(steps) - 1
        path = (*found, step)
        stands_in = any(one[: len(path)] == path for one in document.variables)
        if path in document.values or stands_in or last_missing:
            found = path
    return found
