"""Whose webhooks are called next: those that are due, as far as there are places for them.

A lane whose endpoint fails, or has all the places that it may have, waits in the queue of that
endpoint (app/store/hook_endpoints.py). A paused endpoint is asked again by one lane, the probe;
what that comes to opens its queue or pauses it again, for longer. Nothing of this is an attempt:
items that wait keep their schedule, and their place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import asyncpg

from app import ids
from app.rules.schedule import pause_until
from app.settings.retries import HookSettings
from app.store import hook_endpoints, outbox
from app.store.hook_endpoints import DueLane, Look, Pause
from app.store.outbox import Claimed
from app.webhooks.places import Places

SORTED_MAX = 256
"""Lanes that are looked at in one turn while some endpoint has a queue of its own."""
QUEUES_MAX = 64
"""Queues that are looked at in one turn."""
APART_MAX = 1000
"""Endpoints with queues of their own that are remembered; others are found in their turn."""
IDLE_S = 60.0
"""How long the empty queue of a paused endpoint is not looked at (a lane that comes wakes it)."""
FORGET = timedelta(days=1)
"""After this an endpoint that nobody calls any more is not paused any more."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an attempt said of its endpoint: `failing` when enough lanes failed in a row."""

    item: Claimed
    well: bool
    failing: bool
    reason: str
    retry_after_s: float | None


@dataclass(frozen=True, slots=True)
class Turns:
    """Endpoints that were paused (again), and those that answer again after `reopened` seconds."""

    paused: Sequence[Pause] = ()
    reopened: Sequence[tuple[str, float]] = ()


class HookQueue:
    """The queue of one process's hook loop."""

    def __init__(self, settings: HookSettings) -> None:
        self._settings = settings
        self.places = Places(settings.in_flight, settings.pause_after)
        self._probes: dict[tuple[str, str], str] = {}
        self._apart: dict[str, None] = {}
        self._share = 0

    async def take(
        self, sql: asyncpg.Connection, room: int, *, now: datetime, lease_s: float
    ) -> tuple[list[Claimed], datetime | None]:
        """Lanes of the common queue and of those of endpoints, as far as there are places. While
        there are queues of endpoints, they and the common one have half of the room each."""
        lease = ids.token()
        self._share ^= 1
        common = room - (room + self._share) // 2 if self._apart else room
        going: list[DueLane] = []
        try:
            lanes = await hook_endpoints.due(sql, now, SORTED_MAX if self._apart else common)
            held = self._sort(lanes, common, lease, going)
            if held:
                await hook_endpoints.hold(sql, held, now)
            await self._from_queues(sql, room, lease, going, now, lease_s)
            claimed = await outbox.start(
                sql, [lane.lane for lane in going], lease=lease, now=now, lease_s=lease_s
            )
            more = len(lanes) >= common
            due = now if more else await hook_endpoints.next_due(sql, now)
        except BaseException:
            self._give_back([lane.lane for lane in going], lease)
            raise
        begun = {item.lane for item in claimed}
        self._give_back([lane.lane for lane in going if lane.lane not in begun], lease)
        return claimed, due

    def ended(self, item: Claimed) -> None:
        """As `Queue` says."""
        self._give_back([item.lane], item.lease)

    def learn(
        self, item: Claimed, *, well: bool, took_s: float, reason: str, retry_after_s: float | None
    ) -> Outcome:
        """What this attempt says of the endpoint it went to."""
        failing = self.places.learn(item.endpoint or "", item.lane, well=well, took_s=took_s)
        return Outcome(item, well, failing, reason, retry_after_s)

    async def turn(
        self, sql: asyncpg.Connection, outcomes: Sequence[Outcome], now: datetime
    ) -> Turns:
        """Pause and open endpoints as these attempts say. Nothing is asked of the database unless
        one fails, or a probe came back."""
        telling = {one.item.endpoint: one for one in outcomes if one.failing}
        telling |= {
            endpoint: one
            for one in outcomes
            if (endpoint := self._probes.get((one.item.lane, one.item.lease))) is not None
        }
        named = [endpoint for endpoint in telling if endpoint is not None]
        if not named:
            return Turns()
        standing = await hook_endpoints.standing(sql, named)
        pauses, opened = [], []
        for endpoint in sorted(named):
            one, stands = telling[endpoint], standing.get(endpoint)
            paused_at = stands.paused_at if stands else None
            probed = stands is not None and stands.probe == one.item.lane
            if probed and one.well:
                opened.append((endpoint, (now - (paused_at or now)).total_seconds()))
                self._apart[endpoint] = None
            elif not one.well and (probed or paused_at is None):
                count = (stands.pauses if stands else 0) + 1
                pauses.append(self._pause(one, endpoint, count, paused_at or now, now))
        if pauses:
            await hook_endpoints.pause(sql, pauses)
        if opened:
            await hook_endpoints.reopen(sql, [endpoint for endpoint, _ in opened], now)
        return Turns(pauses, opened)

    def _pause(
        self, one: Outcome, endpoint: str, count: int, since: datetime, now: datetime
    ) -> Pause:
        s = self._settings
        until = pause_until(
            count, now, s.pauses_s, s.jitter, ids.chance(), one.retry_after_s, s.retry_after_max_s
        )
        item = one.item
        return Pause(endpoint, item.account_sid, item.url or "", one.reason, count, since, until)

    def _sort(
        self, lanes: Sequence[DueLane], room: int, lease: str, going: list[DueLane]
    ) -> list[DueLane]:
        """Put those that may go to `going`, as far as there is room; gives those that wait apart.
        The rest stays where it is."""
        held: list[DueLane] = []
        for lane in lanes:
            endpoint = lane.endpoint or ""
            if lane.apart or (endpoint and not self.places.open_to(endpoint)):
                held.append(lane)
                self._note(endpoint)
            elif len(going) < room and self.places.open_to(endpoint):
                self._go(lane, lease, going)
        return held

    async def _from_queues(
        self,
        sql: asyncpg.Connection,
        room: int,
        lease: str,
        going: list[DueLane],
        now: datetime,
        lease_s: float,
    ) -> None:
        """Put lanes of the queues of endpoints to `going`, in turns."""
        room -= len(going)
        if room <= 0:
            return
        only = None
        if self.places.full_of_doubt:
            only = [endpoint for endpoint in self._apart if self.places.quick(endpoint)]
        queues = await hook_endpoints.queues(sql, now, QUEUES_MAX, only)
        if not queues:
            if only is None:
                self._apart.clear()
            return
        shares = self._shares(queues, room)
        taken = await hook_endpoints.take(sql, shares) if shares else []
        for lane in taken:
            self._go(lane, lease, going)
            self._note(lane.endpoint or "")
        looks, empty = _looks(queues, shares, taken, now, lease_s)
        await hook_endpoints.look_again(sql, looks)
        if empty:
            await hook_endpoints.end(sql, empty)
        self._probes |= {
            (look.probe, lease): look.endpoint for look in looks if look.probe is not None
        }

    def _shares(self, queues: dict[str, datetime | None], room: int) -> dict[str, int]:
        """How many lanes of each of these queues may go: one of a paused endpoint."""
        shares: dict[str, int] = {}
        promised: list[tuple[str, str]] = []
        for endpoint, paused_until in queues.items():
            share = min(room - len(promised), self.places.open_to(endpoint))
            share = min(share, 1) if paused_until is not None else share
            if share <= 0:
                continue
            shares[endpoint] = share
            for number in range(share):
                promised.append((endpoint, str(number)))
                self.places.begin(promised[-1], endpoint)
        for call in promised:
            self.places.end(call)
        return shares

    def _note(self, endpoint: str) -> None:
        """This endpoint has a queue of its own."""
        if len(self._apart) < APART_MAX:
            self._apart[endpoint] = None

    def _go(self, lane: DueLane, lease: str, going: list[DueLane]) -> None:
        self.places.begin((lane.lane, lease), lane.endpoint or "")
        going.append(lane)

    def _give_back(self, lanes: Sequence[str], lease: str) -> None:
        """The places of these calls are free."""
        for lane in lanes:
            self.places.end((lane, lease))
            self._probes.pop((lane, lease), None)


def _looks(
    queues: Mapping[str, datetime | None],
    shares: Mapping[str, int],
    taken: Sequence[DueLane],
    now: datetime,
    lease_s: float,
) -> tuple[list[Look], list[str]]:
    """When these queues are looked at next, and those that may be empty."""
    counts = Counter(lane.endpoint for lane in taken)
    first = {lane.endpoint: lane.lane for lane in taken}
    looks: list[Look] = []
    empty: list[str] = []
    for endpoint, paused_until in queues.items():
        drained = counts[endpoint] < shares.get(endpoint, 0)
        if paused_until is None or not (drained or endpoint in first):
            looks.append(Look(endpoint, now))
        elif drained:
            looks.append(Look(endpoint, now + timedelta(seconds=IDLE_S)))
        else:
            looks.append(Look(endpoint, now + timedelta(seconds=lease_s), first[endpoint]))
        if drained and (paused_until is None or paused_until < now - FORGET):
            empty.append(endpoint)
    return looks, empty
