"""What answers look like: the keys of event streams."""

from __future__ import annotations

from collections.abc import Mapping

from app import ids
from app.api.schemas import (
    ACCOUNT,
    DATES,
    FLAG,
    OBJECT,
    TEXT,
    URL,
    Schema,
    links,
    many,
    null,
    sid,
    words,
)
from app.model.streams import SINK_STATUSES, SINK_TYPES
from app.streams.types import LATEST, VERSIONS

SINK, SUBSCRIPTION = sid(ids.SINK), sid(ids.SUBSCRIPTION)
VERSION: Schema = {"type": "integer", "enum": list(VERSIONS)}
EVENT = {
    "type": "object",
    "properties": {
        "specversion": {"const": "1.0"},
        "type": TEXT,
        "source": TEXT,
        "id": sid(ids.STREAM_EVENT),
        "dataschema": URL,
        "datacontenttype": {"const": "application/json"},
        "time": {"type": "string", "format": "date-time"},
        "data": OBJECT,
    },
    "required": [
        *("specversion", "type", "source", "id"),
        *("dataschema", "datacontenttype", "time", "data"),
    ],
    "additionalProperties": False,
}

STREAMS: Mapping[str, Mapping[str, Schema]] = {
    "Sink": {
        "sid": SINK,
        "description": TEXT,
        "sink_configuration": OBJECT,
        "sink_type": words(*SINK_TYPES),
        "status": words(*SINK_STATUSES),
        **DATES,
        "url": URL,
        "links": links("sink_test", "sink_validate"),
    },
    "SinkTest": {"result": {"const": "submitted"}},
    "SinkValidate": {"result": {"const": "valid"}},
    "Subscription": {
        "account_sid": ACCOUNT,
        "sid": SUBSCRIPTION,
        "sink_sid": SINK,
        "description": TEXT,
        **DATES,
        "url": URL,
        "links": links("subscribed_events"),
    },
    "SubscribedEvent": {
        "account_sid": ACCOUNT,
        "subscription_sid": SUBSCRIPTION,
        "type": TEXT,
        "schema_version": VERSION,
        "url": URL,
    },
    "EventType": {
        "type": TEXT,
        "schema_id": TEXT,
        "date_created": null(TEXT),
        "date_updated": null(TEXT),
        "description": TEXT,
        "status": TEXT,
        "documentation_url": URL,
        "url": URL,
        "links": links("schema"),
    },
    "EventSchema": {
        "id": TEXT,
        "latest_version": {"type": "integer", "minimum": 1, "maximum": LATEST},
        "latest_version_date_created": null(TEXT),
        "url": URL,
        "links": links("versions"),
    },
    "EventSchemaVersion": {
        "id": TEXT,
        "schema_version": VERSION,
        "date_created": null(TEXT),
        "url": URL,
        "raw": URL,
    },
    "Events": {"events": many(EVENT), "cursor": {**TEXT, "pattern": "^[0-9]+$"}, "more": FLAG},
}
