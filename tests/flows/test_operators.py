"""split-based-on: each operator, what holds and what does not."""

from __future__ import annotations

import pytest

from app.flows.asks import Say
from app.flows.widgets.split import OPERATORS
from tests.flows.flowing import FORM, State, begun, say, state

CASES = [
    ("equal_to", "yes", "yes", True),
    ("equal_to", " yes\n", "yes", True),
    ("equal_to", "Yes", "yes", False),
    ("equal_to", "", "yes", False),
    ("not_equal_to", "Yes", "yes", True),
    ("not_equal_to", "yes", "yes", False),
    ("matches_any_of", "b", "a, b,c", True),
    ("matches_any_of", "c ", "a, b,c", True),
    ("matches_any_of", "a, b", "a, b,c", False),
    ("does_not_match_any_of", "d", "a, b,c", True),
    ("does_not_match_any_of", "b", "a, b,c", False),
    ("is_blank", "", "", True),
    ("is_blank", " \n\t", "", True),
    ("is_blank", "x", "", False),
    ("is_not_blank", "x", "", True),
    ("is_not_blank", "  ", "", False),
    ("regex", "12345", r"\d{5}", True),
    ("regex", "123456", r"\d{5}", False),
    ("regex", "YES", "y(es)?", True),
    ("regex", "yes please", "y(es)?", False),
    ("contains", "say yes now", "yes", True),
    ("contains", "say Yes now", "yes", False),
    ("does_not_contain", "no", "yes", True),
    ("does_not_contain", "yes!", "yes", False),
    ("starts_with", "book a room", "book", True),
    ("starts_with", "a book", "book", False),
    ("does_not_start_with", "a book", "book", True),
    ("does_not_start_with", "book it", "book", False),
    ("less_than", "2", "10", True),
    ("less_than", "10", "10", False),
    ("less_than", "-1.5", "-1", True),
    ("less_than", "two", "10", False),
    ("less_than", "NaN", "10", False),
    ("greater_than", "10", "9.99", True),
    ("greater_than", "9", "10", False),
    ("greater_than", "", "10", False),
    ("greater_than", "1e999999999", "1", True),
    ("greater_than", "Infinity", "1", False),
    ("is_before_time", "08:59", "09:00", True),
    ("is_before_time", "09:00", "09:00", False),
    ("is_before_time", "8:59 am", "09:00", True),
    ("is_before_time", "2026-01-01T08:00:00Z", "09:00", True),
    ("is_before_time", "soon", "09:00", False),
    ("is_after_time", "17:01", "17:00", True),
    ("is_after_time", "5:01 PM", "17:00", True),
    ("is_after_time", "16:59:59", "17:00", False),
    ("is_before_date", "2026-01-30", "2026-01-31", True),
    ("is_before_date", "2026-01-31", "2026-01-31", False),
    ("is_before_date", "01/30/2026", "2026-01-31", True),
    ("is_before_date", "2026-01-31T01:00:00+02:00", "2026-01-31", True),
    ("is_before_date", "31.01.2026", "2026-02-01", False),
    ("is_after_date", "2026-02-01", "2026-01-31", True),
    ("is_after_date", "2026-01-31T00:00:01Z", "2026-01-31", True),
    ("is_after_date", "2025-12-31", "2026-01-31", False),
]


def split(*matches: tuple[str, list[dict[str, object]]], otherwise: str = "no") -> State:
    """A split whose transitions lead where each says when its conditions hold."""
    made = state(
        "split", "split-based-on", {"noMatch": otherwise}, input="{{trigger.message.Body}}"
    )
    made["transitions"] += [
        {"event": "match", "next": following, "conditions": conditions}
        for following, conditions in matches
    ]
    return made


def condition(
    type_: str, value: str, argument: str | None = "{{trigger.message.Body}}"
) -> dict[str, object]:
    """A condition on what was written."""
    made: dict[str, object] = {"friendly_name": "it", "type": type_, "value": value}
    return made | ({"arguments": [argument]} if argument is not None else {})


def decided(made: State, body: str) -> str:
    """What the state says to which a split leads."""
    memory = begun(made, say("yes", "yes"), say("no", "no"), fields=FORM | {"Body": body})
    assert isinstance(memory.ask, Say), memory.ended
    return memory.ask.body


@pytest.mark.parametrize(("type_", "text", "value", "holds"), CASES)
def test_an_operator_compares_what_was_written(
    type_: str, text: str, value: str, holds: bool
) -> None:
    made = split(("yes", [condition(type_, value)]))
    assert decided(made, text) == ("yes" if holds else "no")


def test_every_operator_has_a_case_of_either_kind() -> None:
    for wanted in (True, False):
        assert {type_ for type_, _, _, holds in CASES if holds is wanted} == set(OPERATORS)


def test_the_first_transition_whose_conditions_all_hold_is_taken() -> None:
    both = [condition("contains", "a"), condition("contains", "b")]
    made = split(("no", both), ("yes", [condition("contains", "a")]), otherwise="yes")
    assert decided(made, "a") == "yes"
    assert decided(made, "ab") == "no"


def test_values_have_variables_and_the_input_stands_in_for_arguments() -> None:
    made = split(("yes", [condition("equal_to", "{{trigger.message.Body}}", None)]))
    assert decided(made, "whatever") == "yes"


def test_a_match_that_is_not_connected_ends_the_flow() -> None:
    made = split(("yes", [condition("equal_to", "bye")]))
    del made["transitions"][1]["next"]
    ended = begun(made, say("no", "no"), fields=FORM | {"Body": "bye"}).ended
    assert ended is not None
    assert ended.reason == "completed"
