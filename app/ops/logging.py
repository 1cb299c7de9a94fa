"""Logs: one wide event per inbound, per delivery attempt and per webhook attempt.

JSON lines, or readable ones on a terminal. Lines are collected and written a few times a second;
warnings and errors at once. What is written holds SIDs, outcomes and durations, never a body, a
whole address or a secret; an error is written with its place, without the values in its message.
"""

from __future__ import annotations

import atexit
import logging
import sys
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, fields
from typing import Any, BinaryIO

import orjson
import structlog

from app.clock import Clock, iso_millis
from app.observe import (
    DeadLettered,
    DeliveryTried,
    Failed,
    HookTried,
    InboundDecided,
    InboundSeen,
    MediaFetched,
    MediaStored,
    Observation,
    Said,
    StreamLost,
    StreamTried,
    TargetPaused,
    TargetResumed,
    TimerFired,
)
from app.ops.hiding import hidden
from app.ops.mishaps import described
from app.ops.sink import Sink
from app.settings.models import OpsSettings

EVENTS: Mapping[type[Any], str] = {
    InboundSeen: "inbound",
    InboundDecided: "inbound decided",
    DeliveryTried: "delivery",
    HookTried: "hook",
    TargetPaused: "hook target paused",
    TargetResumed: "hook target resumed",
    StreamTried: "stream",
    StreamLost: "stream loss",
    MediaStored: "media stored",
    MediaFetched: "media fetch",
    DeadLettered: "dead letter",
    TimerFired: "timer",
}
FIELDS = {kind: tuple(field.name for field in fields(kind)) for kind in EVENTS}
LOUD = frozenset({"bad_signature", "throttled", "failed", "permanent"})
"""Outcomes that are written as warnings."""

ALARMS = (DeadLettered, StreamLost, TargetPaused)

LEVELS: Mapping[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
QUIET: Mapping[str, int] = {
    "aiohttp.access": logging.CRITICAL,
    "aiohttp.server": logging.ERROR,
    "apscheduler": logging.ERROR,
    "asyncio": logging.WARNING,
    "asyncpg": logging.ERROR,
    "sqlalchemy": logging.ERROR,
    "alembic": logging.WARNING,
}
"""From which level on libraries are heard: what they say below is said better by our events."""


@dataclass(frozen=True, slots=True)
class Log:
    """Where observations are written."""

    logger: Any
    sink: Sink

    def consume(self, observation: Observation) -> None:
        """Write one observation, if it is one for the log."""
        kind = type(observation)
        if kind in EVENTS:
            self._event(EVENTS[kind], observation)
        elif isinstance(observation, Said):
            level = LEVELS.get(observation.level, logging.INFO)
            self._write(level, observation.event, detail=observation.detail)
        elif isinstance(observation, Failed):
            self._write(
                logging.ERROR, "failed", where=observation.where, **described(observation.error)
            )

    def _event(self, name: str, observation: Any) -> None:
        values = {}
        for field in FIELDS[type(observation)]:
            value = getattr(observation, field)
            if value is not None:
                values[field] = round(value, 6) if isinstance(value, float) else value
        if "event" in values:  # a webhook's event; the key is taken by the line's own name
            values["told"] = values.pop("event")
        loud = values.get("outcome") in LOUD or isinstance(observation, ALARMS)
        self._write(logging.WARNING if loud else logging.INFO, name, **values)

    def _write(self, level: int, name: str, **values: Any) -> None:
        self.logger.log(level, name, **values)
        if level >= logging.WARNING:
            self.sink.flush()


def build(ops: OpsSettings, stream: BinaryIO, *, terminal: bool, clock: Clock | None = None) -> Log:
    """A log on this stream."""
    sink = Sink(stream, clock or Clock())
    if ops.log_format == "json" or (ops.log_format == "auto" and not terminal):
        render: Any = structlog.processors.JSONRenderer(serializer=_json)
    else:
        render = structlog.dev.ConsoleRenderer(colors=terminal, sort_keys=False)
    logger = structlog.wrap_logger(
        sink,
        processors=[structlog.processors.add_log_level, _Stamp(sink.clock), render],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[ops.log_level]),
    )
    return Log(logger.bind(), sink)


def set_up(ops: OpsSettings) -> Log:
    """Make the log of this process, on standard error; libraries are heard there too, quietly."""
    global _log
    _log = build(ops, sys.stderr.buffer, terminal=sys.stderr.isatty())
    root = logging.getLogger()
    root.handlers[:] = [_Overheard(_log)]
    root.setLevel(logging.WARNING)
    for name, level in QUIET.items():
        logging.getLogger(name).setLevel(level)
    atexit.register(_log.sink.flush)
    return _log


def consume(observation: Observation) -> None:
    """Write one observation to the log of this process; nothing before `set_up`."""
    if _log is not None:
        _log.consume(observation)


_log: Log | None = None


class _Overheard(logging.Handler):
    """What a library says, as a line of ours."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        values: dict[str, Any] = {"library": record.name, "detail": hidden(record.getMessage())}
        if record.exc_info and record.exc_info[1] is not None:
            values |= described(record.exc_info[1])
        self._log._write(record.levelno, "library", **values)


class _Stamp:
    """Puts the time first."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def __call__(
        self, logger: Any, method: str, event: MutableMapping[str, Any]
    ) -> Mapping[str, Any]:
        return {
            "at": iso_millis(self._clock.now()),
            "level": event.pop("level"),
            "event": event.pop("event"),
            **event,
        }


def _json(event: Any, **_: Any) -> str:
    return orjson.dumps(event, default=str).decode()
