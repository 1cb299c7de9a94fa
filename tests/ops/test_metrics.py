"""Metrics: names and labels as the manual has them, there from the start."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest
from prometheus_client import CollectorRegistry, Counter

from app.observe import (
    DeliveryTried,
    HookTried,
    InboundSeen,
    Measured,
    Observation,
    Said,
    TimerFired,
)
from app.ops.metrics import Counted, Metrics, reason

LABELS: Mapping[str, set[str]] = {
    "parley_inbound_total": {"carrier", "outcome"},
    "parley_inbound_ack_seconds_count": set(),
    "parley_gap_looks_total": {"carrier", "outcome"},
    "parley_gap_behind_seconds": {"carrier"},
    "parley_recovered_total": {"carrier", "outcome"},
    "parley_resolution_total": {"rule", "outcome"},
    "parley_autocreate_total": {"type", "outcome"},
    "parley_delivery_attempts_total": {"channel", "outcome", "reason"},
    "parley_delivery_lag_seconds_count": set(),
    "parley_outbox_oldest_seconds": {"kind"},
    "parley_hook_attempts_total": {"scope", "phase", "outcome"},
    "parley_hook_duration_seconds_count": set(),
    "parley_hook_target_pauses_total": set(),
    "parley_hook_targets_paused": set(),
    "parley_stream_attempts_total": {"sink", "outcome"},
    "parley_stream_events_total": {"sink", "outcome"},
    "parley_stream_lag_seconds": {"sink"},
    "parley_stream_intake_oldest_seconds": set(),
    "parley_timer_lag_seconds_count": set(),
    "parley_dead_letters": {"kind"},
    "parley_config_last_reload_success": set(),
    "parley_build_info": {"version"},
    "parley_db_pool_wait_seconds": set(),
    "parley_event_loop_lag_seconds": set(),
    "parley_sockets": set(),
}
LINE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)$")
SEEN = InboundSeen(
    "lab",
    "accepted",
    0.004,
    rule="address",
    decision="created",
    autocreate="webhook",
    message_sid="IM1",
)
TRIED = DeliveryTried("sms", "accepted", "nonetype", 1, 0.1, 0.3, "DY1", "IM1", "CH1")


def page(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    found = {}
    for line in metrics.page().decode().splitlines():
        match = LINE.match(line)
        if match and not line.startswith("#"):
            labels = tuple(sorted(re.findall(r'(\w+)="([^"]*)"', match[2] or "")))
            found[match[1], labels] = float(match[3])
    return found


@pytest.fixture
def metrics() -> Metrics:
    return Metrics(["lab"])


def value(metrics: Metrics, name: str, **labels: str) -> float:
    return page(metrics)[f"parley_{name}", tuple(sorted(labels.items()))]


def test_every_metric_is_there_from_the_start_with_its_labels(metrics: Metrics) -> None:
    found: dict[str, set[str]] = {}
    for name, labels in page(metrics):
        found.setdefault(name, set()).update(label for label, _ in labels)
    assert {name: found.get(name) for name in LABELS} == LABELS


def test_every_counter_starts_at_zero(metrics: Metrics) -> None:
    counters = {key: one for key, one in page(metrics).items() if key[0].endswith("_total")}
    assert {one for key, one in counters.items() if key[0].startswith("parley_")} == {0.0}
    for outcome in ("accepted", "duplicate", "bad_signature", "unroutable", "throttled"):
        assert value(metrics, "inbound_total", carrier="lab", outcome=outcome) == 0


def test_a_mistake_is_told_once_and_nothing_is_counted_twice() -> None:
    registry = CollectorRegistry()
    counted = Counted(Counter("seen", "What was seen", ["carrier"], registry=registry), [["lab"]])
    counted.add("lab")
    counted.add("lab", "a label too many")
    with pytest.raises(ValueError, match="label"):
        counted.tell()
    counted.tell()
    assert registry.get_sample_value("seen_total", {"carrier": "lab"}) == 1


def test_an_inbound_is_counted(metrics: Metrics) -> None:
    metrics.consume(SEEN)
    assert value(metrics, "inbound_total", carrier="lab", outcome="accepted") == 1
    assert value(metrics, "resolution_total", rule="address", outcome="created") == 1
    assert value(metrics, "autocreate_total", type="webhook", outcome="created") == 1
    assert value(metrics, "inbound_ack_seconds_count") == 1


def test_a_delivery_is_counted_and_its_lag_when_it_was_accepted(metrics: Metrics) -> None:
    metrics.consume(TRIED)
    failed = DeliveryTried("sms", "permanent", "30003", 1, 0.1, 9.0, "DY1", "IM1", "CH1")
    metrics.consume(failed)
    labels = {"channel": "sms", "outcome": "permanent", "reason": "carrier"}
    assert value(metrics, "delivery_attempts_total", **labels) == 1
    labels = {"channel": "sms", "outcome": "accepted", "reason": "none"}
    assert value(metrics, "delivery_attempts_total", **labels) == 1
    assert value(metrics, "delivery_lag_seconds_count") == 1
    assert value(metrics, "delivery_lag_seconds_sum") == pytest.approx(0.3)


def test_a_hook_and_a_timer_are_counted(metrics: Metrics) -> None:
    metrics.consume(HookTried("scoped", "post", "onMessageAdded", "refused", 500, 2, 0.2, "CH1"))
    labels = {"scope": "scoped", "phase": "post", "outcome": "refused"}
    assert value(metrics, "hook_attempts_total", **labels) == 1
    assert value(metrics, "hook_duration_seconds_sum") == pytest.approx(0.2)
    metrics.consume(TimerFired("CH1", "closed", 0.7))
    assert value(metrics, "timer_lag_seconds_sum") == pytest.approx(0.7)


def test_what_is_measured_is_shown(metrics: Metrics) -> None:
    metrics.consume(Measured("outbox_oldest_seconds", 12.5, "hook"))
    metrics.consume(Measured("dead_letters", 3, "delivery"))
    metrics.consume(Measured("event_loop_lag_seconds", 0.01))
    metrics.consume(Measured("something else", 1.0))
    assert value(metrics, "outbox_oldest_seconds", kind="hook") == 12.5
    assert value(metrics, "dead_letters", kind="delivery") == 3
    assert value(metrics, "event_loop_lag_seconds") == 0.01


def test_observations_that_are_not_for_metrics_are_passed_over(metrics: Metrics) -> None:
    before = metrics.page()
    others: list[Observation] = [Said("info", "serving", "here")]
    for one in others:
        metrics.consume(one)
    assert [line for line in before.splitlines() if line.startswith(b"parley")] == [
        line for line in metrics.page().splitlines() if line.startswith(b"parley")
    ]


@pytest.mark.parametrize(
    ("outcome", "said", "label"),
    [
        ("accepted", "nonetype", "none"),
        ("postponed", "nonetype", "none"),
        ("permanent", "21610", "request"),
        ("permanent", "30003", "carrier"),
        ("permanent", "63016", "channel"),
        ("permanent", "429", "other"),
        ("temporary", "temporary", "temporary"),
        ("unknown", "unknown", "unknown"),
    ],
)
def test_no_number_is_a_label(outcome: str, said: str, label: str) -> None:
    assert reason(outcome, said) == label


def test_no_label_is_a_number_a_sid_or_a_url(metrics: Metrics) -> None:
    metrics.consume(SEEN)
    metrics.consume(TRIED)
    for name, labels in page(metrics):
        for label, text in labels:
            if label not in ("le", "version") and name.startswith("parley_"):
                assert re.fullmatch(r"[a-z_]+", text), (name, label, text)


def test_two_services_in_one_process_count_apart() -> None:
    one, other = Metrics(["lab"]), Metrics(["lab"])
    one.consume(SEEN)
    assert value(other, "inbound_total", carrier="lab", outcome="accepted") == 0
