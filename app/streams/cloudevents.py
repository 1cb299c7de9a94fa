"""The envelope: CloudEvents 1.0 in JSON (cloudevents.io), as the original's sinks get them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import orjson

from app.clock import iso_millis
from app.store.stream_log import Logged
from app.streams import schemas
from app.streams.types import TEST, TEST_SCHEMA, TYPES

JSON = "application/json"


def envelope(event: Logged, version: int) -> bytes:
    """The event in this version of its schema, the same bytes whenever it is asked for.

    The documentation's samples have a date in `datacontenttype` and no `time`: here both are what
    the standard says. `source` is the conversation or user: events of one source are in order.
    """
    schema = TEST_SCHEMA if event.type == TEST else TYPES[event.type].schema
    return orjson.dumps(
        {
            "specversion": "1.0",
            "type": event.type,
            "source": event.about,
            "id": event.id,
            "dataschema": schemas.name(schema, version),
            "datacontenttype": JSON,
            "time": iso_millis(event.happened_at),
            "data": orjson.Fragment(event.data or "{}"),
        }
    )


def batch(events: Sequence[bytes]) -> bytes:
    """Several events as one JSON array."""
    return b"[" + b",".join(events) + b"]"


def test_event(test_id: str, event_id: str, sink_sid: str, now: datetime) -> Logged:
    """The event that a sink is tried with; who reads its `test_id` can read the others too."""
    return Logged(0, event_id, TEST, sink_sid, now, orjson.dumps({"test_id": test_id}).decode())
