"""Which widgets there are: every module of this folder that declares a `KIND`."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module

import app.flows.widgets
from app.flows.widgets.contract import Kind

VOICE = "is about voice calls, which a conversation has none of"
FLEX = "needs a contact centre; hand over with add-participant"

REFUSED: Mapping[str, str] = {
    "add-twiml-redirect": "runs TwiML; call what answers it with make-http-request",
    "call-recording": VOICE,
    "capture-payments": VOICE,
    "connect-call-to": VOICE,
    "create-chat-channel": "is about Programmable Chat, which has ended",
    "create-task": FLEX,
    "enqueue-call": VOICE,
    "fork-stream": VOICE,
    "gather-input-on-call": VOICE,
    "make-outgoing-call": VOICE,
    "make-outgoing-call-v1": VOICE,
    "make-outgoing-call-v2": VOICE,
    "record-call": VOICE,
    "record-voicemail": VOICE,
    "resume-conversation": "is not supported: an execution belongs to its conversation",
    "say-play": VOICE,
    "search-for-a-profile": "needs profiles of people, which nobody here keeps",
    "send-to-flex": FLEX,
    "start-conversation": "is not supported: an execution belongs to its conversation",
    "understand": "is about Autopilot, which has ended; use connect-virtual-agent",
    "update-sync-object": "needs Sync; keep it behind make-http-request",
}
"""Widgets of the original that are not taken, and why, as what follows `TYPE `."""


def kind(type_: str) -> Kind:
    """The widget that `type` names. Raises LookupError for one that is not supported."""
    return kinds()[type_]


@cache
def kinds() -> Mapping[str, Kind]:
    """Each word that `type` may be, with its widget."""
    return {word: one for one in declared() for word in one.types}


@cache
def declared() -> tuple[Kind, ...]:
    """Every widget once, by name."""
    found = []
    for module in pkgutil.iter_modules(app.flows.widgets.__path__):
        one = getattr(import_module(f"app.flows.widgets.{module.name}"), "KIND", None)
        if isinstance(one, Kind):
            found.append(one)
    return tuple(sorted(found, key=lambda one: one.types))
