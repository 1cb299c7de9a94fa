"""connect-virtual-agent: a bot behind a URL holds the talk until it is done (docs/68).

Each message of the other side is POSTed to `url` as JSON, within 10 s:

    {"session": "FN.../NAME", "turn": 1, "flow_sid": "FW...", "execution_sid": "FN...",
     "conversation_sid": "CH...", "contact": "+1555...", "language": "en",
     "text": "Hi", "message": {"Body": "Hi", ...}, "parameters": {"key": "value"}}

`session` is the same for the whole talk, `turn` counts from 1 and is the same when a request is
repeated; `text` of the first is the message that began the flow. The answer is 2xx with

    {"messages": [{"text": "Hello", "media": ["https://..."]}],
     "status": "continue", "parameters": {"intent": "greeting"}}

At most 10 messages; each is said in its order. `status`: continue (the default: wait for the next
message), completed, handoff (a person is wanted), hangup. An adapter of a few lines puts Dialogflow
CX or any other bot behind it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from app.flows.asks import Answered, Ask, Call, Event, Replied, Said, Say
from app.flows.fuel import VALUE_BYTES_MAX, json_value, weight
from app.flows.states import State
from app.flows.turn import Turn, message
from app.flows.widgets import http
from app.flows.widgets.contract import Go, Kind, Outcome, Pause, Report
from app.flows.widgets.send_and_wait import TIMEOUT_S_MAX, wait

MESSAGES_MAX = 10
SAID_MAX = 4_096
MEDIA_MAX = 10

# How it may be left; the first event that the state has is taken.
LEAVES = {
    "completed": ("completed", "return"),
    "handoff": ("live-agent-handoff", "return"),
    "hangup": ("hangup",),
    "timeout": ("timeout", "failed"),
    "failed": ("failed",),
}


def _check(state: State, report: Report) -> None:
    http.check_url(state, report)
    report.only(state, "channel", "conversations")
    report.pairs(state, "parameters")
    report.number(state, "timeout", 1, TIMEOUT_S_MAX)


def _enter(turn: Turn, state: State) -> Outcome:
    return _call(turn, state, turn.context["trigger"]["message"], 1)


def _answer(turn: Turn, state: State, ask: Ask, event: Event) -> Outcome:
    if isinstance(ask, Call):
        said = _read(event)
        return _say(turn, state, said | {"turn": turn.kept["turn"]}) if said else _leave(state)
    if isinstance(ask, Say):
        return _say(turn, state, turn.kept) if isinstance(event, Said) else _leave(state)
    if isinstance(event, Replied):
        shown = message(event.fields)
        return _call(turn, state, shown, turn.kept["turn"] + 1, {"inbound": shown})
    return _leave(state, "timeout")


def _call(
    turn: Turn,
    state: State,
    told: Mapping[str, Any],
    number: int,
    variables: Mapping[str, Any] | None = None,
) -> Outcome:
    url = turn.of(state, "url")
    if not http.callable_url(url):
        return _leave(state)
    flow = turn.context["flow"]
    asked = {
        "session": f"{flow['sid']}/{state.name}",
        "turn": number,
        "flow_sid": flow["flow_sid"],
        "execution_sid": flow["sid"],
        "conversation_sid": turn.context["trigger"]["message"].get("ConversationSid", ""),
        "contact": turn.context["contact"]["channel"]["address"],
        "language": turn.of(state, "language", "en"),
        "text": told.get("Body", ""),
        "message": told,
        "parameters": {key: value for key, value, _ in turn.pairs(state, "parameters")},
    }
    call = Call(
        method="POST",
        url=url,
        headers={"Content-Type": http.JSON},
        body=json.dumps(asked, ensure_ascii=False),
        timeout_s=http.TIMEOUT_S,
    )
    return Pause(call, variables or {}, {"turn": number})


def _read(event: Event) -> dict[str, Any] | None:
    """What the bot says; None when it does not answer as it should."""
    if not isinstance(event, Answered) or not 200 <= event.status < 300:
        return None
    try:
        said = json_value(event.body)
    except ValueError:
        return None
    if not isinstance(said, dict) or weight(said) > VALUE_BYTES_MAX // 2:
        return None
    messages = said.get("messages") or []
    status = said.get("status") or "continue"
    if not isinstance(messages, list) or status not in ("continue", *LEAVES):
        return None
    parameters = said.get("parameters")
    return {
        "say": [one for one in map(_message, messages[:MESSAGES_MAX]) if any(one.values())],
        "status": status,
        "parameters": parameters if isinstance(parameters, dict) else {},
    }


def _message(shown: Any) -> dict[str, Any]:
    entry = shown if isinstance(shown, dict) else {"text": shown}
    text, media = entry.get("text"), entry.get("media")
    return {
        "text": text[:SAID_MAX] if isinstance(text, str) else "",
        "media": [one for one in media if isinstance(one, str)][:MEDIA_MAX]
        if isinstance(media, list)
        else [],
    }


def _say(turn: Turn, state: State, kept: Mapping[str, Any]) -> Outcome:
    """Say the next of the bot's messages; then wait, or leave."""
    if kept["say"]:
        first, *rest = kept["say"]
        said = Say(body=first["text"], author=turn.flow_sid, media=tuple(first["media"]))
        return Pause(said, kept={**kept, "say": rest})
    if kept["status"] == "continue":
        return Pause(wait(turn, state), kept={"turn": kept["turn"]})
    return _leave(state, kept["status"], kept["parameters"])


def _leave(
    state: State, way: str = "failed", parameters: Mapping[str, Any] | None = None
) -> Outcome:
    has = {one.event for one in state.transitions}
    event = next((one for one in LEAVES[way] if one in has), LEAVES[way][0])
    shown = {
        "VirtualAgentProvider": "http",
        "VirtualAgentStatus": event,
        "VirtualAgentProviderData": {"AgentHandoffParameters": dict(parameters or {})},
    }
    return Go(event, shown)


KIND = Kind(
    types=("connect-virtual-agent", "connect-virtual-agent-v2"),
    about="A bot behind a URL holds the talk until it completes, hands over or hangs up; its "
    "request and answer are described in `app/flows/widgets/connect_virtual_agent.py`.",
    events=(
        "completed",
        "live-agent-handoff",
        "hangup",
        "failed",
        "timeout",
        "paused",
        "return",
    ),
    enter=_enter,
    answer=_answer,
    check=_check,
    properties="`url`, `language`, `parameters`, `timeout` in seconds between two messages",
)
