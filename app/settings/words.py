"""A pydantic error in an operator's words, which never repeat what may be a secret."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, SecretStr
from pydantic_core import ErrorDetails

from app.settings.document import Document, Steps
from app.settings.problems import did_you_mean, shown
from app.settings.types import PATTERNS, PLAIN

# A longer choice is not listed when one of its words is near.
CHOICE_MAX = 6
MESSAGE_MAX = 300
WORDS = {
    "missing": "is required",
    "string_type": "should be text",
    "int_type": "should be a whole number",
    "int_from_float": "should be a whole number",
    "int_parsing_size": "has too many digits",
    "int_parsing": "should be a whole number",
    "float_parsing": "should be a number",
    "bool_parsing": "should be true or false",
    "float_type": "should be a number",
    "finite_number": "should be a finite number",
    "bool_type": "should be true or false",
    "tuple_type": "should be a list",
    "list_type": "should be a list",
    "dict_type": "should be a mapping of keys to values",
    "model_type": "should be a mapping of keys to values",
    "model_attributes_type": "should be a mapping of keys to values",
    "greater_than": "should be greater than {gt}",
    "greater_than_equal": "should be at least {ge}",
    "less_than": "should be less than {lt}",
    "less_than_equal": "should be at most {le}",
    "string_too_long": "should have a length of at most {max_length}",
    "too_long": "should have a length of at most {max_length}",
}
_QUOTED = re.compile(r"'([^']*)'")


def words(
    document: Document, model: type[BaseModel], error: ErrorDetails, steps: Steps, prefix: Steps
) -> str:
    """What is wrong with the value at these steps, one that `model` was to take at `prefix`."""
    kind, context = error["type"], {n: _short(v) for n, v in error.get("ctx", {}).items()}
    if kind == PLAIN:
        return error["msg"]
    if kind == "string_type" and isinstance(document.get(*steps), bool | int | float):
        wanted = PATTERNS.get(_pattern(_annotation_at(model, steps[len(prefix) :])))
        return f"{wanted}, in quotes" if wanted else "should be text: put it in quotes"
    if kind in WORDS:
        return WORDS[kind].format(**context)
    if kind in ("string_too_short", "too_short"):
        least = context["min_length"]
        return "must not be empty" if least == 1 else f"should have a length of at least {least}"
    if kind == "string_pattern_mismatch":
        pattern = context["pattern"]
        return PATTERNS.get(pattern, f"should match {pattern}")
    if kind in ("literal_error", "enum"):
        return _choice(document, steps, _QUOTED.findall(context["expected"]))
    if steps in document.filled:
        return "is not valid"
    return _foreign(document, model, error["msg"], prefix)


def _short(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _choice(document: Document, steps: Steps, known: list[str]) -> str:
    text = None if document.is_veiled(steps) else document.text(*steps)
    near = did_you_mean(text, known) if text else ""
    if near and len(known) > CHOICE_MAX:
        return "is not a known word" + near
    return f"should be one of {', '.join(known)}" + near


def _foreign(document: Document, model: type[BaseModel], message: str, prefix: Steps) -> str:
    """The words of a carrier's own check, unless they repeat what may be a secret."""
    for steps, text in _leaves(document.get(*prefix), prefix):
        if text not in message:
            continue
        annotation = _annotation_at(model, steps[len(prefix) :])
        if document.is_veiled(steps) or annotation is None or _holds_secret(annotation):
            return "is not valid"
    message = message.removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return shown(" ".join(message.split()), MESSAGE_MAX) or "is not valid"


def _leaves(value: Any, steps: Steps) -> Iterator[tuple[Steps, str]]:
    """Every single value within this one, as text."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _leaves(item, (*steps, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, (*steps, index))
    elif value not in (None, ""):
        yield steps, str(value)


def keys_at(model: type[BaseModel], steps: Steps) -> list[str]:
    """The keys that the model knows at these steps."""
    for inner in _models(_annotation_at(model, steps)):
        return [field.alias or name for name, field in inner.model_fields.items()]
    return []


def _annotation_at(annotation: Any, steps: Steps) -> Any:
    """What type the model declares at these steps; None when it does not say."""
    for step in steps:
        inner = next(_models(annotation), None)
        if isinstance(step, int) or (inner is None or step not in inner.model_fields):
            annotation = _element(annotation)
        else:
            annotation = inner.model_fields[step].annotation
    return annotation


def _pattern(annotation: Any) -> str:
    """The pattern of a text that may be at this type; empty without one."""
    for part in (annotation, *get_args(annotation)):
        for given in getattr(part, "__metadata__", ()):
            for one in getattr(given, "metadata", ()):
                if isinstance(pattern := getattr(one, "pattern", None), str):
                    return pattern
    return ""


def _element(annotation: Any) -> Any:
    """The type of the entries of a list or mapping, also of an optional one."""
    arguments = [part for part in get_args(annotation) if part not in (..., type(None))]
    return arguments[-1] if arguments else None


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        if isinstance(part, type) and issubclass(part, BaseModel):
            yield part


def _holds_secret(annotation: Any) -> bool:
    if annotation is SecretStr:
        return True
    inner = list(_models(annotation))
    return any(_holds_secret(part) for part in get_args(annotation)) or any(
        _holds_secret(field.annotation) for each in inner for field in each.model_fields.values()
    )
