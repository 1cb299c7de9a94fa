"""The parts of a process: what walks, what works, what is answered, and how they hang together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from aiohttp import web

from app import front
from app.api.application import actions
from app.api.auth import Gate
from app.convoy import Convoy
from app.delivery.loop import delivery_loop
from app.delivery.pauses import Pauses
from app.delivery.settle import Settler, Settling
from app.inbound import approvals
from app.inbound import gaps as looks
from app.inbound.approvals import Approvals
from app.inbound.asking import ask_loop
from app.inbound.door import Doors
from app.inbound.gaps import Gaps
from app.media.fetch import fetch_loop
from app.ops.health import Health
from app.ops.jobs import Jobs
from app.ops.metrics import Metrics
from app.realtime.hub import Hub
from app.road.items import Road
from app.road.walk import Walker, order_of
from app.runtime import Runtime
from app.settings.models import RoadSettings
from app.streams.follower import Followers
from app.streams.sequencer import Sequencer
from app.studio.keeper import Keeper, Kept
from app.studio.worker import flow_loop
from app.webhooks.after import Teller, Telling, hook_loop

TOGETHER_MAX = 128
"""Outcomes that are settled together."""
WAITING_MAX = 10_000
"""Attempts and statuses that may wait to be settled; carriers are told 503 beyond."""
BESIDE = 16
"""Messages for which a walker leaves while another one is under way: fewer share too little of what
a convoy costs by itself (as much as ten messages)."""


class Loop(Protocol):
    """What works until it is closed."""

    async def run(self) -> None: ...

    def close(self) -> None: ...


class Leased(Protocol):
    """What gives its leases back at the end."""

    async def release(self) -> None: ...


class Holding(Protocol):
    """What gives its connection back at the end."""

    async def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that a process with these roles is made of; nothing of it runs yet."""

    roles: tuple[str, ...]
    health: Health
    hub: Hub
    gaps: Gaps
    jobs: Jobs
    doors: Doors | None
    application: web.Application
    convoys: Sequence[Convoy[Any, Any]]
    loops: Sequence[Loop]
    leased: Sequence[Leased]
    held: Sequence[Holding]


def assembled(runtime: Runtime, health: Health, metrics: Metrics, roles: tuple[str, ...]) -> Parts:
    """The parts of one process."""
    pauses = Pauses(runtime.settings.delivery)
    walkers = [Walker(runtime) for _ in range(runtime.settings.road.walkers)]
    settler, teller, keeper = Settler(runtime, pauses), Teller(runtime), Keeper(runtime)
    road = _road(runtime.settings.road, walkers)
    for walker in walkers:
        walker.more = road.busy
    settling: Settling = Convoy(
        settler, longest=TOGETHER_MAX, waiting_max=WAITING_MAX, rests=[settler.rest]
    )
    settler.more = settling.busy
    telling: Telling = Convoy(teller, longest=TOGETHER_MAX, waiting_max=WAITING_MAX)
    kept: Kept = Convoy(keeper, longest=TOGETHER_MAX, waiting_max=WAITING_MAX)
    leased = (
        delivery_loop(runtime, settling, pauses),
        hook_loop(runtime, telling, teller.queue),
        flow_loop(runtime, road, kept),
        ask_loop(runtime, road),
        fetch_loop(runtime),
        Followers(runtime),
    )
    gaps = Gaps(runtime, road, settling.submit)
    doors = Doors(runtime, road, settling.enqueue) if "inbound" in roles else None
    further = [
        ("gaps", gaps.turn, looks.RING_S),
        ("approvals", Approvals(runtime).turn, approvals.RING_S),
    ]
    hub = Hub(runtime, road, actions(runtime), Gate(runtime))
    return Parts(
        roles,
        health,
        hub,
        gaps,
        Jobs(runtime, settling.submit, further),
        doors,
        front.built(runtime, hub, doors, health, metrics, roles),
        (road, settling, telling, kept),
        (*leased, Sequencer(runtime)),
        leased,
        (*walkers, settler, teller, keeper),
    )


def _road(walk: RoadSettings, walkers: Sequence[Walker]) -> Road:
    return Convoy(
        *walkers,
        longest=walk.convoy_max,
        waiting_max=walk.queue_max,
        order=order_of,
        beside=BESIDE,
        rests=[walker.rest for walker in walkers],
    )
