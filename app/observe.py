"""Everything worth a log line or a metric, as plain values; logging and metrics only consume it.

Addresses are masked here or before: an observation never holds a body, a full address or a secret.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.values import value


@value(frozen=True, slots=True)
class InboundSeen:
    """A carrier called the inbound door. outcome: accepted, duplicate, bad_signature, unroutable,
    throttled, late (its carrier would not have waited longer: 503), junk, failed."""

    carrier: str
    outcome: str
    ack_s: float
    signature: str = "valid"
    rule: str | None = None
    decision: str | None = None
    autocreate: str | None = None
    external_id: str | None = None
    message_sid: str | None = None
    conversation_sid: str | None = None
    address: str | None = None
    proxy_address: str | None = None


@dataclass(frozen=True, slots=True)
class InboundDecided:
    """An inbound that was set aside for a pre-event took effect, or was dropped, `waited_s` after
    it came."""

    carrier: str
    rule: str
    decision: str
    autocreate: str | None
    waited_s: float
    external_id: str
    message_sid: str | None
    conversation_sid: str | None
    address: str
    proxy_address: str


@dataclass(frozen=True, slots=True)
class GapsSought:
    """A turn at a carrier's list of messages. outcome: complete, partial (there is more to read or
    take in), throttled, refused, unreachable, garbage, expired, failed. Of `listed` messages
    `missing` never came, `recovered` were taken in, and `statuses` of ours were news; `asked` sends
    with an unknown outcome are asked about at once."""

    carrier: str
    outcome: str
    pages: int
    listed: int
    junk: int
    missing: int
    recovered: int
    statuses: int
    asked: int
    took_s: float
    detail: str | None


@dataclass(frozen=True, slots=True)
class Recovered:
    """A message that no webhook brought walked the road, `late_s` after the carrier got it.
    outcome: as of `InboundSeen`; duplicate: its webhook came after all."""

    carrier: str
    outcome: str
    rule: str | None
    decision: str | None
    autocreate: str | None
    late_s: float
    external_id: str
    message_sid: str | None
    conversation_sid: str | None
    address: str
    proxy_address: str


@value(frozen=True, slots=True)
class DeliveryTried:
    """One attempt at one recipient. `lag_s` is from the message's commit to the carrier's answer;
    `reason` is a short word or error code, never free text."""

    channel: str
    outcome: str
    reason: str
    attempt: int
    took_s: float
    lag_s: float
    receipt_sid: str
    message_sid: str
    conversation_sid: str


@value(frozen=True, slots=True)
class HookTried:
    """One attempt at one webhook. scope: global, service, scoped, sender; phase: pre, post."""

    scope: str
    phase: str
    event: str
    outcome: str
    status: int | None
    attempt: int
    took_s: float
    conversation_sid: str | None


@dataclass(frozen=True, slots=True)
class FlowWalked:
    """A flow took something in (event: message, request, timeout) and rests again, after so many
    steps. outcome: waits, completed, stopped, failed, cancelled; ignored, gone, replied when it
    concerned nothing; postponed, broken, overtaken (it goes on later), dead."""

    event: str
    outcome: str
    steps: int
    took_s: float
    flow_sid: str
    execution_sid: str | None
    conversation_sid: str | None


@dataclass(frozen=True, slots=True)
class TargetPaused:
    """A target of webhooks fails and is left alone for `wait_s`: the `pauses`-th time in a row.
    `target` is its name in `hook_endpoints`."""

    target: str
    pauses: int
    wait_s: float


@dataclass(frozen=True, slots=True)
class TargetResumed:
    """A target of webhooks that was paused answers again, after so many seconds."""

    target: str
    paused_s: float


@dataclass(frozen=True, slots=True)
class CarrierPaused:
    """A carrier fails and is left alone for `wait_s`: the `pauses`-th time in a row."""

    carrier: str
    pauses: int
    wait_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class CarrierResumed:
    """A carrier that was paused answers again, after so many seconds."""

    carrier: str
    paused_s: float


@dataclass(frozen=True, slots=True)
class StreamTried:
    """One attempt to send events to a sink, and how many of them arrived. sink: webhook, kinesis;
    outcome: delivered, refused, unreachable."""

    sink: str
    outcome: str
    events: int
    status: int | None
    attempt: int
    took_s: float
    sink_sid: str
    subscription_sid: str | None


@dataclass(frozen=True, slots=True)
class StreamLost:
    """Events from `first` to `last` were given up for one subscription. reason: refused or
    unreachable for the whole schedule, or trimmed before they were sent."""

    sink: str
    events: int
    reason: str
    first: int
    last: int
    sink_sid: str
    subscription_sid: str


@dataclass(frozen=True, slots=True)
class MediaStored:
    """A file was taken in. came: upload, url (a URL that a caller gave) or carrier; `known`: its
    content was there already, and is kept once."""

    came: str
    size: int
    known: bool


@dataclass(frozen=True, slots=True)
class MediaFetched:
    """One attempt to fetch a file of an inbound message. outcome: stored, temporary, failed (for
    good), gone (its message is deleted)."""

    outcome: str
    attempt: int
    size: int
    took_s: float
    detail: str | None
    media_sid: str
    conversation_sid: str | None


@dataclass(frozen=True, slots=True)
class DeadLettered:
    """An item was given up after its schedule. kind: delivery, hook, media or flow. reason is its
    last outcome, `detail` why in words; `flow_sid` is the flow whose item it was."""

    kind: str
    reason: str
    conversation_sid: str | None
    detail: str | None = None
    flow_sid: str | None = None


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A conversation changed its state by its timer, this long after it was due."""

    conversation_sid: str
    state: str
    lag_s: float


@dataclass(frozen=True, slots=True)
class Measured:
    """A number at this moment: outbox_oldest_seconds{kind}, dead_letters{kind}, ..."""

    name: str
    value: float
    label: str | None = None


@dataclass(frozen=True, slots=True)
class Said:
    """Something an operator should read: level is info, warning or error."""

    level: str
    event: str
    detail: str


@dataclass(frozen=True, slots=True)
class Failed:
    """Something broke that should not have: the error's type and place, for the log alone."""

    where: str
    error: BaseException


Observation = (
    InboundSeen
    | InboundDecided
    | GapsSought
    | Recovered
    | DeliveryTried
    | HookTried
    | FlowWalked
    | TargetPaused
    | TargetResumed
    | CarrierPaused
    | CarrierResumed
    | StreamTried
    | StreamLost
    | MediaStored
    | MediaFetched
    | DeadLettered
    | TimerFired
    | Measured
    | Said
    | Failed
)


class Observe:
    """Hands every observation to its consumers; a consumer must be quick and must not raise."""

    def __init__(self) -> None:
        self._consumers: list[Callable[[Observation], None]] = []

    def to(self, consumer: Callable[[Observation], None]) -> None:
        """Add a consumer."""
        self._consumers.append(consumer)

    def __call__(self, observation: Observation) -> None:
        """Hand it on."""
        for consumer in self._consumers:
            consumer(observation)
