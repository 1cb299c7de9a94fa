"""Values: dataclasses that nobody changes, held to that by the type checker alone.

`@dataclass(frozen=True)` guards them at run time too, by an `__init__` that takes twice as long.
What is made for each message on the road is made by the dozen: there that was a twentieth of its
cost.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

__all__ = ["value"]

T = TypeVar("T")

if TYPE_CHECKING:
    from dataclasses import dataclass as value
else:
    from dataclasses import dataclass

    def value(*, frozen: bool, slots: bool) -> Callable[[type[T]], type[T]]:
        """`@value(frozen=True, slots=True)`: what the type checker reads as a frozen dataclass; it
        compares and hashes as one."""
        assert frozen
        return dataclass(slots=slots, unsafe_hash=True)
