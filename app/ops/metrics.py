"""Metrics for Prometheus: a consumer of observations, and the page that shows them.

Names and labels are those of the operators' manual (README): prefix `parley_`, base
units, every label value there from the start with 0, and never a number, SID or URL as a label.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from aiohttp import web
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from app import VERSION
from app.model.streams import STREAM
from app.observe import (
    CarrierPaused,
    DeliveryTried,
    FlowWalked,
    GapsSought,
    HookTried,
    InboundDecided,
    InboundSeen,
    Measured,
    MediaFetched,
    MediaStored,
    Observation,
    Recovered,
    StreamLost,
    StreamTried,
    TargetPaused,
    TimerFired,
)
from app.ops.counters import COUNTERS, KINDS, SINKS, of_carriers

CODE_FAMILIES: Mapping[str, str] = {"21": "request", "30": "carrier", "63": "channel"}
"""Who objects, by the first digits of the original's five-digit error codes."""

ACK_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0)
LAG_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 3600.0)
HOOK_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
TIMER_S = (0.5, 1.0, 2.0, 5.0, 15.0, 60.0, 300.0, 3600.0, 86_400.0)


class Metrics:
    """All metrics of this process. `carriers` are the configured names: labels of inbound_total."""

    def __init__(self, carriers: Iterable[str] = ()) -> None:
        # A second series for every counter, which nobody asks for.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._registry = registry = CollectorRegistry()
        names = tuple(carriers)
        counter, histogram = _makers(registry)
        self._counted = {given[0]: counter(*given) for given in (*of_carriers(names), *COUNTERS)}
        self._inbound = self._counted["inbound_total"]
        self._pauses = Counter(
            "parley_hook_target_pauses_total",
            "Times that a failing target of webhooks was left alone",
            registry=registry,
        )
        self._ack = histogram("inbound_ack_seconds", "Inbound request to our answer", ACK_S)
        self._lag = histogram("delivery_lag_seconds", "Commit to the carrier's answer", LAG_S)
        self._hook_s = histogram("hook_duration_seconds", "One call of a webhook", HOOK_S)
        self._flow_s = histogram("flow_walk_seconds", "What a flow took in, until it rests", HOOK_S)
        self._timer_lag = histogram(
            "timer_lag_seconds", "Due time of a conversation's timer to its transition", TIMER_S
        )
        self._gauges = _gauges(registry, names)
        self._consumers: Mapping[type, Callable[[Any], None]] = {
            InboundSeen: self._inbound_seen,
            InboundDecided: self._decided,
            GapsSought: lambda sought: self._counted["gap_looks_total"].add(
                sought.carrier, sought.outcome
            ),
            Recovered: self._recovered_one,
            DeliveryTried: self._delivery_tried,
            HookTried: self._hook_tried,
            FlowWalked: self._flow_walked,
            TargetPaused: lambda _: self._pauses.inc(),
            CarrierPaused: lambda paused: self._counted["carrier_pauses_total"].add(paused.carrier),
            StreamTried: self._stream_tried,
            StreamLost: lambda lost: self._counted["stream_events_total"].add(
                lost.sink, "lost", count=lost.events
            ),
            MediaStored: self._media_stored,
            MediaFetched: lambda fetched: self._counted["media_fetches_total"].add(fetched.outcome),
            TimerFired: lambda fired: self._timer_lag.observe(fired.lag_s),
            Measured: self._measured,
        }
        Info("parley_build", "This release", registry=registry).info({"version": VERSION})
        ProcessCollector(registry=registry)

    def consume(self, observation: Observation) -> None:
        """Count one observation."""
        consumer = self._consumers.get(type(observation))
        if consumer is not None:
            consumer(observation)

    def page(self) -> bytes:
        """Every metric in the text format."""
        for counted in self._counted.values():
            counted.tell()
        return generate_latest(self._registry)

    async def answer(self, request: web.Request) -> web.Response:
        """GET /metrics."""
        return web.Response(body=self.page(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    def _inbound_seen(self, seen: InboundSeen) -> None:
        self._inbound.add(seen.carrier, seen.outcome)
        self._ack.observe(seen.ack_s)
        self._decided(seen)

    def _recovered_one(self, recovered: Recovered) -> None:
        self._counted["recovered_total"].add(recovered.carrier, recovered.outcome)
        self._decided(recovered)

    def _decided(self, seen: InboundSeen | InboundDecided | Recovered) -> None:
        if seen.rule is not None and seen.decision is not None:
            self._counted["resolution_total"].add(seen.rule, seen.decision)
            if seen.autocreate is not None:
                self._counted["autocreate_total"].add(seen.autocreate, seen.decision)

    def _delivery_tried(self, tried: DeliveryTried) -> None:
        self._counted["delivery_attempts_total"].add(
            tried.channel, tried.outcome, reason(tried.outcome, tried.reason)
        )
        if tried.outcome == "accepted":
            self._lag.observe(tried.lag_s)

    def _hook_tried(self, tried: HookTried) -> None:
        self._counted["hook_attempts_total"].add(tried.scope, tried.phase, tried.outcome)
        self._hook_s.observe(tried.took_s)

    def _flow_walked(self, walked: FlowWalked) -> None:
        self._counted["flow_walks_total"].add(walked.event, walked.outcome)
        self._counted["flow_steps_total"].add(walked.event, count=walked.steps)
        self._flow_s.observe(walked.took_s)

    def _stream_tried(self, tried: StreamTried) -> None:
        self._counted["stream_attempts_total"].add(tried.sink, tried.outcome)
        self._counted["stream_events_total"].add(tried.sink, "delivered", count=tried.events)

    def _stream_lost(self, lost: StreamLost) -> None:
        self._counted["stream_events_total"].add(lost.sink, "lost", count=lost.events)

    def _media_stored(self, stored: MediaStored) -> None:
        self._counted["media_stored_bytes_total"].add(stored.came, count=stored.size)
        if stored.known:
            self._counted["media_known_bytes_total"].add(stored.came, count=stored.size)

    def _measured(self, measured: Measured) -> None:
        gauge = self._gauges.get((measured.name, measured.label))
        if gauge is not None:
            gauge.set(measured.value)


class Counted:
    """A counter that is told what was counted when somebody looks: it takes locks, and to find a
    child by its labels costs seven times as much as to count."""

    def __init__(self, counter: Counter, known: Iterable[Sequence[str]]) -> None:
        self._counter = counter
        self._since: dict[tuple[str, ...], int] = {}
        for labels in known:
            counter.labels(*labels)  # there from the start, with 0

    def add(self, *labels: str, count: int = 1) -> None:
        """So many more."""
        self._since[labels] = self._since.get(labels, 0) + count

    def tell(self) -> None:
        """Tell the counter."""
        since, self._since = self._since, {}
        for labels, count in since.items():
            self._counter.labels(*labels).inc(count)


def reason(outcome: str, said: str) -> str:
    """The label for what an attempt came to: words as they are, error codes by their family."""
    if outcome in ("accepted", "settled", "gone", "postponed"):
        return "none"
    if said.isdecimal():
        return CODE_FAMILIES.get(said[:2], "other") if len(said) == 5 else "other"
    return said


def _makers(registry: CollectorRegistry) -> tuple[Callable[..., Counted], Callable[..., Histogram]]:
    def counter(
        name: str, text: str, labels: Sequence[str], known: Iterable[Sequence[str]]
    ) -> Counted:
        return Counted(Counter(f"parley_{name}", text, labels, registry=registry), known)

    def histogram(name: str, text: str, buckets: Sequence[float]) -> Histogram:
        return Histogram(f"parley_{name}", text, buckets=buckets, registry=registry)

    return counter, histogram


def _gauges(
    registry: CollectorRegistry, carriers: Sequence[str]
) -> dict[tuple[str, str | None], Gauge]:
    """Every gauge by the name and label of what is measured."""
    made: dict[tuple[str, str | None], Gauge] = {}
    for name, text, kinds in (
        ("outbox_oldest_seconds", "Age of the oldest item that waits", KINDS),
        ("dead_letters", "Items that were given up", (*KINDS, STREAM)),
    ):
        gauge = Gauge(f"parley_{name}", text, ["kind"], registry=registry)
        made |= {(name, kind): gauge.labels(kind) for kind in kinds}
    paused = Gauge(
        "parley_carrier_paused",
        "Whether it fails and is left alone",
        ["carrier"],
        registry=registry,
    )
    made |= {("carrier_paused", carrier): paused.labels(carrier) for carrier in carriers}
    lag = Gauge(
        "parley_stream_lag_seconds", "Age of the oldest unsent", ["sink"], registry=registry
    )
    made |= {("stream_lag_seconds", sink): lag.labels(sink) for sink in SINKS}
    behind = Gauge(
        "parley_gap_behind_seconds",
        "Age of what was not compared yet with a carrier's list",
        ["carrier"],
        registry=registry,
    )
    made |= {("gap_behind_seconds", name): behind.labels(name) for name in carriers}
    for name, text in (
        ("hook_targets_paused", "Targets of webhooks that fail and are left alone"),
        ("stream_intake_oldest_seconds", "Age of the oldest event that is not in its log yet"),
        ("sockets", "Clients that are connected to this process"),
        ("db_pool_wait_seconds", "Wait for a database connection, at the last probe"),
        ("event_loop_lag_seconds", "Worst delay of the event loop in the last 15 s"),
        ("config_last_reload_success", "Whether the configuration was good when last read"),
    ):
        made[name, None] = Gauge(f"parley_{name}", text, registry=registry)
    made["config_last_reload_success", None].set(1)
    return made
