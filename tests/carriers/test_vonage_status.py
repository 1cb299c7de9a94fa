"""Vonage's status webhooks as they come: status -> status, status -> junk."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from app.carriers.contract import Junk
from app.model.traffic import Status
from tests.carriers.vonage_requests import ID, OURS, PHONE, RECEIPT, request, vonage
from tests.support.shapes import reshaped
from tests.support.vonage_stand_in import report


def error(title: Any, kind: str = "", detail: str = "no") -> dict[str, Any]:
    return {"error": {"title": title, "type": kind, "detail": detail, "instance": "bf0c"}}


STATUSES: list[tuple[str, str, dict[str, Any], Status | None]] = [
    ("submitted", "submitted", {}, Status("vo", ID, "sent")),
    ("delivered", "delivered", {}, Status("vo", ID, "delivered")),
    ("read", "read", {}, Status("vo", ID, "read")),
    ("a word of tomorrow", "pondered", {}, None),
    ("in spite of an error", "delivered", error(1000), Status("vo", ID, "delivered")),
    (
        "outside the window",
        "rejected",
        error(1340, detail="to 447700900001"),
        Status("vo", ID, "failed", 63016, "1340: to ***0001"),
    ),
    (
        "the number as text",
        "undeliverable",
        error("1300"),
        Status("vo", ID, "undelivered", 63003, "1300: no"),
    ),
    (
        "the number in the type",
        "rejected",
        error("Outside", "https://developer.vonage.com/api-errors/messages#1340"),
        Status("vo", ID, "failed", 63016, "Outside: no"),
    ),
    (
        "a number of tomorrow",
        "rejected",
        error(1999),
        Status("vo", ID, "failed", 30008, "1999: no"),
    ),
    ("no error", "rejected", {}, Status("vo", ID, "failed", 30008)),
    ("an error that is none", "rejected", {"error": "x"}, Status("vo", ID, "failed", 30008)),
]


@pytest.mark.parametrize(
    ("word", "changes", "expected"),
    [case[1:] for case in STATUSES],
    ids=[case[0] for case in STATUSES],
)
def test_a_status_is_read(word: str, changes: dict[str, Any], expected: Status | None) -> None:
    said = report(ID, OURS, PHONE, word, None, "no SID") | changes
    assert vonage().parse_status(request(said)) == ([] if expected is None else [expected])


@pytest.mark.parametrize(("reference", "receipt"), [(RECEIPT, ""), ("", RECEIPT), ("x", RECEIPT)])
def test_a_status_names_its_receipt(reference: str, receipt: str) -> None:
    said = report(ID, OURS, PHONE, "delivered", None, reference)
    (status,) = vonage().parse_status(request(said, receipt))
    assert status.receipt_sid == RECEIPT


@pytest.mark.parametrize("missing", ["message_uuid", "status"])
def test_a_status_without_id_or_word_is_junk(missing: str) -> None:
    said = report(ID, OURS, PHONE, "delivered", None, "") | {missing: None}
    with pytest.raises(Junk, match=f"{missing} is missing"):
        vonage().parse_status(request(said))


@settings(deadline=None)
@given(said=reshaped(report(ID, OURS, PHONE, "rejected", 1340, RECEIPT)))
def test_a_status_of_any_shape_is_read_or_junk(said: Any) -> None:
    for parse in (vonage().parse_inbound, vonage().parse_status):
        try:
            parse(request(said))
        except Junk as junk:
            assert str(junk)
