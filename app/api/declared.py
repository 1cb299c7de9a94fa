"""What the YAML owns can be read here and is changed there."""

from __future__ import annotations

from app.errors import Conflict

CONFLICT = 20409


def owned(what: str, place: str) -> Conflict:
    """The refusal to change something: it names the place in the file that says it."""
    said = f"{what} is declared in {place}: change it there"
    return Conflict(CONFLICT, said, {"declared_as": place})
