"""Logs: one wide event per inbound, per delivery attempt and per webhook attempt.

JSON lines, or readable ones on a terminal. Lines are collected and written a few times a second;
warnings and errors at once. What is written holds SIDs, outcomes and durations, never a body, a
whole address or a secret; an error is written with its place, without the values in its message.
"""

from __future__ import annotations

import atexit
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from operator import attrgetter
from typing import Any, BinaryIO

import orjson
import structlog

from app.clock import Clock, iso_millis
from app.observe import (
    CarrierPaused,
    CarrierResumed,
    DeadLettered,
    DeliveryTried,
    Failed,
    FlowWalked,
    GapsSought,
    HookTried,
    InboundDecided,
    InboundSeen,
    MediaFetched,
    MediaStored,
    Observation,
    Recovered,
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
    Recovered: "inbound recovered",
    GapsSought: "gaps",
    DeliveryTried: "delivery",
    HookTried: "hook",
    FlowWalked: "flow",
    TargetPaused: "hook target paused",
    TargetResumed: "hook target resumed",
    CarrierPaused: "carrier paused",
    CarrierResumed: "carrier resumed",
    StreamTried: "stream",
    StreamLost: "stream loss",
    MediaStored: "media stored",
    MediaFetched: "media fetch",
    DeadLettered: "dead letter",
    TimerFired: "timer",
}
RENAMED = {"event": "told"}
"""A webhook's event; the key is taken by the line's own name."""


def _fields(kind: type[Any]) -> tuple[Sequence[str], Callable[[Any], Sequence[Any]]]:
    """Their names in a line, and what gives their values."""
    names = [field.name for field in fields(kind)]
    return [RENAMED.get(name, name) for name in names], attrgetter(*names)


FIELDS = {kind: _fields(kind) for kind in EVENTS}
LOUD = frozenset(
    {
        *("bad_signature", "throttled", "late", "failed", "permanent"),
        *("garbage", "expired"),
    }
)
"""Outcomes that are written as warnings."""

ALARMS = (DeadLettered, StreamLost, TargetPaused, CarrierPaused)

LEVELS: Mapping[str, int] = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
NAMES: Mapping[int, str] = {level: name for name, level in LEVELS.items()}
QUIET: Mapping[str, int] = {
    "aiohttp.access": logging.CRITICAL,
    "aiohttp.server": logging.ERROR,
    "apscheduler": logging.ERROR,
    "asyncio": logging.WARNING,
    "asyncpg": logging.ERROR,
    "mail.log": logging.CRITICAL,  # aiosmtpd writes whole commands, with their addresses
    "sqlalchemy": logging.ERROR,
    "alembic": logging.WARNING,
}
"""From which level on libraries are heard: what they say below is said better by our events."""


Render = Callable[[dict[str, Any]], bytes]
Line = tuple[datetime, int, str, Any]
"""When something was said, how loud, the event's name, and an observation or what to say of it."""


@dataclass(frozen=True, slots=True)
class Log:
    """Where observations are written; what is below `level` is not."""

    sink: Sink[Line]
    level: int

    def consume(self, observation: Observation) -> None:
        """Write one observation, if it is one for the log."""
        name = EVENTS.get(type(observation))
        if name is not None:
            self.write(_loudness(observation), name, observation)
        elif isinstance(observation, Said):
            level = LEVELS.get(observation.level, logging.INFO)
            self.write(level, observation.event, {"detail": observation.detail})
        elif isinstance(observation, Failed):
            broken = {"where": observation.where, **described(observation.error)}
            self.write(logging.ERROR, "failed", broken)

    def write(self, level: int, name: str, said: Observation | dict[str, Any]) -> None:
        """Write a line; one that somebody should read at once is not held back."""
        if level < self.level:
            return
        self.sink.take((self.sink.clock.now(), level, name, said))
        if level >= logging.WARNING:
            self.sink.flush()


def _loudness(observation: Any) -> int:
    loud = isinstance(observation, ALARMS) or getattr(observation, "outcome", None) in LOUD
    return logging.WARNING if loud else logging.INFO


def _rendered(render: Render) -> Callable[[Line], bytes]:
    """A line of which something cannot be written says that, and costs the others nothing."""

    def rendered(line: Line) -> bytes:
        try:
            return render(_line(line))
        except Exception as error:
            at, level, name, _ = line
            return render(_line((at, level, name, {"unwritable": type(error).__name__})))

    return rendered


def _line(line: Line) -> dict[str, Any]:
    """The line as it is rendered."""
    at, level, name, said = line
    written = NAMES.get(level) or logging.getLevelName(level).lower()
    values = said if isinstance(said, dict) else _values(said)
    if not at.microsecond:  # all times have one form
        at = at.replace(microsecond=1)
    return {"at": at, "level": written, "event": name, **values}


def _values(observation: Any) -> dict[str, Any]:
    names, values_of = FIELDS[type(observation)]
    values = {
        name: round(value, 6) if type(value) is float else value
        for name, value in zip(names, values_of(observation), strict=True)
        if value is not None
    }
    if isinstance(observation, DeadLettered) and observation.detail is not None:
        values["detail"] = hidden(observation.detail)  # a stranger's server may have said it
    return values


def build(ops: OpsSettings, stream: BinaryIO, *, terminal: bool, clock: Clock | None = None) -> Log:
    """A log on this stream."""
    plain = ops.log_format == "json" or (ops.log_format == "auto" and not terminal)
    render = _json if plain else _readable(structlog.dev.ConsoleRenderer(colors=terminal))
    return Log(Sink[Line](stream, clock or Clock(), _rendered(render)), LEVELS[ops.log_level])


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
        self._log.write(record.levelno, "library", values)


def _json(line: dict[str, Any]) -> bytes:
    return orjson.dumps(line, default=str, option=orjson.OPT_UTC_Z)


def _readable(renderer: structlog.dev.ConsoleRenderer) -> Render:
    def render(line: dict[str, Any]) -> bytes:
        said = line | {"at": iso_millis(line["at"])}
        return renderer(None, line["level"], said).encode(errors="backslashreplace")

    return render
