"""What every kind of sink is to the follower: it takes events, the first few, or says why not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from app.store.stream_followers import Claimed

DETAIL_CHARS_MAX = 500


@dataclass(frozen=True, slots=True)
class Message:
    """One event as it goes out. `about` is what must stay in order."""

    about: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Sent:
    """What came of it: the first `arrived` events did. outcome: delivered, refused (the sink
    answered), unreachable."""

    arrived: int
    outcome: str
    status: int | None = None
    detail: str | None = None
    retry_after_s: float | None = None


class Sink(Protocol):
    """A kind of sink."""

    async def send(self, follower: Claimed, messages: Sequence[Message]) -> Sent:
        """Send events in their order; never raises for what the other side does."""
        ...

    async def close(self) -> None:
        """Give back what is held for it."""
        ...
