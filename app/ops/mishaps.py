"""An error for the log: what it is and where it happened, without the values it may hold.

Drivers put statements, parameters and row values into their messages; of those only the SQLSTATE
and the names of table and constraint are kept. Of other messages the first line is kept, hidden.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

import asyncpg
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from app.ops.hiding import hidden

FRAMES_MAX = 30


def described(error: BaseException) -> dict[str, Any]:
    """Type, message (hidden), place and traceback of an error and of what caused it."""
    chain = _chain(error)
    last = traceback.extract_tb(error.__traceback__)
    values: dict[str, Any] = {"error": type(error).__name__, "message": _message(error)}
    if last:
        values["place"] = f"{last[-1].filename}:{last[-1].lineno} in {last[-1].name}"
    if len(chain) > 1:
        values["cause"] = "; ".join(f"{type(one).__name__}: {_message(one)}" for one in chain[1:])
    values["traceback"] = "\n".join(_frames(one) for one in reversed(chain))
    return values


def _message(error: BaseException) -> str:
    if isinstance(error, DBAPIError):
        return f"sqlstate {getattr(error.orig, 'sqlstate', None)}"
    if isinstance(error, SQLAlchemyError):
        return ""
    if isinstance(error, asyncpg.PostgresError):
        known: Mapping[str, Any] = {
            name: getattr(error, f"{name}_name", None) for name in ("table", "column", "constraint")
        }
        named = "".join(f", {name} {value}" for name, value in known.items() if value)
        return f"sqlstate {error.sqlstate}{named}"
    if isinstance(error, asyncpg.InterfaceError):  # "invalid input for query argument $1: ..."
        return str(error).partition(":")[0]
    return hidden(str(error))


def _chain(error: BaseException) -> list[BaseException]:
    """The error and its causes, the last cause at the end."""
    chain = [error]
    while len(chain) < 5:
        cause = chain[-1].__cause__
        if cause is None and not chain[-1].__suppress_context__:
            cause = chain[-1].__context__
        if cause is None or cause in chain:
            break
        chain.append(cause)
    return chain


def _frames(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-FRAMES_MAX:]
    lines = [f"{frame.filename}:{frame.lineno} in {frame.name}: {frame.line}" for frame in frames]
    return "\n".join([*lines, f"{type(error).__name__}: {_message(error)}"])
