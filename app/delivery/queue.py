"""Where the delivery loop gets its work: lanes that are due and have a carrier that may be used;
rated senders' lanes by their turns."""

from __future__ import annotations

import math
from collections.abc import Collection
from datetime import datetime, timedelta

import asyncpg

from app import ids
from app.clock import Clock
from app.delivery.pauses import Pauses, Probe
from app.model.outbox import DELIVERY, carriers_of
from app.rules import paces
from app.settings.models import Settings
from app.store import carrier_pauses, outbox
from app.store import paces as pace_turns
from app.store.outbox import Claimed, Due
from app.store.paces import Head

LOOK_S = 1.0
"""How often the database is asked which carriers are paused."""
FREE_MAX = 500
"""Lanes of one route that are let go at once."""


class DeliveryQueue:
    """The queue of one process's delivery loop."""

    def __init__(self, clock: Clock, pauses: Pauses, settings: Settings) -> None:
        self._clock, self._pauses, self._settings = clock, pauses, settings
        self._rates = paces.rates(settings)
        self._looked = -math.inf

    async def take(
        self, sql: asyncpg.Connection, room: int, *, now: datetime, lease_s: float
    ) -> tuple[list[Claimed], datetime | None]:
        """As `app.lanes.Queue` says."""
        lease = ids.token()
        if not self._pauses.fresh or self._clock.monotonic() - self._looked >= LOOK_S:
            await self._look(sql, now, lease_s)
        lanes = await outbox.due(sql, DELIVERY, limit=room, lease=lease, now=now, lease_s=lease_s)
        going, staying = self._sort(lanes, lease)
        begun: set[str] = set()
        try:
            if staying:
                await carrier_pauses.hold(sql, staying, now)
            going = await self._paced(sql, going)
            claimed = await outbox.begin(sql, going, lease=lease, now=now, rates=self._rates)
            next_due = await outbox.next_due(sql, DELIVERY) if len(claimed) < room else None
            begun = {item.lane for item in claimed}
        finally:
            self._take_back([lane.lane for lane in going if lane.lane not in begun], lease)
        return claimed, next_due

    def ended(self, item: Claimed) -> None:
        """As `app.lanes.Queue` says."""
        self._pauses.ended(item.lane, item.lease)

    async def _paced(self, sql: asyncpg.Connection, lanes: list[Due]) -> list[Due]:
        """These with the paces that their heads keep, where it is they who tell."""
        asked = [lane.lane for lane in lanes if paces.by_head(lane.sender)]
        if not asked:
            return lanes
        kept = {head.lane: self._pace(head) for head in await pace_turns.heads(sql, asked)}
        return [
            lane._replace(sender=kept.get(lane.lane)) if paces.by_head(lane.sender) else lane
            for lane in lanes
        ]

    def _pace(self, head: Head) -> str | None:
        sender = self._settings.sender_of(head.account_sid, head.proxy_address)
        if sender is None:
            return None
        return paces.pace_on(sender, head.account_sid, head.channel, head.address)

    def _sort(self, lanes: list[Due], lease: str) -> tuple[list[Due], list[str]]:
        """Those that may go, and the names of those that wait for their carriers. When a pause is
        over, the first lane for that carrier goes, and tells whether it is well."""
        if not self._pauses.paused:
            return lanes, []
        going: list[Due] = []
        staying: list[str] = []
        for lane in lanes:
            turn = self._turn(lane.endpoint)
            if turn is not None:
                del self._pauses.turns[turn.carrier]
            if turn is not None:
                self._pauses.let_through(lane.lane, lease, turn)
            if turn is None and self._pauses.blocked(lane.endpoint):
                staying.append(lane.lane)
            else:
                going.append(lane)
        return going, staying

    def _turn(self, route: str | None) -> Probe | None:
        """The turn that a lane of this route would take: that of a carrier which it would go by,
        were it well."""
        for carrier in carriers_of(route) if route else ():
            if carrier in self._pauses.turns:
                return self._pauses.turns[carrier]
            if carrier not in self._pauses.paused:
                break
        return None

    def _take_back(self, lanes: Collection[str], lease: str) -> None:
        """These do not come about now: others may have the turns that they had."""
        for lane in lanes:
            turn = self._pauses.ended(lane, lease)
            if turn is not None:
                self._pauses.turns[turn.carrier] = turn

    async def _look(self, sql: asyncpg.Connection, now: datetime, lease_s: float) -> None:
        """Ask which carriers are paused, take the turn to try those whose pause is over, and let
        lanes go: one for each turn, and all that have a carrier that is well."""
        self._looked = self._clock.monotonic()  # what is known is as old as the question
        listed = await carrier_pauses.listed(sql)
        self._pauses.know(listed)
        until = now + timedelta(seconds=lease_s)
        for one in listed:
            turn = self._pauses.turns.pop(one.carrier, None)
            if turn is not None and one.probe == turn.name and one.paused_until > now:
                self._pauses.turns[one.carrier] = turn
            elif one.paused_until <= now:
                turn = Probe(one.carrier, ids.token())
                if await carrier_pauses.probe(sql, *turn, now, until):
                    self._pauses.have(turn, until)
        held = await carrier_pauses.routes(sql)
        if not held:
            return
        trying = [route for route in held if self._turn(route) is not None]
        if trying:
            await carrier_pauses.free(sql, trying, 1)
        open_ = [route for route in held if not self._pauses.blocked(route)]
        if open_ and len(await carrier_pauses.free(sql, open_, FREE_MAX)) >= FREE_MAX:
            self._looked = -math.inf  # there are more
