"""What the options of several kinds of carriers are made of.

A check's message is for operators, is shown as it is, and never repeats the value.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_core import PydanticCustomError

from app.settings.types import PLAIN, Secret

_T = TypeVar("_T")


def plainly(check: Callable[[_T], object]) -> AfterValidator:
    """A check that raises ValueError, as a validator that shows its message and keeps the value."""

    def checked(value: _T) -> _T:
        try:
            check(value)
        except ValueError as error:
            message = str(error)
        else:
            return value
        raise PydanticCustomError(PLAIN, "{message}", {"message": message})

    return AfterValidator(checked)


def matching(pattern: str, message: str) -> AfterValidator:
    """A text that matches as a whole."""
    compiled = re.compile(pattern)

    def check(text: str) -> None:
        if not compiled.fullmatch(text):
            raise ValueError(message)

    return plainly(check)


def _several(given: Any) -> Any:
    return [given] if isinstance(given, str | SecretStr) else given


SEVERAL = BeforeValidator(_several)
"""One value may be written without the brackets of a list."""

Secrets = Annotated[tuple[Secret, ...], SEVERAL, Field(min_length=1)]
"""One secret, or several while it changes."""

CHOSEN_CHARS_MIN = 8


def _hard(secret: SecretStr) -> None:
    if len(secret.get_secret_value()) < CHOSEN_CHARS_MIN:
        raise ValueError(f"is too easy to guess: use {CHOSEN_CHARS_MIN} characters or more")


ChosenSecrets = Annotated[
    tuple[Annotated[Secret, plainly(_hard)], ...], SEVERAL, Field(min_length=1)
]
"""The same, chosen by the operator, for a door that they alone open."""
