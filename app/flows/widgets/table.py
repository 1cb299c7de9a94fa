"""What `parley widgets` prints: every widget that is run, and those that are refused."""

from __future__ import annotations

from collections.abc import Iterator

from app.flows.widgets import discover


def lines() -> Iterator[str]:
    """Line by line: what a widget does, how it is left and what it takes; why one is refused."""
    for kind in discover.declared():
        yield ", ".join(kind.types)
        yield f"    {kind.about}"
        if kind.events:
            yield f"    leaves by: {', '.join(kind.events)}"
        if kind.properties:
            yield f"    takes: {kind.properties}"
    reasons: dict[str, list[str]] = {}
    for word, reason in discover.REFUSED.items():
        reasons.setdefault(reason, []).append(word)
    for reason, words in reasons.items():
        yield ", ".join(words)
        yield f"    refused: {reason}"
