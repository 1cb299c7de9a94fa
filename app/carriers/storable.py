"""What of a carrier's request a database can hold: PostgreSQL stores no NUL, jsonb no NaN."""

from __future__ import annotations

import math
from typing import Any

INTEGER_MAX = 2**63 - 1
LEVELS_MAX = 32


def text(given: str) -> str:
    """The text without what UTF-8 and PostgreSQL cannot hold: NULs go, lone surrogates turn to ?"""
    if given.isascii() and "\x00" not in given:  # nearly always, and a sixth of the work
        return given
    return given.replace("\x00", "").encode("utf-8", "replace").decode()


def form(given: dict[str, str]) -> dict[str, str]:
    """The names and values of a form, each so."""
    whole = "".join((*given, *given.values()))
    if whole.isascii() and "\x00" not in whole:
        return given
    return {text(name): text(value) for name, value in given.items()}


def document(given: Any, levels: int = LEVELS_MAX) -> Any:
    """The same for a decoded JSON value: no NaN or infinity (null), no integer over 64 bits
    (text). Raises ValueError for one that is nested deeper than anybody needs."""
    if levels == 0:
        raise ValueError(f"the document has more than {LEVELS_MAX} levels")
    match given:
        case str():
            return text(given)
        case dict():
            return {text(str(key)): document(value, levels - 1) for key, value in given.items()}
        case list() | tuple():
            return [document(value, levels - 1) for value in given]
        case float() if not math.isfinite(given):
            return None
        case int() if abs(given) > INTEGER_MAX:
            return str(given)
    return given
