"""Carriers that fail are left alone, as targets of webhooks are (app/webhooks/queue.py).

A carrier fails when `delivery.pause_after` lanes of it in a row met no connection, no answer, an
error of its server or a login that it does not take, and none was answered between; what it says of
single recipients or senders does not count. Then it is paused for all processes: nothing is sent by
it, using up no attempts, until the pause is over; one send is let through, and when that is
answered all go on. That is the first one that would go by it, were it well, or one that may go by
no other. Processes count for themselves; what one knows of another's pauses is at most a second old
(app/delivery/queue.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

import asyncpg

from app import ids
from app.delivery.throttles import Throttles
from app.delivery.tried import Heard, Tried
from app.model.outbox import carriers_of
from app.observe import CarrierPaused, CarrierResumed
from app.rules.schedule import pause_until
from app.settings.retries import DeliverySettings
from app.store import carrier_pauses
from app.store.carrier_pauses import Paused
from app.store.outbox import Claimed

REASON_CHARS_MAX = 200
Turn = CarrierPaused | CarrierResumed


class Probe(NamedTuple):
    """The turn to be let through to a paused carrier; `name` is that of the turn."""

    carrier: str
    name: str


@dataclass(slots=True)
class Pauses:
    """What one process knows of its carriers: those that are paused, the lanes of each that failed
    since it answered last, and which of its attempts were let through to a paused one (by lane and
    lease). `turns` are those of this process that nobody has yet, by their carriers. `fresh` is
    whether `paused` is what the database said when it was asked last. `throttles` are senders that
    these carriers told to wait."""

    settings: DeliverySettings
    paused: dict[str, Paused] = field(default_factory=dict)
    fresh: bool = False
    turns: dict[str, Probe] = field(default_factory=dict)
    throttles: Throttles = field(default_factory=Throttles)
    _failing: dict[str, set[str]] = field(default_factory=dict)
    _probes: dict[tuple[str, str], Probe] = field(default_factory=dict)

    def know(self, listed: Iterable[Paused]) -> None:
        """These carriers are paused, and no others."""
        self.paused = {one.carrier: one for one in listed}
        self.fresh = True

    def have(self, turn: Probe, until: datetime) -> None:
        """This turn is for one of our attempts, and for nobody else's until then."""
        self.turns[turn.carrier] = turn
        known = self.paused[turn.carrier]
        self.paused[turn.carrier] = replace(known, probe=turn.name, paused_until=until)

    def blocked(self, route: str | None) -> bool:
        """Whether every carrier of this route is paused."""
        if not self.paused or route is None:
            return False
        return all(carrier in self.paused for carrier in carriers_of(route))

    def open_to(self, carrier: str, item: Claimed) -> bool:
        """Whether this attempt may go by this carrier."""
        if carrier not in self.paused:
            return True
        probe = self._probes.get((item.lane, item.lease))
        return probe is not None and probe.carrier == carrier

    def try_instead(self, carriers: Iterable[str], item: Claimed) -> str | None:
        """Let this attempt, which may go by these paused carriers only, through to one whose turn
        nobody has; a turn that it had by its route is for others again. Gives the carrier."""
        turn = next((self.turns[one] for one in carriers if one in self.turns), None)
        if turn is None:
            return None
        del self.turns[turn.carrier]
        had = self.ended(item.lane, item.lease)
        if had is not None:
            self.turns.setdefault(had.carrier, had)
        self.let_through(item.lane, item.lease, turn)
        return turn.carrier

    def let_through(self, lane: str, lease: str, probe: Probe) -> None:
        """This lane's attempt tells whether the carrier is well again."""
        self._probes[lane, lease] = probe

    def ended(self, lane: str, lease: str) -> Probe | None:
        """This attempt is over and written down, or does not come about; gives the turn that it
        had."""
        return self._probes.pop((lane, lease), None)

    async def turn(
        self, sql: asyncpg.Connection, tried: Sequence[Tried], now: datetime
    ) -> list[Turn]:
        """Pause and resume carriers as these attempts say. Nothing is asked of the database unless
        one of them fails, or was paused."""
        turns: list[Turn] = []
        for one in tried:
            probe = self._probes.get((one.item.lane, one.item.lease))
            for heard in one.heard:
                if heard.well:
                    turns += await self._answered(sql, heard.carrier, one.item, now)
                elif probe is not None and probe.carrier == heard.carrier:
                    turns += await self._again(sql, probe, heard, now)
                elif self._fails(heard.carrier, one.item.lane):
                    turns += await self._pause(sql, heard, now)
            if probe is not None and all(heard.carrier != probe.carrier for heard in one.heard):
                await self._pass_on(sql, probe, now)
        return turns

    def _fails(self, carrier: str, lane: str) -> bool:
        """Whether the carrier counts as failing now that this lane did not get through."""
        most = self.settings.pause_after
        lanes = self._failing.setdefault(carrier, set())
        if len(lanes) < most:
            lanes.add(lane)
        return bool(most) and len(lanes) >= most and carrier not in self.paused

    async def _pause(self, sql: asyncpg.Connection, heard: Heard, now: datetime) -> list[Turn]:
        until, reason = self._until(1, now), heard.reason[:REASON_CHARS_MAX]
        self._failing.pop(heard.carrier, None)
        self.fresh = False
        if not await carrier_pauses.pause(sql, heard.carrier, reason, now, until):
            return []  # another process did
        return [CarrierPaused(heard.carrier, 1, (until - now).total_seconds(), reason)]

    async def _again(
        self, sql: asyncpg.Connection, probe: Probe, heard: Heard, now: datetime
    ) -> list[Turn]:
        """The one that was let through did not get through."""
        known, self.fresh = self.paused.get(probe.carrier), False
        count = known.pauses + 1 if known else 1
        until, reason = self._until(count, now), heard.reason[:REASON_CHARS_MAX]
        if not await carrier_pauses.pause_again(sql, *probe, reason, until):
            return []
        return [CarrierPaused(probe.carrier, count, (until - now).total_seconds(), reason)]

    async def _pass_on(self, sql: asyncpg.Connection, probe: Probe, now: datetime) -> None:
        """The one that was let through had no business with the carrier: it is another's turn."""
        self.fresh = False
        await carrier_pauses.pass_on(sql, *probe, now)

    async def _answered(
        self, sql: asyncpg.Connection, carrier: str, item: Claimed, now: datetime
    ) -> list[Turn]:
        self._failing.pop(carrier, None)
        if carrier not in self.paused:
            return []
        since = await carrier_pauses.resume(sql, carrier, item.started_at)
        if since is None:
            return []
        self.fresh = False
        return [CarrierResumed(carrier, (now - since).total_seconds())]

    def _until(self, count: int, now: datetime) -> datetime:
        s = self.settings
        return pause_until(count, now, s.pauses_s, s.jitter, ids.chance())
