"""Definitions: what is wrong is said with its state, widget, path and line."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.flows import definition
from app.flows.definition import parse
from app.flows.states import FlowErrors, Problem
from app.flows.widgets import discover
from tests.flows import flowing
from tests.flows.flowing import BOTS, State, say, state


def problems(text: str | bytes) -> list[Problem]:
    with pytest.raises(FlowErrors) as caught:
        parse(text)
    return caught.value.problems


def of(*states: State) -> list[tuple[str, str, str]]:
    """State, path and message of each problem of a flow with these states."""
    return [(one.state, one.path, one.message) for one in problems(flowing.definition(*states))]


def test_a_problem_has_its_state_widget_path_and_line() -> None:
    text = BOTS.read_text().replace('"next": "split_1"', '"next": "split_2"')
    assert problems(text) == [
        Problem(
            line=37,
            path="states[1].transitions[0].next",
            message="there is no state of this name (did you mean split_1?)",
            state="send_and_reply_1",
            widget="send-and-wait-for-reply",
        )
    ]
    assert text.splitlines()[36].strip() == '"next": "split_2",'
    assert str(problems(text)[0]).startswith(
        "37: send_and_reply_1 (send-and-wait-for-reply): states[1].transitions[0].next: there"
    )


def test_every_problem_is_said_at_once_in_the_order_of_the_text() -> None:
    found = of(say("a", ""), state("b", "say-play"), say("c", "{{ x"))
    assert [one[:2] for one in found] == [
        ("a", "states[1].properties.body"),
        ("b", "states[2].type"),
        ("c", "states[3].properties.body"),
    ]


@pytest.mark.parametrize("type_", sorted(discover.REFUSED))
def test_widgets_of_the_original_that_are_refused_say_why(type_: str) -> None:
    ((owner, path, message),) = of(state("it", type_))
    assert (owner, path) == ("it", "states[1].type")
    assert message == f"{type_} {discover.REFUSED[type_]}"


def test_voice_widgets_say_that_they_are_about_calls() -> None:
    for type_ in ("make-outgoing-call-v2", "gather-input-on-call", "say-play", "enqueue-call"):
        assert "about voice calls" in of(state("it", type_))[0][2]


@pytest.mark.parametrize(
    ("made", "path", "said"),
    [
        (state("it", "send-mesage"), "type", "did you mean send-message?"),
        (state("it", "xyz"), "type", "there are add-participant"),
        (state("it", "send-message", {}, body=""), "properties.body", "needs body"),
        (state("it", "send-message", {}, media_url=[1]), "properties.media_url", "a list of URLs"),
        (
            state("it", "send-message", {"delivered": "it"}, body="x"),
            "transitions[0].event",
            "leaves by: sent, failed",
        ),
        (state("it", "send-message", {"sent": "at"}, body="x"), "transitions[0].next", "no state"),
        (
            state("it", "send-and-wait-for-reply", {}, body="x", timeout="soon"),
            "properties.timeout",
            "whole number",
        ),
        (
            state("it", "send-and-wait-for-reply", {}, body="x", timeout=0),
            "properties.timeout",
            "whole number",
        ),
        (state("it", "make-http-request"), "properties.url", "needs url"),
        (state("it", "make-http-request", url="ftp://x"), "properties.url", "http://"),
        (
            state("it", "make-http-request", url="http://x", method="PUT"),
            "properties.method",
            "GET or POST",
        ),
        (
            state("it", "make-http-request", url="http://x", parameters=[{"value": 1}]),
            "properties.parameters[0]",
            "with a key",
        ),
        (
            state("it", "make-http-request", url="http://x", parameters={}),
            "",
            "",
        ),
        (
            state("it", "make-http-request", url="http://x", parameters="a=b"),
            "properties.parameters",
            "list of keys",
        ),
        (
            state("it", "make-http-request", url="http://x", add_twilio_auth=True),
            "properties.add_twilio_auth",
            "given away",
        ),
        (state("it", "run-function"), "properties.url", "needs url"),
        (state("it", "run-subflow"), "properties.flow_sid", "needs flow_sid"),
        (state("it", "set-variables"), "properties.variables", "list of keys"),
        (state("it", "add-participant"), "properties.identity", "identity or address"),
        (
            state("it", "add-participant", identity="a", address="b"),
            "properties.address",
            "not both",
        ),
        (state("it", "connect-virtual-agent"), "properties.url", "needs url"),
        (
            state("it", "connect-virtual-agent", url="http://x", channel="voice"),
            "properties.channel",
            "conversations",
        ),
        (state("it", "stop", {"next": "it"}), "transitions[0].event", "leaves by: none"),
        (state("it", "split-based-on", {"match": "it"}), "transitions[0]", "needs conditions"),
        ({"name": "", "type": "stop"}, "name", "1 to 128"),
        ({"name": "it", "type": 5}, "type", "type of a widget"),
        ({"name": "it", "type": "stop", "properties": []}, "properties", "an object"),
        ({"name": "it", "type": "stop", "transitions": {}}, "transitions", "list"),
        ({"name": "it", "type": "stop", "transitions": [{}]}, "transitions[0]", "with an event"),
        (
            {"name": "it", "type": "stop", "transitions": [{"event": "x", "next": 5}]},
            "transitions[0].next",
            "name of a state",
        ),
    ],
)
def test_what_is_wrong_with_a_state_is_said_at_its_place(made: Any, path: str, said: str) -> None:
    if not path:
        parse(flowing.definition(say("one", "x", "it"), made))
        return
    found = problems(flowing.definition(say("one", "x"), made))
    assert [one for one in found if one.path == f"states[2].{path}" and said in one.message], found


@pytest.mark.parametrize(
    ("condition", "path", "said"),
    [
        ({"type": "equals", "value": "x"}, "type", "no operator 'equals'"),
        ({"type": "equal_to"}, "value", "needs a value"),
        ({"type": "regex", "value": "("}, "value", "regular expression"),
        ({"type": "equal_to", "value": "{{ x"}, "value", "Liquid"),
        ({"type": "equal_to", "value": "x", "arguments": ["{% x %}"]}, "arguments[0]", "Liquid"),
        ({"type": "equal_to", "value": "x", "arguments": "x"}, "arguments", "a list"),
        ("equal_to", "", "an object"),
    ],
)
def test_what_is_wrong_with_a_condition_is_said(condition: Any, path: str, said: str) -> None:
    made = state("it", "split-based-on", {"match": "it"})
    made["transitions"][0]["conditions"] = [condition]
    where = "states[1].transitions[0].conditions[0]" + f".{path}" * bool(path)
    found = of(made)
    assert [one for one in found if one[1] == where and said in one[2]], found


@pytest.mark.parametrize(
    ("document", "path", "said"),
    [
        ([], "definition", "an object"),
        ({}, "states", "a list"),
        ({"states": []}, "states", "a list"),
        ({"states": [5], "initial_state": "x"}, "states[0]", "an object"),
        ({"states": [say("a", "x")], "initial_state": "b"}, "initial_state", "name of a state"),
        ({"states": [say("a", "x")], "initial_state": "a"}, "initial_state", "the trigger"),
        (
            {"states": [say("a", "x"), say("a", "y")], "initial_state": "a"},
            "states[1].name",
            "2 states have this name",
        ),
        ({"states": [{}] * (definition.STATES_MAX + 1)}, "states", "more than 1000"),
    ],
)
def test_what_is_wrong_with_the_whole_is_said(document: Any, path: str, said: str) -> None:
    found = problems(json.dumps(document))
    assert [one for one in found if one.path == path and said in one.message], found


def test_other_events_of_a_trigger_may_stand_there_unconnected() -> None:
    text = BOTS.read_text()
    assert "incomingCall" in text
    parse(text)
    connected = text.replace(
        '"event": "incomingCall"', '"event": "incomingCall", "next": "split_1"'
    )
    assert "leaves by: incomingMessage" in problems(connected)[0].message


def test_the_largest_definition_is_read_in_time() -> None:
    states = [
        say(f"s{at}", "Hi {{trigger.message.Body}} " + "x" * 600, f"s{at + 1}") for at in range(998)
    ]
    text = flowing.definition(*states, say("s998", "end"))
    began = time.perf_counter()
    assert len(parse(text).states) == 1_000
    assert time.perf_counter() - began < 10


def test_a_definition_with_everything_wrong_is_refused_in_time() -> None:
    nowhere = [{"event": "sent", "next": f"nowhere {at}"} for at in range(80)]
    states = [
        {"name": f"some state {at}", "type": "send-message", "transitions": nowhere}
        for at in range(80)
    ]
    began = time.perf_counter()
    found = problems(flowing.definition(*states))
    assert len(found) == definition.PROBLEMS_MAX
    assert time.perf_counter() - began < 20


WORDS = st.sampled_from(
    ["", "a", "b", "Trigger", "sent", "match", "noMatch", "next", "{{ a }}", "{{ a | x", "regex"]
)
TYPES = st.sampled_from([*discover.kinds(), *list(discover.REFUSED)[:3], "x"])
ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
NAMES = ["name", "type", "transitions", "properties", "event", "next", "conditions", "key", "value"]
NAMES += ["arguments", "body", "url", "variables", "parameters", "timeout", "media_url", "states"]
THINGS = st.recursive(
    ANY,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=5)
    ),
    max_leaves=20,
)
STATES = st.fixed_dictionaries(
    {"name": WORDS, "type": TYPES}, optional={"transitions": THINGS, "properties": THINGS}
)


@settings(max_examples=200, deadline=5_000)
@given(st.lists(STATES | THINGS, max_size=4), THINGS)
def test_any_document_is_a_flow_or_has_problems_with_lines(states: Any, more: Any) -> None:
    trigger = state("Trigger", "trigger", {"incomingMessage": "a"})
    document = {"states": [trigger, *states], "initial_state": "Trigger", "flags": more}
    try:
        assert parse(json.dumps(document, indent=1)).states
    except FlowErrors as errors:
        assert errors.problems
        assert all(one.line >= 1 and one.path and one.message for one in errors.problems)
