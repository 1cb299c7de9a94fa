"""The machine: one state whatever comes, the same again when it is done again, and its bounds."""

from __future__ import annotations

import json
import time
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.flows import machine
from app.flows.asks import (
    ANSWERS,
    Add,
    Added,
    Answered,
    Call,
    CallFailed,
    Enter,
    Event,
    Refused,
    Replied,
    Returned,
    Said,
    Say,
    TimedOut,
    Wait,
)
from app.flows.fuel import CONTEXT_BYTES_MAX, weight
from app.flows.memory import Memory
from app.flows.states import Flow
from app.flows.widgets.discover import declared, kind
from app.flows.widgets.split import OPERATORS
from tests.flows.flowing import FORM, NOW, State, begun, flow, say, state, talk, trigger

INNER = "FW" + "9" * 32


def counted(following: str | None = None) -> State:
    """A set-variables that counts."""
    variables = [{"key": "n", "value": "{{flow.variables.n | plus: 1}}"}]
    return state("count", "set-variables", {"next": following}, variables=variables)


def everything() -> Flow:
    """A flow with every widget, that goes round and round."""
    url = "https://x.example/"
    return flow(
        state(
            "ask",
            "send-and-wait-for-reply",
            {"incomingMessage": "count", "timeout": "call", "deliveryFailure": "add"},
            body="{{flow.variables.n}} {{widgets.ask.inbound.Body}}?",
        ),
        counted("which"),
        {
            **state("which", "split-based-on", {"noMatch": "call"}, input="x"),
            "transitions": [
                {"event": "noMatch", "next": "call"},
                match("b", "bot"),
                match("s", "sub"),
                match("e", "end"),
            ],
        },
        state("call", "make-http-request", {"success": "say", "failed": "run"}, url=url),
        state("run", "run-function", {"success": "say", "fail": "add"}, url=url),
        state("add", "add-participant", {"success": "say", "failed": "sub"}, identity="ann"),
        state(
            "sub",
            "run-subflow",
            {"completed": "bot", "failed": "ask"},
            flow_sid=INNER,
        ),
        state(
            "bot",
            "connect-virtual-agent",
            {"return": "say", "failed": "ask", "hangup": "end"},
            url=url,
        ),
        say("say", "{{widgets.call.parsed.name}}", "ask"),
        state("end", "stop"),
    )


def match(value: str, following: str) -> dict[str, Any]:
    """A transition for what was replied."""
    argument = "{{widgets.ask.inbound.Body}}"
    condition = {"type": "contains", "arguments": [argument], "value": value}
    return {"event": "match", "next": following, "conditions": [condition]}


TEXTS = st.sampled_from(["", "b", "s", "e", "yes", "{{ x", "\x00\ud800", "x" * 9_000])
BODIES = st.sampled_from(
    [
        "",
        '{"name": "Ann"}',
        '{"messages": ["a", {"text": "b"}], "status": "continue"}',
        '{"messages": [{"text": "a"}], "status": "handoff"}',
        '{"status": "hangup"}',
        "[1e999, NaN]",
        "x" * 70_000,
    ]
)
REFUSED: st.SearchStrategy[Event] = st.just(Refused("no", 50_000))
ANSWERING: dict[type, st.SearchStrategy[Event]] = {
    Say: st.builds(Said, TEXTS) | REFUSED,
    Wait: st.builds(Replied, TEXTS.map(lambda text: FORM | {"Body": text, text: text}))
    | st.just(TimedOut()),
    Call: st.builds(
        Answered,
        st.sampled_from([200, 302, 404, 500]),
        st.sampled_from([{}, {"Content-Type": "application/json"}]),
        BODIES,
    )
    | st.just(CallFailed("no route")),
    Enter: st.builds(
        Returned, st.dictionaries(TEXTS, TEXTS, max_size=2), st.sampled_from(["", "oh"])
    )
    | REFUSED,
    Add: st.just(Added("MB1")) | REFUSED,
}
ANY = st.one_of(*ANSWERING.values(), st.just(Refused("late", ask=1)))


@settings(max_examples=150, deadline=10_000)
@given(st.data())
def test_any_events_leave_one_state_and_the_same_again(data: st.DataObject) -> None:
    """Also: an ask is never repeated under another number, nor a number given twice."""
    made = everything()
    memory = machine.begin(made, trigger())
    seen = {1: memory.ask}
    for _ in range(data.draw(st.integers(0, 30))):
        event = data.draw(ANSWERING.get(type(memory.ask), ANY) | ANY)
        kept = json.loads(json.dumps(memory.to_json()))
        following = machine.advance(made, memory, event, NOW)
        again = machine.advance(made, Memory.from_json(kept), event, NOW)
        assert again.to_json() == following.to_json()
        assert memory.to_json() == kept
        assert (following.ask is None) != (following.ended is None)
        if not machine.answers(memory, event):
            assert following is memory
            continue
        assert following.asked == memory.asked + (following.ask is not None)
        assert following.stepped == memory.stepped + len(following.steps)
        if following.ask is not None:
            assert following.asked not in seen
            seen[following.asked] = following.ask
            assert type(following.ask) in ANSWERS
        assert following.state in made.states
        assert weight(following.context) <= CONTEXT_BYTES_MAX + 4_096
        json.dumps(following.to_json(), allow_nan=False).encode()
        memory = following


GIVEN: dict[str, dict[str, Any]] = {
    "add-participant": {"identity": "{{trigger.message.Body}}"},
    "connect-virtual-agent-v2": {"url": "https://x.example/{{trigger.message.Body}}"},
    "make-http-request": {"url": "https://x.example/", "method": "POST", "body": "{{x}}"},
    "run-function": {"url": "{{widgets.s1.parsed.name}}"},
    "run-subflow": {
        "flow_sid": INNER,
        "parameters": [{"key": "a", "value": "{{flow.data}}"}],
    },
    "send-and-wait-for-reply": {"body": "{{widgets | to_json}}", "timeout": "{{flow.sid}}"},
    "send-message": {"body": "{% for w in widgets %}{{ w | join: w }}{% endfor %}"},
    "set-variables": {"variables": [{"key": "v", "value": "{{flow.variables.v | append: 'xyz'}}"}]},
    "split-based-on": {"input": "{{widgets.s2.inbound.Body}}"},
    "stop": {},
}
NAMES = [f"s{at}" for at in range(6)]


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    """Any six widgets, each leading anywhere."""
    states = []
    for name in NAMES:
        type_ = draw(st.sampled_from(sorted(GIVEN)))
        leads = {event: draw(st.sampled_from([*NAMES, None])) for event in kind(type_).events}
        made = state(name, type_, leads, **GIVEN[type_])
        for transition in made["transitions"]:
            if transition["event"] == "match":
                operator = draw(st.sampled_from(sorted(OPERATORS)))
                value = draw(st.sampled_from(["b", "1", "2026-01-01", "12:00", "{{x}}"]))
                transition["conditions"] = [{"type": operator, "value": value}]
        states.append(made)
    return flow(*states)


@settings(max_examples=150, deadline=10_000)
@given(flows(), st.data())
def test_any_flow_asks_or_ends_whatever_is_answered(made: Flow, data: st.DataObject) -> None:
    memory = machine.begin(made, trigger())
    for _ in range(12):
        assert (memory.ask is None) != (memory.ended is None)
        if memory.ask is None:
            break
        memory = machine.advance(made, memory, data.draw(ANSWERING[type(memory.ask)]), NOW)
        memory = Memory.from_json(json.loads(json.dumps(memory.to_json())))


def test_every_widget_is_walked_through() -> None:
    assert {kind(type_) for type_ in GIVEN} == set(declared()) - {kind("trigger")}


def test_an_event_that_answers_nothing_changes_nothing() -> None:
    made = flow(say("it", "x"))
    memory = machine.begin(made, trigger())
    for event in (Replied(FORM), TimedOut(), Added(), Said("IM1", ask=2), Refused(ask=0)):
        assert machine.advance(made, memory, event, NOW) is memory
    ended = machine.advance(made, memory, Said("IM1", ask=1), NOW)
    assert ended.ended is not None
    assert machine.advance(made, ended, Said("IM1"), NOW) is ended


def test_steps_say_how_it_went_and_are_those_of_the_last_event() -> None:
    made = flow(say("one", "x", "count"), counted("two"), say("two", "y"))
    first = machine.begin(made, trigger())
    assert [(s.number, s.name, s.widget, s.event, s.next) for s in first.steps] == [
        (1, "Trigger", "trigger", "incomingConversationMessage", "one")
    ]
    second = machine.advance(made, first, Said("IM1"), NOW + timedelta(seconds=5))
    assert [(s.number, s.name, s.event, s.next, s.at) for s in second.steps] == [
        (2, "one", "sent", "count", "2026-03-04T15:30:05Z"),
        (3, "count", "next", "two", "2026-03-04T15:30:05Z"),
    ]
    assert second.steps[1].variables == {"n": 1}
    assert second.steps[0].variables["outbound"]["Sid"] == "IM1"


def test_a_loop_without_a_reply_fails() -> None:
    began = time.perf_counter()
    ended = begun(counted("count")).ended
    assert ended is not None
    assert ended.reason == "failed"
    assert "a loop?" in ended.error
    assert time.perf_counter() - began < 5


def test_a_loop_with_replies_ends_after_so_many_steps() -> None:
    made = flow(state("it", "send-message", {"sent": "it"}, body="x"))
    memory = machine.begin(made, trigger())
    while memory.ask is not None:
        memory = machine.advance(made, memory, Said("IM1"), NOW)
    assert memory.ended is not None
    assert memory.ended.error == f"it: an execution has at most {machine.STEPS_TOTAL_MAX} steps"
    assert memory.stepped == machine.STEPS_TOTAL_MAX


def test_what_is_remembered_is_bounded() -> None:
    value = "x" * 60_000
    grows = [
        state(
            f"s{at}",
            "set-variables",
            {"next": f"s{at + 1}"},
            variables=[{"key": str(at), "value": value[:30_000]}],
        )
        for at in range(12)
    ]
    ended = begun(*grows, say("s12", "x")).ended
    assert ended is not None
    assert "keeps at most" in ended.error
    many = [{"key": str(at), "value": "{{trigger.message.Body}}" * 4} for at in range(9)]
    ended = begun(
        state("it", "set-variables", {"next": "it"}, variables=many), fields={"Body": "x" * 8_000}
    ).ended
    assert ended is not None
    assert ended.error == "it: a widget keeps at most 65536 bytes"


def test_what_steps_show_is_bounded() -> None:
    variables = [{"key": str(at), "value": "x" * 2_000} for at in range(20)]
    memory = begun(
        state("it", "set-variables", {"next": "it"}, variables=variables),
    )
    assert memory.ended is not None
    assert memory.ended.reason == "failed"
    assert len(memory.steps) > 10
    assert weight(memory.to_json()["steps"]) < 2 * machine.SHOWN_EVENT_BYTES_MAX
    large = begun(
        state(
            "it", "set-variables", {"next": "say"}, variables=[{"key": "k", "value": "x" * 9_000}]
        ),
        say("say", "x"),
    )
    assert large.steps[1].variables == {"k": "(9002 bytes)"}


def test_a_trigger_that_is_too_large_fails_at_once() -> None:
    made = flow(say("it", "x"), event="incomingRequest")
    memory = machine.begin(made, trigger("incomingRequest", fields={"x": "y" * 200_000}))
    assert memory.ended is not None
    assert memory.ended.error == "Trigger: what began it is too large"
    assert weight(memory.to_json()) < 2_000


def test_a_long_message_is_cut_and_does_not_end_the_flow() -> None:
    fields = FORM | {"Body": "b" * 50_000, **{f"k{at}": "x" * 5_000 for at in range(50)}}
    memory = begun(say("it", "{{trigger.message.Body | size}}"), fields=fields)
    assert isinstance(memory.ask, Say)
    assert memory.ask.body == "8192"
    assert weight(memory.context) < 70_000


def test_a_state_that_a_new_definition_no_longer_has_fails() -> None:
    memory = machine.begin(flow(say("old", "x")), trigger())
    ended = machine.advance(flow(say("new", "x")), memory, Said("IM1"), NOW).ended
    assert ended is not None
    assert ended.error == "old: the flow has no such state any more"


def test_an_execution_is_cancelled_once() -> None:
    waiting = talk(everything(), Said("IM1"))
    assert isinstance(waiting.ask, Wait)
    ended = machine.cancel(waiting)
    assert ended.ended is not None
    assert (ended.ask, ended.ended.reason) == (None, "cancelled")
    assert machine.cancel(ended, "again") is ended


@pytest.mark.parametrize(
    "body",
    ["{{ 1 | divided_by: 0 }}", "{{ 'x' | timezone: 'y' }}{{ 'now' | timezone: 'No/Where' }}"],
)
def test_a_template_that_cannot_be_made_fails_with_its_state(body: str) -> None:
    ended = begun(say("it", body)).ended
    assert ended is not None
    assert ended.error.startswith("it: ")


def test_a_pattern_that_takes_too_long_fails_with_its_state() -> None:
    made = state("it", "split-based-on", {"noMatch": None}, input="{{trigger.message.Body}}")
    slow = {"type": "regex", "value": "(?:a?){600}a{600}"}
    made["transitions"].append({"event": "match", "conditions": [slow]})
    ended = begun(made, fields={"Body": "a" * 600}).ended
    assert ended is not None
    assert ended.error.startswith("it: the pattern")
