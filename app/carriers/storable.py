"""What of a carrier's request a database can hold: PostgreSQL stores no NUL, jsonb no NaN."""

from __future__ import annotations

import math
from typing import Any

INTEGER_MAX = 2**63 - 1


def text(given: str) -> str:
    """The text without what UTF-8 and PostgreSQL cannot hold: NULs go, lone surrogates turn to ?"""
    return given.replace("\x00", "").encode("utf-8", "replace").decode()


def document(given: Any) -> Any:
    """The same for a decoded JSON value: no NaN or infinity (null), no integer over 64 bits
    (text)."""
    match given:
        case str():
            return text(given)
        case dict():
            return {text(str(key)): document(value) for key, value in given.items()}
        case list() | tuple():
            return [document(value) for value in given]
        case float() if not math.isfinite(given):
            return None
        case int() if abs(given) > INTEGER_MAX:
            return str(given)
    return given
