"""Which kinds of carriers there are: every module of this folder that declares a `KIND`."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import Any

from pydantic import BaseModel

import app.carriers
from app.carriers.contract import Carrier, Kind
from app.settings.models import CarrierSettings


def kinds() -> dict[str, type[BaseModel]]:
    """The model of a carrier's options in the YAML, for each `kind:`."""
    return {name: kind.options for name, kind in _declared().items()}


def build(name: str, settings: CarrierSettings, options: Mapping[str, Any]) -> Carrier:
    """The carrier that the YAML calls `name`; `options` are its keys beyond CarrierSettings.

    Raises LookupError for a kind that does not exist and pydantic's ValidationError, which knows
    each wrong key, for options that its kind does not take.
    """
    kind = _declared().get(settings.kind)
    if kind is None:
        raise LookupError(_no_such_kind(settings.kind))
    return kind.build(name, kind.options.model_validate(dict(options)))


@cache
def _declared() -> Mapping[str, Kind[Any]]:
    found: dict[str, Kind[Any]] = {}
    for module in pkgutil.iter_modules(app.carriers.__path__):
        kind = getattr(import_module(f"app.carriers.{module.name}"), "KIND", None)
        if isinstance(kind, Kind):
            found[kind.name] = kind
    return found


def _no_such_kind(word: str) -> str:
    known = sorted(_declared())
    near = get_close_matches(word, known, n=1)
    if near:
        return f"there is no carrier kind {word!r}; did you mean {near[0]!r}?"
    return f"there is no carrier kind {word!r}; there are {', '.join(known)}"
