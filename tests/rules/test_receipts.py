"""A receipt only moves forward, and a message's delivery object sums its receipts up."""

from __future__ import annotations

from itertools import pairwise
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.model.traffic import DeliveryStatus
from app.rules.receipts import FINAL, RANK, advance, aggregate

STATUSES: tuple[DeliveryStatus, ...] = get_args(DeliveryStatus)
FORWARD = {
    ("queued", "sent"),
    ("queued", "delivered"),
    ("queued", "read"),
    ("sent", "delivered"),
    ("sent", "read"),
    ("delivered", "read"),
    *((old, new) for old in ("queued", "sent", "delivered", "read") for new in FINAL),
}


@pytest.mark.parametrize("old", STATUSES)
@pytest.mark.parametrize("new", STATUSES)
def test_a_status_advances_only_along_the_table(old: DeliveryStatus, new: DeliveryStatus) -> None:
    assert advance(old, new) == ((old, new) in FORWARD)


def test_a_delivered_after_undelivered_changes_nothing() -> None:
    assert not advance("undelivered", "delivered")
    assert not advance("failed", "undelivered")


def walk(reports: list[DeliveryStatus]) -> list[DeliveryStatus]:
    """Every status that a receipt has while these reports come in."""
    states: list[DeliveryStatus] = ["queued"]
    for report in reports:
        if advance(states[-1], report):
            states.append(report)
    return states


@settings(deadline=None)
@given(st.lists(st.sampled_from(STATUSES)))
def test_in_any_order_of_reports_a_receipt_never_goes_backwards(
    reports: list[DeliveryStatus],
) -> None:
    states = walk(reports)
    assert all(RANK[before] < RANK[after] for before, after in pairwise(states))
    assert RANK[states[-1]] == max((RANK[report] for report in reports), default=0)


@settings(deadline=None)
@given(st.permutations(["sent", "delivered", "read", "undelivered"]))
def test_every_order_of_the_same_reports_ends_in_the_same_status(
    reports: list[DeliveryStatus],
) -> None:
    assert walk(reports)[-1] == "undelivered"


@pytest.mark.parametrize(
    ("statuses", "sent", "delivered", "read", "failed", "undelivered"),
    [
        (["queued"], "none", "none", "none", "none", "none"),
        (["sent"], "all", "none", "none", "none", "none"),
        (["sent", "read"], "all", "some", "some", "none", "none"),
        (["delivered", "delivered"], "all", "all", "none", "none", "none"),
        (["read", "read"], "all", "all", "all", "none", "none"),
        (["queued", "sent"], "some", "none", "none", "none", "none"),
        (["failed"], "none", "none", "none", "all", "none"),
        (["undelivered"], "all", "none", "none", "none", "all"),
        (["failed", "undelivered", "delivered"], "some", "some", "none", "some", "some"),
    ],
)
def test_the_delivery_object_counts_what_each_status_implies(
    statuses: list[DeliveryStatus],
    sent: str,
    delivered: str,
    read: str,
    failed: str,
    undelivered: str,
) -> None:
    assert aggregate(statuses) == {
        "total": len(statuses),
        "sent": sent,
        "delivered": delivered,
        "read": read,
        "failed": failed,
        "undelivered": undelivered,
    }


def test_a_message_without_receipts_has_no_delivery_object() -> None:
    assert aggregate([]) is None
