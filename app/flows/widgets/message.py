"""What send-message and send-and-wait-for-reply have in common: a message made of properties."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from app.flows.asks import Event, Refused, Said, Say, Undelivered
from app.flows.states import State
from app.flows.turn import Turn
from app.flows.widgets.contract import Go, Outcome, Pause, Report

MEDIA_MAX = 10
PROPERTIES = (
    "`body`, `media_url` (also a list), `content_sid` and `content_variables`, `attributes` (JSON)"
)
_PLACE = re.compile(r"\{\{\s*([^{}]+?)\s*\}\}")


def check(state: State, report: Report) -> None:
    """A message has something to say; no Liquid is sought in the names of template variables."""
    report.needs_one(state, "body", "media_url", "content_sid")
    report.pairs(state, "content_variables")
    media = state.properties.get("media_url")
    if isinstance(media, list) and not all(isinstance(one, str) for one in media):
        report.say(("properties", "media_url"), "should be a URL or a list of URLs")


def enter(turn: Turn, state: State, failed: str) -> Outcome:
    """Ask to send the message, or leave by `failed` when its variables have left nothing of it."""
    said = say(turn, state)
    if said.body.strip() or said.media or said.content_sid:
        return Pause(said)
    return Go(failed, {"outbound": outbound(said, Refused("there is nothing to say"))})


def say(turn: Turn, state: State) -> Say:
    """The message of these properties, with their variables; the flow is its author."""
    media = state.properties.get("media_url")
    urls = media if isinstance(media, list) else [state.text("media_url")]
    return Say(
        body=turn.text(state.text("body")),
        author=turn.flow_sid,
        media=tuple(url for one in urls[:MEDIA_MAX] if (url := turn.text(str(one)).strip())),
        content_sid=turn.of(state, "content_sid"),
        content_variables=_variables(turn, state),
        attributes=_attributes(turn.of(state, "attributes")),
        conversation=turn.of(state, "channel") or turn.of(state, "chat_channel"),
        service=turn.of(state, "service") or turn.of(state, "chat_service"),
        sender=turn.of(state, "from"),
        to=turn.of(state, "to"),
    )


def outbound(said: Say, event: Event) -> Mapping[str, Any]:
    """What `widgets.NAME.outbound.*` shows of a message that was sent, or was not."""
    shown: dict[str, Any] = {
        "Body": said.body,
        "Author": said.author,
        "From": said.sender,
        "To": said.to,
    }
    if isinstance(event, Said):
        return shown | {"Sid": event.sid, "Status": "sent"} | dict(event.fields)
    refused = event if isinstance(event, Refused) else Refused()
    return shown | {
        "Status": "failed",
        "ErrorCode": refused.code,
        "ErrorMessage": refused.reason,
    }


def undelivered(turn: Turn, state: State, event: Undelivered) -> Mapping[str, Any]:
    """What `widgets.NAME.outbound.*` shows of a message that was sent and did not arrive."""
    before = turn.context["widgets"].get(state.name, {}).get("outbound", {})
    return {
        **before,
        "Status": event.status,
        "ErrorCode": event.code,
        "ErrorMessage": event.reason,
    }


def _variables(turn: Turn, state: State) -> dict[str, str]:
    """The original writes a variable's name as `{{1}}`, which is no Liquid."""
    found = {}
    for key, value, _ in state.pairs("content_variables"):
        place = _PLACE.fullmatch(key.strip())
        found[place[1] if place else key.strip()] = turn.text(value)
    return found


def _attributes(text: str) -> str:
    """JSON, or nothing: attributes that are none would refuse the whole message."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return ""
    return text
