"""Logs: one line per event, with SIDs and durations and nothing that is nobody's business."""

from __future__ import annotations

import asyncio
import io
import logging as stdlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import pytest

from app.observe import DeadLettered, DeliveryTried, Failed, HookTried, InboundSeen, Measured, Said
from app.ops import logging
from app.ops.hiding import hidden
from app.ops.sink import HELD_S
from app.settings.models import OpsSettings
from tests.support.clock import TurnedClock

TAKEN = "Key (address)=(+15551230001) already exists"
TALE = "no +15551230001 at https://u:p@host/x?token=abc ann@example.com"
SID = "CH" + "0123456789abcdef" * 2


def log(**options: Any) -> tuple[logging.Log, io.BytesIO]:
    stream = io.BytesIO()
    ops = OpsSettings(**{"log_format": "json", **options})
    return logging.build(ops, stream, terminal=False, clock=TurnedClock()), stream


def lines(stream: io.BytesIO) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in stream.getvalue().splitlines()]


def test_an_inbound_is_one_wide_line() -> None:
    made, stream = log()
    seen = InboundSeen(
        carrier="lab",
        outcome="accepted",
        ack_s=0.00412345678,
        rule="binding",
        decision="joined",
        message_sid="IM1",
        conversation_sid=SID,
        address="***0001",
    )
    made.consume(seen)
    assert lines(stream) == [
        {
            "at": "2030-01-02T03:04:05.678901Z",
            "level": "info",
            "event": "inbound",
            "carrier": "lab",
            "outcome": "accepted",
            "ack_s": 0.004123,
            "signature": "valid",
            "rule": "binding",
            "decision": "joined",
            "message_sid": "IM1",
            "conversation_sid": SID,
            "address": "***0001",
        }
    ]


def test_attempts_are_one_line_each_and_measurements_none() -> None:
    made, stream = log()
    made.consume(DeliveryTried("sms", "permanent", "30003", 1, 0.1, 0.2, "DY1", "IM1", "CH1"))
    made.consume(HookTried("global", "post", "onMessageAdded", "delivered", 204, 1, 0.1, "CH1"))
    made.consume(Measured("dead_letters", 1, "hook"))
    first, second = lines(stream)
    assert (first["event"], first["level"], first["reason"]) == ("delivery", "warning", "30003")
    assert (second["event"], second["told"], second["status"]) == ("hook", "onMessageAdded", 204)


def test_a_dead_letter_says_why_and_whose_it_was_but_nobodys_number() -> None:
    made, stream = log()
    flow = "FW" + "0123456789abcdef" * 2
    made.consume(DeadLettered("flow", "dead", SID, f"no flow {flow} for +15551230001", flow))
    [line] = lines(stream)
    assert (line["level"], line["flow_sid"], line["reason"]) == ("warning", flow, "dead")
    assert line["detail"] == f"no flow {flow} for ***0001"


def test_lines_below_the_level_are_not_written() -> None:
    made, stream = log(log_level="warning")
    made.consume(Said("info", "serving", "quiet"))
    made.consume(Said("warning", "fsync", "loud"))
    assert [(line["event"], line["detail"]) for line in lines(stream)] == [("fsync", "loud")]


def test_a_failure_shows_its_place_and_not_the_values_in_it() -> None:
    made, stream = log()
    try:
        try:
            raise asyncpg.UniqueViolationError(TAKEN)
        except asyncpg.UniqueViolationError as error:
            raise ValueError(TALE) from error
    except ValueError as error:
        made.consume(Failed("the road", error))
    (line,) = lines(stream)
    assert (line["level"], line["where"], line["error"]) == ("error", "the road", "ValueError")
    assert "test_a_failure_shows_its_place" in line["traceback"]
    text = stream.getvalue().decode().replace(str(Path(__file__).parent), "")
    for secret in ("5551230001", "u:p", "abc", "ann", "example.com", "already exists"):
        assert secret not in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("to +15551230001 failed", "to ***0001 failed"),
        ("whatsapp:+15551230001", "whatsapp:***0001"),
        (f"{SID} is gone", f"{SID} is gone"),
        ("token 0123456789abcdef0123456789abcdef0123", "token ***"),
        ("postgresql://me:secret@host/db?password=x", "postgresql://***@host/db?***"),
        ("mail to ann.b@example.com now", "mail to ***@*** now"),
        ("first line\nbody of somebody", "first line"),
        ("status 503 after 12 tries", "status 503 after 12 tries"),
        ("127.0.0.1:8080 refused", "127.0.0.1:8080 refused"),
    ],
)
def test_what_must_not_be_seen_is_hidden(text: str, shown: str) -> None:
    assert hidden(text) == shown


async def test_lines_are_collected_and_written_soon() -> None:
    made, stream = log()
    for number in range(3):
        made.consume(Said("info", "serving", str(number)))
    assert stream.getvalue() == b""
    await asyncio.sleep(2 * HELD_S)
    assert len(lines(stream)) == 3


async def test_a_warning_is_written_at_once_with_what_came_before() -> None:
    made, stream = log()
    made.consume(Said("info", "one", ""))
    made.consume(Said("error", "two", ""))
    assert [line["event"] for line in lines(stream)] == ["one", "two"]


async def test_a_line_that_cannot_be_written_costs_no_other_one() -> None:
    made, stream = log()
    for name in ("one", "two\udcff", "three"):
        made.consume(InboundSeen(carrier=name, outcome="accepted", ack_s=0.1))
    made.sink.flush()
    first, second, third = lines(stream)
    assert (first["carrier"], third["carrier"]) == ("one", "three")
    assert (second["event"], second["unwritable"]) == ("inbound", "TypeError")


def test_a_terminal_gets_words() -> None:
    stream = io.BytesIO()
    made = logging.build(OpsSettings(), stream, terminal=True, clock=TurnedClock())
    made.consume(Said("info", "serving", "http://127.0.0.1:8080"))
    made.sink.flush()
    assert "serving" in stream.getvalue().decode()
    assert "2030-01-02T03:04:05.678Z" in stream.getvalue().decode()
    assert not stream.getvalue().startswith(b"{")


def test_a_whole_second_is_written_like_all_others() -> None:
    stream, clock = io.BytesIO(), TurnedClock()
    made = logging.build(OpsSettings(), stream, terminal=False, clock=clock)
    made.consume(Said("info", "serving", ""))
    clock.turn(0.321099)
    made.consume(Said("info", "serving", ""))
    made.sink.flush()
    times = [orjson.loads(line)["at"] for line in stream.getvalue().splitlines()]
    assert times == ["2030-01-02T03:04:05.678901Z", "2030-01-02T03:04:06.000001Z"]


def test_a_reader_that_went_away_does_no_harm() -> None:
    made, stream = log()
    stream.close()
    made.consume(Said("error", "nobody", "hears"))


@pytest.fixture
def process_log() -> Iterator[None]:
    """Leaves the root logger as it was."""
    root = stdlib.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.usefixtures("process_log")
def test_libraries_are_heard_in_our_form(capfdbinary: Any) -> None:
    logging.set_up(OpsSettings(log_format="json"))
    stdlib.getLogger("aiohttp.access").error("GET / 200")
    stdlib.getLogger("apscheduler.executors").warning("missed by 1 s")
    stdlib.getLogger("somebody.else").warning("call +15551230001")
    logging.consume(Said("info", "serving", "here"))
    written = [orjson.loads(line) for line in capfdbinary.readouterr().err.splitlines()]
    assert [(line["event"], line["detail"]) for line in written] == [
        ("library", "call ***0001"),
        ("serving", "here"),
    ]
