"""What every section of the file is: frozen, closed to unknown keys, silent about its values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel, ConfigDict


class _Hidden:
    def __repr__(self) -> str:
        return "…"


class Frozen(BaseModel):
    """Cannot be changed, and shows no values in a repr or an error."""

    model_config = ConfigDict(frozen=True, allow_inf_nan=False, hide_input_in_errors=True)

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        return [(name, _Hidden()) for name in sorted(self.model_fields_set)]


class Model(Frozen):
    """Frozen, and closed to keys that it does not know."""

    model_config = ConfigDict(extra="forbid")
