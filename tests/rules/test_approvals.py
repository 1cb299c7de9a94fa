"""What WhatsApp would not approve is known before it is asked."""

from __future__ import annotations

from typing import Any

import pytest

from app.rules.approvals import approvable, is_template_name, objection

TEXT = {"twilio/text": {"body": "Hi there"}}
PICKER = {"twilio/list-picker": {"body": "Choose", "button": "x", "items": []}}
PLACE = {"twilio/location": {"latitude": 1, "longitude": 1}}


def text(body: str) -> dict[str, Any]:
    return {"twilio/text": {"body": body}}


OBJECTIONS = [
    (text("Hi {{1}}, all is well."), ""),
    (text("Hi {{1}} and {{2}}."), ""),
    (text("Hi {{name}}."), ""),
    (text("{{1}}, hi."), "the text begins or ends with a variable"),
    (text("Hi {{1}}"), "the text begins or ends with a variable"),
    (text("Hi {{ 1 }}"), "the text begins or ends with a variable"),
    (text("Hi {{1}} {{2}}."), "two variables stand side by side"),
    (text("Hi {{1}} and {{3}}."), "the numbers of the variables are not 1, 2, 3, ..."),
    (text("x" * 1025), "the text is longer than 1024 characters"),
    (PLACE, "twilio/location cannot be approved"),
    (PICKER, "twilio/list-picker cannot be approved"),
    ({**PICKER, **TEXT}, ""),
]


@pytest.mark.parametrize(("types", "expected"), OBJECTIONS)
def test_what_is_against_a_template(types: dict[str, Any], expected: str) -> None:
    assert objection(types) == expected


def test_the_richest_type_that_can_be_approved_is_submitted() -> None:
    assert approvable({**TEXT, **PICKER, **PLACE}) == "twilio/text"
    assert approvable({**TEXT, "twilio/card": {"title": "x"}}) == "twilio/card"
    assert approvable({"twilio/carousel": {}}) == "twilio/carousel"
    assert approvable(PICKER) == "twilio/list-picker"


@pytest.mark.parametrize(
    ("name", "good"), [("order_2", True), ("Order", False), ("a b", False), ("", False)]
)
def test_a_name_at_whatsapp_is_of_small_letters(name: str, good: bool) -> None:
    assert is_template_name(name) == good
