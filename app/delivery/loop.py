"""The delivery loop: claim what is due, attempt it, settle it."""

from __future__ import annotations

from functools import partial

from app.delivery.attempt import attempt, broken
from app.delivery.pauses import Pauses
from app.delivery.queue import DeliveryQueue
from app.delivery.settle import Settling
from app.delivery.tried import Tried
from app.lanes import LaneLoop
from app.model.outbox import DELIVERY
from app.runtime import Runtime
from app.store.deliveries import Parcel, parcels

SETTLE_S = 15.0
"""How long settling may take on top of the carrier's answer before the lease runs out."""


def delivery_loop(runtime: Runtime, settling: Settling, pauses: Pauses) -> LaneLoop[Parcel, Tried]:
    """The loop that hands messages to carriers, those that are not paused; its outcomes go through
    `settling`."""
    schedule = runtime.settings.delivery
    return LaneLoop(
        DELIVERY,
        runtime.db,
        runtime.wakes.bell(DELIVERY),
        runtime.clock,
        runtime.observe,
        parcels,
        partial(attempt, runtime, pauses),
        partial(broken, runtime),
        settling.enqueue,
        in_flight=schedule.in_flight,
        lease_s=schedule.effective_lease_s(2 * schedule.timeout_s + SETTLE_S),
        queue=DeliveryQueue(runtime.clock, pauses, runtime.settings),
        rung=True,
    )
