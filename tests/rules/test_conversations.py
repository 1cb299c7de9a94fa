"""What may be said of a conversation, with the codes and words of the original."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import Conflict, Invalid, Refused
from app.rules import conversations as rules

CH = "CH" + "0a" * 16
CLOSED = "Can't update conversation as it's in final closed state"
INITIALIZING = "Conversation in 'initializing' state may not be updated or used for message sending"


@pytest.mark.parametrize("old", ["active", "inactive"])
@pytest.mark.parametrize("new", ["active", "inactive", "closed"])
def test_an_open_conversation_may_become_active_inactive_or_closed(old: Any, new: str) -> None:
    assert rules.check_new_state(old, new) == new


REFUSALS: list[tuple[Callable[[], Any], type[Refused], int, str]] = [
    (lambda: rules.check_writable("closed"), Invalid, 50377, CLOSED),
    (lambda: rules.check_writable("initializing"), Conflict, 50386, INITIALIZING),
    (lambda: rules.check_new_state("closed", "active"), Invalid, 50377, CLOSED),
    (lambda: rules.check_new_state("closed", "closed"), Invalid, 50377, CLOSED),
    (lambda: rules.check_new_state("initializing", "active"), Conflict, 50386, INITIALIZING),
    (lambda: rules.check_new_state("active", ""), Invalid, 50374, "'State' field can't be empty"),
    (
        lambda: rules.check_new_state("active", "initializing"),
        Invalid,
        50378,
        "'State' parameter value is invalid",
    ),
    (
        lambda: rules.check_new_state("active", "open"),
        Invalid,
        50378,
        "'State' parameter value is invalid",
    ),
    (
        lambda: rules.check_initial_state("closed"),
        Invalid,
        50384,
        "Initial state can't be 'closed",
    ),
    (
        lambda: rules.check_friendly_name("x" * 257),
        Invalid,
        50003,
        "Friendly name too long",
    ),
    (
        lambda: rules.check_friendly_name("x" * 65, chars_max=64),
        Invalid,
        50003,
        "Friendly name too long",
    ),
    (lambda: rules.check_unique_name("x" * 257), Invalid, 50004, "Unique Name too long"),
    (
        lambda: rules.check_unique_name(CH),
        Invalid,
        50390,
        "Unique name should not match conversation sid pattern",
    ),
    (lambda: rules.check_attributes("{"), Invalid, 50304, "Attributes not valid JSON"),
    (lambda: rules.check_attributes(""), Invalid, 50304, "Attributes not valid JSON"),
    (lambda: rules.check_attributes("NaN"), Invalid, 50304, "Attributes not valid JSON"),
    (lambda: rules.check_attributes('"\ud800"'), Invalid, 50304, "Attributes not valid JSON"),
    (lambda: rules.check_attributes("[" * 4000), Invalid, 50304, "Attributes not valid JSON"),
    (lambda: rules.check_attributes(f'"{"x" * 4095}"'), Invalid, 50303, "Attributes too long"),
    (lambda: rules.check_attributes(f'"{"é" * 2048}"'), Invalid, 50303, "Attributes too long"),
]


@pytest.mark.parametrize(("call", "kind", "code", "message"), REFUSALS)
def test_what_may_not_be_is_refused_in_the_words_of_the_original(
    call: Callable[[], Any], kind: type[Refused], code: int, message: str
) -> None:
    with pytest.raises(kind) as refusal:
        call()
    assert (refusal.value.code, refusal.value.message) == (code, message)


def test_values_within_the_limits_come_back_unchanged() -> None:
    rules.check_writable("active")
    rules.check_writable("inactive")
    assert rules.check_initial_state("inactive") == "inactive"
    assert rules.check_friendly_name("x" * 256) == "x" * 256
    assert rules.check_unique_name("CHat") == "CHat"
    for text in ("{}", ' { "a": [1, null] } ', '"text"', "3"):
        assert rules.check_attributes(text) == text


def test_attributes_of_a_conversation_may_have_sixteen_kilobytes() -> None:
    text = f'"{"x" * 16_382}"'
    limit = rules.CONVERSATION_ATTRIBUTES_BYTES_MAX
    assert rules.check_attributes(text, bytes_max=limit) == text
    with pytest.raises(Invalid):
        rules.check_attributes(text + " ", bytes_max=limit)


@settings(deadline=None)
@given(st.text())
def test_any_text_is_attributes_or_refused(text: str) -> None:
    try:
        assert rules.check_attributes(text) == text
    except Invalid as refusal:
        assert refusal.code in (50303, 50304)
