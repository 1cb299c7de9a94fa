"""Writes where executions stand, in convoys: those of whom no message is made at the same time."""

from __future__ import annotations

from collections.abc import Sequence

from app.convoy import Convoy
from app.errors import ParleyError
from app.model.flows import FLOW
from app.road.flowing import Overtaken
from app.runtime import Runtime
from app.store import outbox, running, settling
from app.store.running import Ending, Keeping
from app.store.settling import Settled

Keepable = Keeping | Ending | Settled
Kept = Convoy[Keepable, None]

POSTPONED = "postponed"
"""What was not begun: it is as if the item had not been taken."""


class Lost(ParleyError):
    """The lease of the item ran out: another worker has it."""


class Keeper:
    """Keeps executions and settles items on a connection of its own."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._held = runtime.db.hold(pinned=True)

    async def __call__(self, given: Sequence[Keepable]) -> Sequence[Exception | None]:
        """All of them in one transaction: executions are locked before lanes. An item whose lease
        is lost is nobody's here: the whole is taken back, and each is tried alone."""
        now = self._runtime.clock.now()
        keeping = [one for one in given if isinstance(one, Keeping)]
        ending = [one for one in given if isinstance(one, Ending)]
        async with self._held.begin() as sql:
            if ending:
                await running.lock(sql, keeping, ending)
                await running.end(sql, ending, now)
            kept = await running.keep(sql, keeping, now) if keeping else set()
            ours = await outbox.fence(sql, [one.item for one in given])
            if any(one.item.seq not in ours for one in given):
                raise Lost("the lease ran out")
            settled = [done for one in given if (done := _settled(one, kept)) is not None]
            late = [one for one in settled if one.outcome == POSTPONED]
            for one in late:
                await outbox.unbegin(sql, [one.item], one.due or now)
            await settling.settle(sql, [one for one in settled if one not in late], now)
        self._runtime.wakes.ring(FLOW)
        return [Overtaken() if _overtaken(one, kept) else None for one in given]

    async def close(self) -> None:
        """Give the connection back."""
        await self._held.close()


def _overtaken(one: Keepable, kept: set[str]) -> bool:
    return isinstance(one, Keeping) and one.row["sid"] not in kept


def _settled(one: Keepable, kept: set[str]) -> Settled | None:
    if isinstance(one, Settled):
        return one
    return None if _overtaken(one, kept) else one.settled
