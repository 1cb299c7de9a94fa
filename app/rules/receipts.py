"""The order of delivery statuses, and a message's summary of them.

| old \\ new   | sent | delivered | read | failed, undelivered |
|-------------|------|-----------|------|---------------------|
| queued      | yes  | yes       | yes  | yes                 |
| sent        | -    | yes       | yes  | yes                 |
| delivered   | -    | -         | yes  | yes                 |
| read        | -    | -         | -    | yes                 |
| failed      | -    | -         | -    | -                   |
| undelivered | -    | -         | -    | -                   |

A failure ends it: a `delivered` that comes after `undelivered` changes nothing, and of `failed`
and `undelivered` the first stays. Since the order is total but for those two, carriers may report
in any order and the receipt ends in the same place ("Delivery Receipts in Conversations").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from app.model.traffic import DeliveryStatus

RANK: Mapping[DeliveryStatus, int] = {
    "queued": 0,
    "sent": 1,
    "delivered": 2,
    "read": 3,
    "failed": 4,
    "undelivered": 4,
}
FINAL: frozenset[DeliveryStatus] = frozenset({"failed", "undelivered"})

Share = Literal["all", "some", "none"]
COUNTED = ("sent", "delivered", "read", "failed", "undelivered")
# What each status counts as: who read it has it, and what came back undelivered had left.
COUNTS_AS: Mapping[DeliveryStatus, tuple[str, ...]] = {
    "queued": (),
    "sent": ("sent",),
    "delivered": ("sent", "delivered"),
    "read": ("sent", "delivered", "read"),
    "undelivered": ("sent", "undelivered"),
    "failed": ("failed",),
}


def advance(old: DeliveryStatus, new: DeliveryStatus) -> bool:
    """Whether a receipt in `old` moves to `new`; never backwards, never out of a failure."""
    return RANK[new] > RANK[old]


def aggregate(statuses: Iterable[DeliveryStatus]) -> dict[str, int | Share] | None:
    """A message's `delivery` object: the number of receipts and all, some or none per status.

    None for a message without receipts (nobody external received it).
    """
    total = 0
    counts = dict.fromkeys(COUNTED, 0)
    for status in statuses:
        total += 1
        for name in COUNTS_AS[status]:
            counts[name] += 1
    if not total:
        return None
    delivery: dict[str, int | Share] = {"total": total}
    delivery.update((name, _share(count, total)) for name, count in counts.items())
    return delivery


def _share(count: int, total: int) -> Share:
    if count == 0:
        return "none"
    return "all" if count == total else "some"
