"""The counters of our metrics: names, words and labels, and every value that these can have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product

from app.channels.facts import FACTS
from app.model.flows import FLOW
from app.model.outbox import ASK, DELIVERY, HOOK, MEDIA
from app.model.streams import KINESIS, WEBHOOK

KINDS = (DELIVERY, HOOK, ASK, MEDIA, FLOW)
UNKNOWN_CARRIER = "unknown"

INBOUND_OUTCOMES = (
    *("accepted", "duplicate", "bad_signature", "unroutable", "throttled", "late"),
    *("junk", "failed"),
)
GAP_OUTCOMES = (
    *("complete", "partial", "throttled", "refused", "unreachable"),
    *("garbage", "expired", "failed"),
)
RECOVERED_OUTCOMES = ("accepted", "duplicate", "unroutable", "failed")
RESOLUTIONS = (
    ("sender", "dropped"),
    ("binding", "joined"),
    ("address", "created"),
    ("address", "joined"),
    ("messaging_service", "created"),
    ("messaging_service", "joined"),
    ("sender_webhook", "forwarded"),
    ("none", "dropped"),
    ("ledger", "duplicate"),
    ("pre_event", "asked"),
    ("loop_guard", "dropped"),
    *((rule, "dropped") for rule in ("binding", "address", "messaging_service")),
)
AUTOCREATES = tuple(product(("default", "webhook", "studio"), ("created",)))
ATTEMPTS = (
    *((outcome, "none") for outcome in ("accepted", "settled", "gone", "postponed")),
    *(("temporary", reason) for reason in ("temporary", "request", "carrier", "channel", "other")),
    *(("permanent", reason) for reason in ("request", "carrier", "channel", "other")),
    ("unknown", "unknown"),
)
HOOKS = (
    *product(
        ("global", "service", "scoped", "studio", "sender"),
        ("post",),
        ("delivered", "refused", "unreachable"),
    ),
    *product(("global", "service"), ("pre",), ("delivered", "refused", "unreachable")),
)
FLOW_OUTCOMES = (
    *("waits", "completed", "stopped", "failed", "cancelled"),
    *("ignored", "gone", "replied", "postponed", "broken", "overtaken", "dead"),
)
FLOW_EVENTS = ("message", "request", "timeout")
FLOWS = tuple(product(FLOW_EVENTS, FLOW_OUTCOMES))
SINKS = (WEBHOOK, KINESIS)
MEDIA_CAME = (("upload",), ("url",), ("carrier",))
MEDIA_OUTCOMES = (("stored",), ("temporary",), ("failed",), ("gone",))


COUNTERS: tuple[tuple[str, str, Sequence[str], Sequence[Sequence[str]]], ...] = (
    ("resolution_total", "Decisions on inbounds", ("rule", "outcome"), RESOLUTIONS),
    ("autocreate_total", "Conversations by rule", ("type", "outcome"), AUTOCREATES),
    (
        "delivery_attempts_total",
        "Attempts to hand a message to a carrier",
        ("channel", "outcome", "reason"),
        [(channel, *ended) for channel in FACTS if channel != "chat" for ended in ATTEMPTS],
    ),
    ("hook_attempts_total", "Calls of webhooks", ("scope", "phase", "outcome"), HOOKS),
    ("flow_walks_total", "What flows took in, and what it came to", ("event", "outcome"), FLOWS),
    (
        "flow_steps_total",
        "Steps that flows made",
        ("event",),
        tuple((one,) for one in FLOW_EVENTS),
    ),
    (
        "stream_attempts_total",
        "Attempts to send events to sinks",
        ("sink", "outcome"),
        tuple(product(SINKS, ("delivered", "refused", "unreachable"))),
    ),
    (
        "stream_events_total",
        "Events that sinks took, and that were given up",
        ("sink", "outcome"),
        tuple(product(SINKS, ("delivered", "lost"))),
    ),
    ("media_stored_bytes_total", "Bytes of files that came in", ("came",), MEDIA_CAME),
    ("media_known_bytes_total", "Of these, those that were there", ("came",), MEDIA_CAME),
    ("media_fetches_total", "Attempts to fetch files", ("outcome",), MEDIA_OUTCOMES),
)
"""Counters of which every label is known: name, words, labels, their values."""


def of_carriers(
    carriers: Sequence[str],
) -> Iterator[tuple[str, str, Sequence[str], Iterable[Sequence[str]]]]:
    """The counters of each carrier."""
    known, both = (*carriers, UNKNOWN_CARRIER), ("carrier", "outcome")
    yield (
        "inbound_total",
        "Calls of the carriers' inbound doors",
        both,
        product(known, INBOUND_OUTCOMES),
    )
    yield (
        "gap_looks_total",
        "Turns at carriers' lists of messages",
        both,
        product(known, GAP_OUTCOMES),
    )
    yield (
        "recovered_total",
        "Inbounds that no webhook brought",
        both,
        product(known, RECOVERED_OUTCOMES),
    )
    yield (
        "carrier_pauses_total",
        "Times that a failing carrier was left alone",
        ("carrier",),
        tuple((name,) for name in carriers),
    )
