"""Flows that enter flows: whoever runs them sees only what must be done outside."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from app.flows import stack
from app.flows.asks import Event, Replied, Said, Say, TimedOut, Wait
from app.flows.stack import DEPTH_MAX, Stack
from app.flows.states import Flow
from tests.flows.flowing import FLOW, NOW, flow, say, state, trigger

INNER = "FW" + "9" * 32


def enters(
    name: str, sid: str, following: str | None = None, failed: str | None = None
) -> dict[str, object]:
    """A run-subflow that hands over what was written."""
    pairs = [{"key": "who", "value": "{{trigger.message.Body}}"}]
    ways = {"completed": following, "failed": failed}
    return state(name, "run-subflow", ways, flow_sid=sid, parameters=pairs)


INSIDE = flow(
    state(
        "name",
        "send-and-wait-for-reply",
        {"incomingMessage": "keep", "timeout": "late"},
        body="{{trigger.parent.parameters.who}}, your name?",
    ),
    state(
        "keep",
        "set-variables",
        {"next": None},
        variables=[{"key": "name", "value": "{{widgets.name.inbound.Body}}"}],
    ),
    say("late", "{{ 1 | divided_by: 0 }}"),
    event="incomingParent",
)
OUTSIDE = flow(
    enters("ask", INNER, "hello", "sorry"),
    say("hello", "Hello {{widgets.ask.name}}"),
    say("sorry", "Sorry"),
)
FLOWS = {FLOW: OUTSIDE, INNER: INSIDE}


def find(flow_sid: str, revision: str) -> tuple[str, Flow] | None:
    found = FLOWS.get(flow_sid)
    return ("3" if revision == "LatestPublished" else revision, found) if found else None


def talk(*events: Event) -> Stack:
    held = stack.begin(("7", OUTSIDE), trigger(), find)
    for event in events:
        held = stack.advance(
            Stack.from_json(json.loads(json.dumps(held.to_json()))), event, NOW, find
        )
    return held


def said(held: Stack) -> str:
    assert isinstance(held.ask, Say), (held.ask, held.ended)
    return held.ask.body


def test_what_the_inner_flow_sets_comes_back() -> None:
    assert said(talk()) == "Hi, your name?"
    assert isinstance(talk(Said("IM1")).ask, Wait)
    assert said(talk(Said("IM1"), Replied({"Body": "Ann"}))) == "Hello Ann"
    ended = talk(Said("IM1"), Replied({"Body": "Ann"}), Said("IM2")).ended
    assert ended is not None
    assert ended.reason == "completed"


def test_an_inner_flow_that_fails_is_a_failed_widget() -> None:
    assert said(talk(Said("IM1"), TimedOut())) == "Sorry"


def test_asks_and_steps_have_ids_of_their_own() -> None:
    held = talk()
    assert (held.ask_id, [frame.revision for frame in held.frames]) == ("1.1", ["7", "3"])
    assert [one.id for one in held.taken] == ["1", "1.1"]
    held = talk(Said("IM1"))
    assert held.ask_id == "1.2"
    held = talk(Said("IM1"), Replied({"Body": "Ann"}))
    assert (held.ask_id, [(one.id, one.step.name) for one in held.taken]) == (
        "2",
        [("1.2", "name"), ("1.3", "keep"), ("2", "ask")],
    )
    assert stack.advance(held, Said("IM2"), NOW, find, "1.1") is held
    assert stack.advance(held, Said("IM2"), NOW, find, "2").ended is not None


def test_a_flow_that_is_not_there_is_a_failed_widget() -> None:
    made = flow(
        enters("ask", "FW" + "0" * 32, "hello", "sorry"), say("hello", "x"), say("sorry", "Sorry")
    )
    assert said(stack.begin(("1", made), trigger(), find)) == "Sorry"


def test_a_flow_that_is_gone_while_it_waits_fails() -> None:
    held = talk(Said("IM1"))
    gone = stack.advance(
        held, TimedOut(), NOW, lambda sid, revision: None if sid == INNER else find(sid, revision)
    )
    assert said(gone) == "Sorry"
    nothing = stack.advance(held, TimedOut(), NOW, lambda sid, revision: None)
    assert nothing.ended is not None
    assert nothing.ended.error == "ask: the flow is not there any more"


def test_flows_enter_each_other_only_so_deep() -> None:
    endless = flow(
        enters("again", FLOW, None, "deep"), say("deep", "deep enough"), event="incomingParent"
    )
    first = flow(enters("again", FLOW))
    held = stack.begin(("1", first), trigger(), lambda sid, revision: ("1", endless))
    assert said(held) == "deep enough"
    assert len(held.frames) == DEPTH_MAX


def test_flows_that_enter_each_other_for_ever_fail() -> None:
    empty = flow(state("end", "stop"), event="incomingParent")
    looping = flow(enters("again", INNER, "again", "again"))
    flows = {FLOW: looping, INNER: empty}
    held = stack.begin(("1", looping), trigger(), lambda sid, revision: ("1", flows[sid]))
    assert held.ended is not None
    assert "a loop?" in held.ended.error


def test_cancelling_ends_what_was_entered_too() -> None:
    ended = stack.cancel(talk(Said("IM1")))
    assert ended.ended is not None
    assert (ended.ended.reason, len(ended.frames), ended.ask) == ("cancelled", 1, None)
    assert stack.cancel(ended) is ended


EVENTS = st.sampled_from([Said("IM1"), Replied({"Body": "Ann"}), TimedOut()])


@settings(max_examples=100, deadline=5_000)
@given(st.lists(EVENTS, max_size=12))
def test_any_events_leave_one_ask_or_one_end(events: list[Event]) -> None:
    held = talk(*events)
    assert (held.ask is None) != (held.ended is None)
    assert all(frame.memory.ask is not None for frame in held.frames) or held.ended
