"""What a flow asks of whoever runs it, and what can be answered.

| ask   | what to do                                     | answers                              |
|-------|------------------------------------------------|--------------------------------------|
| Say   | send a message into the conversation           | Said, Refused                        |
| Wait  | nothing, until a reply comes or the time is up | Replied, TimedOut, Undelivered       |
| Call  | one HTTP request through the guarded client    | Answered, CallFailed                 |
| Enter | run another flow to its end                    | Returned, Refused                    |
| Add   | add a participant to the conversation          | Added, Refused                       |

At any moment a memory has exactly one ask, or has ended. An ask's number (`Memory.asked`) is the
same when the same is answered again: it makes what the ask does repeatable without doing it twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Say:
    """Send a message. `author` is the flow. `conversation` and `service` are what the widget names
    (else empty: the conversation of the execution); `sender` and `to` matter only to an execution
    that has no conversation yet (incomingRequest). `attributes` is JSON text."""

    body: str = ""
    author: str = ""
    media: tuple[str, ...] = ()
    content_sid: str = ""
    content_variables: Mapping[str, str] = field(default_factory=dict)
    attributes: str = ""
    conversation: str = ""
    service: str = ""
    sender: str = ""
    to: str = ""


@dataclass(frozen=True, slots=True)
class Wait:
    """Wait for the other side's next message until this moment (None: for ever). `after` is the
    message that was said first: that it does not arrive is worth knowing, too."""

    until: datetime | None
    after: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """Make one HTTP request within `timeout_s` seconds; the answer's body may be cut at
    ANSWER_BYTES_MAX. The body is text (a form or JSON as `headers` say)."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""
    timeout_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Enter:
    """Run the flow with this SID. `revision` is LatestPublished, LatestDraft or a number."""

    flow_sid: str
    revision: str = "LatestPublished"
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Add:
    """Add a participant: a person of ours by `identity`, or one outside by `address` (through our
    `proxy_address`; empty: the conversation's own). `attributes` is JSON text."""

    identity: str = ""
    address: str = ""
    proxy_address: str = ""
    attributes: str = ""
    conversation: str = ""


Ask = Say | Wait | Call | Enter | Add


@dataclass(frozen=True, slots=True, kw_only=True)
class _Event:
    ask: int | None = None  # the number of the ask that it answers; None: the pending one


@dataclass(frozen=True, slots=True)
class Said(_Event):
    """The message is in the conversation. `fields` may add to what the widget shows (Index...)."""

    sid: str
    fields: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Replied(_Event):
    """A message of the other side: its onMessageAdded form (Body, Author, MessageSid...)."""

    fields: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class TimedOut(_Event):
    """The moment of Wait has passed."""


@dataclass(frozen=True, slots=True)
class Undelivered(_Event):
    """The message that stands before Wait did not reach the other side: its receipt is failed or
    undelivered. It answers only the Wait that names it."""

    sid: str
    status: str
    code: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Answered(_Event):
    """The HTTP answer; names of headers in either case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | bytes = ""


@dataclass(frozen=True, slots=True)
class CallFailed(_Event):
    """There was no HTTP answer."""

    reason: str = ""


@dataclass(frozen=True, slots=True)
class Returned(_Event):
    """The other flow has ended: with its variables, or with an error."""

    variables: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""


@dataclass(frozen=True, slots=True)
class Added(_Event):
    """The participant is there."""

    sid: str = ""


@dataclass(frozen=True, slots=True)
class Refused(_Event):
    """What was asked will not be done."""

    reason: str = ""
    code: int | None = None


Event = Said | Replied | TimedOut | Undelivered | Answered | CallFailed | Returned | Added | Refused

ANSWERS: Mapping[type, tuple[type, ...]] = {
    Say: (Said, Refused),
    Wait: (Replied, TimedOut, Undelivered),
    Call: (Answered, CallFailed),
    Enter: (Returned, Refused),
    Add: (Added, Refused),
}

KINDS: Mapping[str, type] = {
    "say": Say,
    "wait": Wait,
    "call": Call,
    "enter": Enter,
    "add": Add,
}
_NAMES = {kind: name for name, kind in KINDS.items()}


def ask_to_json(ask: Ask) -> dict[str, Any]:
    """An ask as plain JSON; its `kind` is its name in small letters."""
    shown = {"kind": _NAMES[type(ask)]} | asdict(ask)
    if isinstance(ask, Wait):
        shown["until"] = ask.until.isoformat() if ask.until else None
    if isinstance(ask, Say):
        shown["media"] = list(ask.media)
    return shown


def ask_from_json(shown: Mapping[str, Any]) -> Ask:
    """The ask that `ask_to_json` wrote; what a later version added is passed over."""
    kind = KINDS[shown["kind"]]
    known = {one.name: shown[one.name] for one in fields(kind) if one.name in shown}
    if kind is Wait and known["until"] is not None:
        known["until"] = datetime.fromisoformat(known["until"])
    if kind is Say:
        known["media"] = tuple(known["media"])
    made: Ask = kind(**known)
    return made
