"""`python -m app.flows.widgets.table` prints README's table of widgets."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from app.flows.widgets import discover


def lines() -> Iterator[str]:
    """The table, line by line: every widget that is run, then those that are refused, and why."""
    yield "| widget | what it does | leaves by | takes |"
    yield "| --- | --- | --- | --- |"
    for kind in discover.declared():
        types, events = (
            ", ".join(f"`{word}`" for word in some) for some in (kind.types, kind.events)
        )
        yield f"| {types} | {kind.about} | {events} | {kind.properties} |"
    reasons: dict[str, list[str]] = {}
    for word, reason in discover.REFUSED.items():
        reasons.setdefault(reason, []).append(f"`{word}`")
    for reason, words in reasons.items():
        yield f"| {', '.join(words)} | refused: {reason} | | |"


if __name__ == "__main__":
    sys.stdout.write("\n".join(lines()) + "\n")
