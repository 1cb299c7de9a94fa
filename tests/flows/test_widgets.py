"""Each widget: what it asks, and where each answer leads with which variables."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from app.flows import machine
from app.flows.asks import (
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
    Undelivered,
    Wait,
)
from app.flows.memory import Memory
from tests.flows.flowing import (
    EXECUTION,
    FLOW,
    FORM,
    NOW,
    State,
    begun,
    flow,
    say,
    state,
    talk,
    trigger,
)

INNER = "FW" + "2" * 32

FORMS = "application/x-www-form-urlencoded;charset=utf-8"
JSON = {"content-type": "application/json; charset=utf-8"}


def after(made: State, shows: str, *events: Event) -> str:
    """The way on which a widget is left after these events, and what a template then shows."""
    for transition in made["transitions"]:
        transition["next"] = transition["event"]
    ways = [say(one["event"], f"{one['event']}: {shows}") for one in made["transitions"]]
    memory = talk(flow(made, *ways), *events)
    assert isinstance(memory.ask, Say), (memory.ask, memory.ended)
    return memory.ask.body


def asks(type_: str, **properties: Any) -> Any:
    """What a widget with these properties asks first."""
    return begun(state("it", type_, {}, **properties)).ask


def test_send_message_says_its_message_as_the_flow() -> None:
    said = asks(
        "send-message",
        body="Hello {{trigger.message.From}}",
        media_url=["https://example.com/a.png", "{{nothing}}"],
        attributes='{"a": "{{trigger.message.Body}}"}',
        channel="{{trigger.message.ChannelSid}}",
        service="{{trigger.message.InstanceSid}}",
        **{"from": "{{flow.channel.address}}", "to": "{{contact.channel.address}}"},
    )
    assert said == Say(
        body="Hello +15550100",
        author=FLOW,
        media=("https://example.com/a.png",),
        attributes='{"a": "Hi"}',
        conversation=FORM["ConversationSid"],
        service=FORM["ChatServiceSid"],
        sender="+15550199",
        to="+15550100",
    )


def test_send_message_says_a_template() -> None:
    variables = [{"key": "{{1}}", "value": "{{trigger.message.Body}}"}, {"key": "x", "value": "y"}]
    said = asks("send-message", content_sid="HX1", content_variables=variables)
    assert said == Say(author=FLOW, content_sid="HX1", content_variables={"1": "Hi", "x": "y"})


def test_attributes_that_are_no_json_are_left_out() -> None:
    assert asks("send-message", body="x", attributes="{a").attributes == ""


SEND = {"sent": None, "failed": None}


@pytest.mark.parametrize(
    ("event", "shown"),
    [
        (Said("IM7", {"Index": 4}), "sent: IM7 hello sent 4"),
        (Refused("no such person", 50_001), "failed:  hello failed "),
    ],
)
def test_send_message_goes_on(event: Event, shown: str) -> None:
    made = state("it", "send-message", SEND, body="hello")
    template = (
        "{{widgets.it.outbound.Sid}} {{widgets.it.outbound.Body}} "
        "{{widgets.it.outbound.Status}} {{widgets.it.outbound.Index}}"
    )
    assert after(made, template, event) == shown


@pytest.mark.parametrize(
    ("type_", "way"), [("send-message", "failed"), ("send-and-wait-for-reply", "deliveryFailure")]
)
def test_a_message_of_which_nothing_is_left_is_not_sent(type_: str, way: str) -> None:
    made = state("it", type_, {way: None}, body=" {{nothing}} ", media_url="{{nothing}}")
    shows = "{{widgets.it.outbound.Status}}, {{widgets.it.outbound.ErrorMessage}}"
    assert after(made, shows) == f"{way}: failed, there is nothing to say"


WAITS = {"incomingMessage": None, "timeout": None, "deliveryFailure": None}


@pytest.mark.parametrize(
    ("events", "shown"),
    [
        ((Said("IM7"), Replied(FORM | {"Body": "yes"})), "incomingMessage: IM7 yes +15550100"),
        ((Said("IM7"), TimedOut()), "timeout: IM7  "),
        ((Refused("no"),), "deliveryFailure:   "),
    ],
)
def test_send_and_wait_goes_on(events: tuple[Event, ...], shown: str) -> None:
    made = state("it", "send-and-wait-for-reply", WAITS, body="hello")
    template = "{{widgets.it.outbound.Sid}} {{widgets.it.inbound.Body}} {{widgets.it.inbound.From}}"
    assert after(made, template, *events) == shown


LOST = Undelivered("IM7", "undelivered", 30003, "Unreachable")


def test_send_and_wait_is_left_when_its_message_does_not_arrive() -> None:
    made = state("it", "send-and-wait-for-reply", WAITS, body="hello")
    names = ("Sid", "Body", "Status", "ErrorCode", "ErrorMessage")
    template = " ".join(f"{{{{widgets.it.outbound.{name}}}}}" for name in names)
    shown = after(made, template, Said("IM7"), LOST)
    assert shown == "deliveryFailure: IM7 hello undelivered 30003 Unreachable"


def test_that_another_message_does_not_arrive_is_nothing_to_a_wait() -> None:
    made = flow(state("it", "send-and-wait-for-reply", WAITS, body="hello"))
    waiting = talk(made, Said("IM8"))
    assert machine.advance(made, waiting, LOST, NOW) is waiting


def test_who_has_drawn_nothing_for_it_goes_on_waiting() -> None:
    ways = {"incomingMessage": "thanks", "deliveryFailure": None}
    made = flow(state("it", "send-and-wait-for-reply", ways, body="hello"), say("thanks", "yes"))
    waiting = talk(made, Said("IM7"))
    still = machine.advance(made, waiting, LOST, NOW + timedelta(seconds=9))
    assert still.ask == waiting.ask == Wait(NOW + timedelta(seconds=3_600), "IM7")
    assert still.context["widgets"]["it"]["outbound"]["Status"] == "undelivered"
    answered = machine.advance(made, still, Replied(FORM), NOW)
    assert isinstance(answered.ask, Say)
    assert answered.ask.body == "yes"


@pytest.mark.parametrize(
    ("timeout", "seconds"),
    [("60", 60), (90, 90), (None, 3_600), ("{{nothing}}", 3_600), ("{{trigger.message.n}}", 7)],
)
def test_send_and_wait_waits_as_long_as_it_says(timeout: Any, seconds: int) -> None:
    made = state("it", "send-and-wait-for-reply", WAITS, body="hello", timeout=timeout)
    waiting = talk(flow(made), Said("IM1"), fields=FORM | {"n": "7"})
    assert waiting.ask == Wait(NOW + timedelta(seconds=seconds), "IM1")


def test_a_widget_that_is_entered_again_has_not_heard_yet() -> None:
    made = state(
        "it",
        "send-and-wait-for-reply",
        {"incomingMessage": "it", "timeout": "it"},
        body="last: {{widgets.it.inbound.Body}}",
    )
    flow_ = flow(made)
    memory = talk(flow_, Said("IM1"), Replied({"Body": "one"}))
    assert isinstance(memory.ask, Say)
    assert memory.ask.body == "last: one"
    for event in (Said("IM2"), TimedOut()):
        memory = machine.advance(flow_, memory, event, NOW)
    assert isinstance(memory.ask, Say)
    assert memory.ask.body == "last: "


@pytest.mark.parametrize(
    ("properties", "call"),
    [
        (
            {
                "url": "https://x.example/a?b=1",
                "method": "GET",
                "parameters": {"q": "{{trigger.message.Body}}"},
            },
            Call("GET", "https://x.example/a?b=1&q=Hi"),
        ),
        (
            {"url": "https://x.example/", "method": "POST", "parameters": {"q": "a b", "r": "é"}},
            Call("POST", "https://x.example/", {"Content-Type": FORMS}, "q=a+b&r=%C3%A9"),
        ),
        (
            {
                "url": "https://{{trigger.message.Body}}.example/",
                "method": "post",
                "content_type": "application/json",
                "body": '{"text": "{{trigger.message.Body}}"}',
            },
            Call(
                "POST",
                "https://Hi.example/",
                {"Content-Type": "application/json"},
                '{"text": "Hi"}',
            ),
        ),
        (
            {
                "url": "https://x.example/#top",
                "content_type": "application/json",
                "method": "POST",
                "body": "{}",
                "parameters": {"q": "1"},
            },
            Call("POST", "https://x.example/?q=1#top", {"Content-Type": "application/json"}, "{}"),
        ),
        ({"url": "https://x.example/"}, Call("GET", "https://x.example/")),
    ],
)
def test_make_http_request_calls(properties: dict[str, Any], call: Call) -> None:
    pairs = [{"key": k, "value": v} for k, v in properties.get("parameters", {}).items()]
    assert asks("make-http-request", **(properties | {"parameters": pairs})) == call


HTTP = {"success": None, "failed": None}
SHOWS = "{{widgets.it.status_code}} {{widgets.it.parsed.name}} {{widgets.it.body}}"


@pytest.mark.parametrize(
    ("event", "shown"),
    [
        (Answered(200, JSON, b'{"name": "Ann"}'), 'success: 200 Ann {"name": "Ann"}'),
        (Answered(201, {"Content-Type": "text/plain"}, '{"a"}'), 'success: 201  {"a"}'),
        (Answered(200, JSON, "{"), "success: 200  {"),
        (Answered(200, JSON, b'{"name": "\xff\\u0000"}'), None),
        (Answered(302, {}, ""), "failed: 302  "),
        (Answered(404, JSON, '{"name": "no"}'), 'failed: 404 no {"name": "no"}'),
        (Answered(200, {}, "x" * 70_000), "failed:   "),
        (Answered(200, JSON, "[" * 20_000), "success: 200  " + "[" * 20_000),
        (CallFailed("no route"), "failed:   "),
    ],
    ids=str,
)
def test_make_http_request_goes_on(event: Event, shown: str | None) -> None:
    made = state("it", "make-http-request", HTTP, url="https://x.example/")
    said = after(made, SHOWS, event)
    assert said == shown if shown else said.startswith("success: 200 ")
    json.dumps(said).encode()


@pytest.mark.parametrize("url", ["{{nothing}}", "{{trigger.message.Body}}", "https://a b/{{n}}"])
@pytest.mark.parametrize(
    ("type_", "way"), [("make-http-request", "failed"), ("run-function", "fail")]
)
def test_a_url_that_cannot_be_called_is_a_failure(url: str, type_: str, way: str) -> None:
    made = state("it", type_, {"success": None, way: None}, url=url)
    assert after(made, "{{widgets.it.error}}") == f"{way}: the URL cannot be called"


def test_run_function_posts_its_parameters() -> None:
    pairs = [{"key": "From", "value": "{{contact.channel.address}}"}]
    assert asks(
        "run-function", url="https://f.example/run", service_sid="ZS1", parameters=pairs
    ) == Call("POST", "https://f.example/run", {"Content-Type": FORMS}, "From=%2B15550100")


@pytest.mark.parametrize(
    ("event", "shown"),
    [
        (Answered(200, JSON, '{"name": "Ann"}'), 'success: 200 Ann {"name": "Ann"}'),
        (Answered(500, {}, "oh"), "fail: 500  oh"),
        (CallFailed(), "fail:   "),
    ],
)
def test_run_function_goes_on(event: Event, shown: str) -> None:
    made = state("it", "run-function", {"success": None, "fail": None}, url="https://f.example/")
    assert after(made, SHOWS, event) == shown


@pytest.mark.parametrize(
    ("value", "more", "shows", "shown"),
    [
        ("{{trigger.message.Body}}", {}, "{{flow.variables.k}} {{widgets.it.k}}", "Hi Hi"),
        ("3", {}, "{% if flow.variables.k > 2 %}{{flow.variables.k | plus: 1}}{% endif %}", "4"),
        ("3.5", {}, "{% if flow.variables.k > 3 %}{{flow.variables.k}}{% endif %}", "3.5"),
        ("007", {}, "{{flow.variables.k}}", "007"),
        ("1.50", {}, "{{flow.variables.k}}", "1.50"),
        ('{"a": [1, {"b": 2}]}', {}, "{{flow.variables.k.a}}", ""),
        ('{"a": [1, {"b": 2}]}', {"parse_as_json": True}, "{{flow.variables.k.a[1].b}}", "2"),
        ('{"a": 1}', {"type": "object"}, "{{flow.variables.k.a}}", "1"),
        ("{oh", {"parse_as_json": True}, "{{flow.variables.k}}", "{oh"),
        ("{{flow.variables.k | plus: 1}}", {}, "{{flow.variables.k}}", "1"),
    ],
)
def test_set_variables_sets(value: str, more: dict[str, Any], shows: str, shown: str) -> None:
    variables = [{"key": "k", "value": value} | more]
    made = state("it", "set-variables", {"next": None}, variables=variables)
    assert after(made, shows) == f"next: {shown}"


def test_run_subflow_enters_and_shows_what_comes_back() -> None:
    pairs = [
        {"key": "who", "value": "{{trigger.message.Body}}", "type": "string"},
        {"key": "o", "value": '{"a": 1}', "parse_as_json": True},
    ]
    ways = {"completed": None, "failed": None}
    made = state("it", "run-subflow", ways, flow_sid=INNER, parameters=pairs)
    assert begun(made).ask == Enter(INNER, "LatestPublished", {"who": "Hi", "o": {"a": 1}})
    shows = "{{widgets.it.answer}}"
    assert after(made, shows, Returned({"answer": 42})) == "completed: 42"
    assert after(made, shows, Returned({"answer": 42}, error="oh")) == "failed: "
    assert after(made, shows, Refused("no such flow")) == "failed: "


@pytest.mark.parametrize("type_", ["add-participant", "add-member-to-chat-channel"])
def test_add_participant_adds_by_identity_or_address(type_: str) -> None:
    ways = {"success": None, "failed": None}
    made = state("it", type_, ways, identity="{{trigger.message.Body}}")
    assert begun(made).ask == Add(identity="Hi")
    shows = "{{widgets.it.ParticipantSid}}{{widgets.it.error}}"
    assert after(made, shows, Added("MB1")) == "success: MB1"
    assert after(made, shows, Refused("full", 50_000)) == "failed: full"
    made = state("it", type_, ways, address="+1555", proxy_address="{{flow.channel.address}}")
    assert begun(made).ask == Add(address="+1555", proxy_address="+15550199")
    made = state("it", type_, ways, identity="{{nothing}}")
    assert after(made, shows) == "failed: the identity or address is empty"


def test_stop_ends_the_execution() -> None:
    ended = begun(state("it", "stop")).ended
    assert ended is not None
    assert ended.reason == "stopped"


AGENT = "https://bot.example/talk"
AGENT_WAYS = ("completed", "live-agent-handoff", "hangup", "failed", "timeout")


def agent(**properties: Any) -> State:
    """A virtual agent whose ways all lead somewhere."""
    ways = dict.fromkeys(AGENT_WAYS)
    return state("it", "connect-virtual-agent-v2", ways, url=AGENT, **properties)


def answer(**said: Any) -> Answered:
    """What the bot says."""
    return Answered(200, JSON, json.dumps(said))


def test_a_virtual_agent_is_told_what_began_it() -> None:
    pairs = [{"key": "tier", "value": "gold"}]
    asked = begun(agent(language="de", parameters=pairs)).ask
    assert isinstance(asked, Call)
    assert (asked.method, asked.url) == ("POST", AGENT)
    assert asked.headers == {"Content-Type": "application/json"}
    told = json.loads(asked.body)
    assert told.pop("message")["Body"] == "Hi"
    assert told == {
        "session": f"{EXECUTION}/it",
        "turn": 1,
        "flow_sid": FLOW,
        "execution_sid": EXECUTION,
        "conversation_sid": FORM["ConversationSid"],
        "contact": "+15550100",
        "language": "de",
        "text": "Hi",
        "parameters": {"tier": "gold"},
    }


def test_a_virtual_agent_says_each_of_its_messages_then_listens_and_is_told() -> None:
    made = flow(agent(timeout="60"))
    first = answer(messages=[{"text": "Hello"}, {"text": "You?", "media": ["https://x/a.png"]}])
    memory = talk(made, first)
    assert memory.ask == Say(body="Hello", author=FLOW)
    memory = machine.advance(made, memory, Said("IM1"), NOW)
    assert memory.ask == Say(body="You?", author=FLOW, media=("https://x/a.png",))
    memory = machine.advance(made, memory, Said("IM2"), NOW)
    assert memory.ask == Wait(NOW + timedelta(seconds=60))
    memory = machine.advance(made, memory, Replied(FORM | {"Body": "fine"}), NOW)
    assert isinstance(memory.ask, Call)
    told = json.loads(memory.ask.body)
    assert (told["turn"], told["text"], told["message"]["Body"]) == (2, "fine", "fine")


@pytest.mark.parametrize(
    ("events", "shown"),
    [
        ((answer(status="completed", parameters={"a": 1}),), "completed: completed 1"),
        (
            (answer(status="handoff", messages=["One moment"], parameters={"a": 2}), Said("IM1")),
            "live-agent-handoff: live-agent-handoff 2",
        ),
        ((answer(status="hangup"),), "hangup: hangup "),
        ((answer(), TimedOut()), "timeout: timeout "),
        ((answer(status="dance"),), "failed: failed "),
        ((answer(messages="Hello"),), "failed: failed "),
        ((Answered(200, JSON, "[]"),), "failed: failed "),
        ((Answered(200, JSON, "{"),), "failed: failed "),
        ((Answered(500, JSON, "{}"),), "failed: failed "),
        ((CallFailed("no"),), "failed: failed "),
        ((answer(messages=["x"]), Refused("no")), "failed: failed "),
        ((Answered(200, JSON, json.dumps({"messages": ["x" * 70_000]})),), "failed: failed "),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_virtual_agent_goes_on(events: tuple[Event, ...], shown: str) -> None:
    template = (
        "{{widgets.it.VirtualAgentStatus}} "
        "{{widgets.it.VirtualAgentProviderData.AgentHandoffParameters.a}}"
    )
    assert after(agent(), template, *events) == shown


def test_the_older_virtual_agent_returns() -> None:
    made = state("it", "connect-virtual-agent", {"return": None, "hangup": None}, url=AGENT)
    assert after(made, "", answer(status="handoff")) == "return: "


def test_a_bot_says_at_most_ten_messages_at_a_time() -> None:
    made = flow(agent())
    memory = talk(made, answer(messages=[{"text": str(n)} for n in range(50)] + [{}, 5, None]))
    said = 0
    while isinstance(memory.ask, Say):
        said += 1
        memory = machine.advance(made, memory, Said(f"IM{said}"), NOW)
    assert said == 10


def test_a_trigger_to_which_a_flow_leads_back_ends_it() -> None:
    memory: Memory = talk(flow(say("it", "x", "Trigger")), Said("IM1"))
    assert memory.ended is not None
    assert memory.ended.reason == "completed"


@pytest.mark.parametrize(
    "event", ["incomingMessage", "incomingConversationMessage", "incomingRequest"]
)
def test_each_trigger_begins_what_is_connected_to_it(event: str) -> None:
    made = flow(say("it", "x"), event=event)
    assert machine.hears(made, event)
    assert machine.message_event(made) == (None if event == "incomingRequest" else event)
    assert isinstance(machine.begin(made, trigger(event)).ask, Say)
    other = "incomingParent"
    ended = machine.begin(made, trigger(other)).ended
    assert ended is not None
    assert ended.reason == "completed"
