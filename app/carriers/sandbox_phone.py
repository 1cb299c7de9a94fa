"""One simulated phone: what tests and the demo hold in their hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from app.carriers.sandbox_records import Received, Texted

if TYPE_CHECKING:
    from app.carriers.sandbox_world import World


@dataclass(frozen=True, slots=True)
class Phone:
    """One simulated phone, by its address."""

    world: World
    address: str

    @property
    def received(self) -> list[Received]:
        """What it got, in the order of arrival."""
        return self.world.records.received_by(self.address)

    @property
    def sent(self) -> list[Texted]:
        """What it wrote."""
        return self.world.records.texted_by(self.address)

    async def text(self, to: str, body: str | None = None, **parts: Any) -> Texted:
        """Write to a number of ours and wait until its door took it or the World gave up.

        `parts`: media (URLs or Media), others, channel, metadata; `external_id` repeats an id.
        """
        message = self.world.message(self.address, to, body, **parts)
        return await self.world.deliver(message)

    def text_later(self, to: str, body: str | None = None, **parts: Any) -> Texted:
        """The same without waiting: the message is on its way."""
        message = self.world.message(self.address, to, body, **parts)
        return self.world.post(message)

    def behave(self, **changes: Any) -> None:
        """Change how this phone behaves; see Behaviour."""
        self.world.behave(self.address, **changes)
