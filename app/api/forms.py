"""Parameters, each declared once: name, form, limits, error code.

Names are taken in any case, unknown parameters are ignored, the last of a repeated one counts. A
declaration is also the key under which its value is asked for, so that a value has its type.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, overload
from urllib.parse import parse_qsl

from app.errors import Invalid
from app.settings.models import LimitSettings

T = TypeVar("T")
D = TypeVar("D")

MISSING = INVALID = 20001
USUAL = LimitSettings()


@dataclass(frozen=True, eq=False)
class Parameter(Generic[T]):
    """One parameter. `read` gives its value from the texts sent under its name (at least one), or
    raises Refused, or ValueError for the general `Invalid <name>`. `schema` is its OpenAPI. Where
    a limit can be set, `within` reads by the limits that are, and `read` by the usual ones."""

    name: str
    read: Callable[[Sequence[str]], T]
    schema: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    required: bool = False
    within: Callable[[Sequence[str], LimitSettings], T] | None = None

    def needed(self) -> Parameter[T]:
        """The same parameter where it must be sent."""
        return Parameter(self.name, self.read, self.schema, True, self.within)

    def value(self, texts: Sequence[str], limits: LimitSettings) -> T:
        """The value within these limits."""
        return self.read(texts) if self.within is None else self.within(texts, limits)


class Form:
    """The values of the parameters that were sent, of those declared."""

    def __init__(
        self,
        sent: Sequence[tuple[str, str]],
        declared: Sequence[Parameter[Any]],
        limits: LimitSettings = USUAL,
    ) -> None:
        """Raises Invalid 20001 for the first required one that is missing, then whatever the
        first value that is wrong raises."""
        texts: dict[str, list[str]] = {}
        for name, text in sent:
            texts.setdefault(name.lower(), []).append(text)
        for parameter in declared:
            if parameter.required and parameter.name.lower() not in texts:
                said = f"Missing required parameter {parameter.name} in the post body"
                raise Invalid(MISSING, said)
        self._values: dict[Parameter[Any], Any] = {
            parameter: _read(parameter, texts[parameter.name.lower()], limits)
            for parameter in declared
            if parameter.name.lower() in texts
        }

    def __contains__(self, parameter: Parameter[Any]) -> bool:
        return parameter in self._values

    def __bool__(self) -> bool:
        """Whether any declared parameter was sent."""
        return bool(self._values)

    def __getitem__(self, parameter: Parameter[T]) -> T:
        """The value of a parameter that was sent."""
        value: T = self._values[parameter]
        return value

    @overload
    def get(self, parameter: Parameter[T]) -> T | None: ...
    @overload
    def get(self, parameter: Parameter[T], otherwise: D) -> T | D: ...
    def get(self, parameter: Parameter[Any], otherwise: Any = None) -> Any:
        """The value, or `otherwise` when the parameter was not sent."""
        return self._values.get(parameter, otherwise)


def decode(text: str, fields_max: int) -> list[tuple[str, str]]:
    """Names and values of a form body or a query string. Raises Invalid 20001 for too many."""
    try:
        return parse_qsl(text, keep_blank_values=True, errors="replace", max_num_fields=fields_max)
    except ValueError:
        raise Invalid(INVALID, f"More than {fields_max} parameters") from None


def _read(parameter: Parameter[Any], texts: Sequence[str], limits: LimitSettings) -> Any:
    if any("\x00" in one for one in texts):  # no database text can hold it
        raise Invalid(INVALID, f"Invalid {parameter.name}")
    try:
        return parameter.value(texts, limits)
    except ValueError:
        raise Invalid(INVALID, f"Invalid {parameter.name}") from None
