"""A configuration file as plain values that still know where they were written."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from app.settings.problems import Problem, dotted

Steps = tuple[str | int, ...]
Place = tuple[int, int]


@dataclass(repr=False)
class Document:
    """The file's values, the place (line, column) of every value and key, and what is wrong so far.

    `filled` are the values that came from the environment or a secret file, `veiled` these and what
    holds them: no message repeats them. `variables` of the environment stand in for values of the
    file: what is wrong with one is said of it. `broken` are those that a problem was reported for
    already: nothing more is said of them. With `warnings` alone the file can be used.
    """

    file: str
    data: Any = None
    values: dict[Steps, Place] = field(default_factory=dict)
    keys: dict[Steps, Place] = field(default_factory=dict)
    veiled: set[Steps] = field(default_factory=set)
    filled: set[Steps] = field(default_factory=set)
    broken: set[Steps] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)
    variables: dict[Steps, str] = field(default_factory=dict)

    def report(self, steps: Steps, message: str, *, at_key: bool = False) -> None:
        """Note a problem with the value (or the key) at these steps, or with what holds it when
        there is none; nothing when it or what holds it is broken (a key does not break)."""
        whole = len(steps) if at_key else len(steps) + 1
        if any(steps[:length] in self.broken for length in range(whole)):
            return
        self.problems.append(self._problem(steps, message, at_key))

    def warn(self, steps: Steps, message: str) -> None:
        """Note what is most likely not meant by the value at these steps; the file is good."""
        self.warnings.append(self._problem(steps, message, at_key=False))

    def get(self, *steps: str | int) -> Any:
        """The value at these steps; None when there is none or it is broken."""
        return None if steps in self.broken else self._raw(steps)

    def text(self, *steps: str | int) -> str | None:
        """The text at these steps; None when there is none."""
        value = self.get(*steps)
        return value if isinstance(value, str) else None

    def names(self, *steps: str | int) -> list[str]:
        """The keys of the mapping at these steps."""
        value = self.get(*steps)
        return list(value) if isinstance(value, dict) else []

    def items(self, *steps: str | int) -> Iterator[Steps]:
        """The steps to every item of the list at these steps."""
        value = self.get(*steps)
        for index in range(len(value) if isinstance(value, list) else 0):
            yield (*steps, index)

    def replace(self, steps: Steps, value: Any) -> None:
        """Put another value at these steps, which exist."""
        if steps:
            self._raw(steps[:-1])[steps[-1]] = value
        else:
            self.data = value

    def veil(self, steps: Steps) -> None:
        """This value comes from outside: never repeat it."""
        self.filled.add(steps)
        self.veiled.update(steps[:length] for length in range(len(steps) + 1))

    def is_veiled(self, steps: Steps) -> bool:
        """Whether this value, or one within it, must not be repeated."""
        return steps in self.veiled

    def _problem(self, steps: Steps, message: str, at_key: bool) -> Problem:
        line, column = self._place(steps, at_key)
        if steps in self.variables:
            message = f"{self.variables[steps]} {message}"
        return Problem(self.file, line, column, dotted(steps), message)

    def _raw(self, steps: Steps) -> Any:
        value = self.data
        for step in steps:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def _place(self, steps: Steps, at_key: bool) -> Place:
        if at_key and steps in self.keys:
            return self.keys[steps]
        if steps in self.values and steps not in self.variables:
            return self.values[steps]
        for length in range(len(steps) - 1, 0, -1):
            place = self.keys.get(steps[:length]) or self.values.get(steps[:length])
            if place:
                return place
        return (1, 1)
