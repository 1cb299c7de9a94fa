"""What takes several messages of a channel: each part has its own outcome, the receipt that of all.

The item of such a receipt is about one part at a time, by its number; only settling moves it on to
the next. So what a crash or a lost answer leaves in doubt is always this one part: the carrier is
asked about it by its own reference, and what was sent before is not sent again. A failure ends all.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from app.model import Receipt
from app.model.parts import referred
from app.model.traffic import Status
from app.rules.parts import folded
from app.rules.receipts import FINAL, advance
from app.store.settling import Settled


def sid_of(reference: str | None) -> str | None:
    """The receipt that a reference names."""
    return None if reference is None else referred(reference)[0]


def name_of(receipt: Receipt, part: int) -> str | None:
    """What the carrier calls the part, or what has none; None: not known to be sent."""
    if receipt.parts is None:
        return receipt.external_id
    name: str | None = receipt.parts[part]["id"]
    return name


def heard(receipt: Receipt, status: Status) -> tuple[Status, bool]:
    """Keep what a carrier says of one part; gives what that makes of the whole, and whether any of
    it is news."""
    assert receipt.parts is not None
    part = _meant(receipt.parts, status)
    before = part["id"], part["status"]
    part["id"] = part["id"] or status.external_id
    if status.status is not None and advance(part["status"], status.status):
        part["status"] = status.status
    whole = folded(receipt.parts)
    news = before != (part["id"], part["status"])
    return replace(status, status=None if whole == "queued" else whole), news


def names(receipt: Receipt) -> list[str]:
    """What its carrier calls it and its parts, as far as that is known."""
    parts = receipt.parts or ()
    return [name for name in (receipt.external_id, *(one["id"] for one in parts)) if name]


def onward(settled: Settled, receipt: Receipt | None, now: datetime) -> Settled:
    """How the item of a receipt with parts goes on, when one of them has gone: as that of the next
    part, at once."""
    if receipt is None or receipt.parts is None:
        return settled
    part, count = settled.item.part, len(receipt.parts)
    settled = replace(settled, detail=settled.detail or f"part {part + 1} of {count}")
    gone = settled.outcome in ("accepted", "settled")
    if not gone or receipt.status in FINAL or part + 1 == count:
        return settled
    params = {**(settled.item.params or {}), "part": str(part + 1)}
    params.pop("instead", None)
    return replace(settled, due=now, params=params)


def _meant(parts: list[dict[str, Any]], status: Status) -> dict[str, Any]:
    """The part with this id, else the one that the reference names."""
    known = next((one for one in parts if one["id"] == status.external_id), None)
    if known is not None:
        return known
    number = referred(status.receipt_sid)[1] if status.receipt_sid else 0
    return parts[min(number, len(parts) - 1)]
