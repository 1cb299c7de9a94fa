"""Names of what connected clients may see change, as processes tell each other after a commit: a
conversation by its SID, a person by service and identity."""

from __future__ import annotations


def person(service_sid: str, identity: str) -> str:
    """The name of whoever has this identity: what they are in, and what is shown of them."""
    return f"{service_sid}/{identity}"
