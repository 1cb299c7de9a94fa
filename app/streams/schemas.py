"""The JSON Schema of each type's data, from the fields that it is made of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.streams.types import BY_SCHEMA, TEST_SCHEMA, EventType, Field, Fields, Kind

DIALECT = "http://json-schema.org/draft-07/schema#"
HOME = "https://events-schemas.twilio.com/"
"""Where the original's schemas live. The name of a schema is a name and nothing else: consumers
compare it, and ours are the original's. The documents themselves are served here."""

MEDIUM: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "MediaSid": {"type": "string"},
        "Filename": {"type": ["string", "null"]},
        "ContentType": {"type": "string"},
        "Size": {"type": ["integer", "null"]},
    },
    "required": ["MediaSid", "ContentType"],
    "additionalProperties": False,
}
KINDS: Mapping[Kind, Mapping[str, Any]] = {
    "text": {"type": "string"},
    "word": {"type": "string"},
    "json": {},  # an object, as a rule; but the API takes any JSON, and it is not ours to change
    "integer": {"type": "integer", "minimum": 0},
    "moment": {"type": "string", "format": "date-time"},
    "media": {"type": "array", "items": MEDIUM},
}


def name(schema: str, version: int) -> str:
    """What events call a version of a schema: their `dataschema`."""
    return f"{HOME}{schema}/{version}"


def document(schema: str, version: int) -> dict[str, Any]:
    """The JSON Schema. Versions 1 and 2 ask for the same."""
    head = {"$schema": DIALECT, "$id": name(schema, version)}
    if schema == TEST_SCHEMA:
        test_id = {"type": "string", "description": "What Validate wants to be told."}
        return {**head, **_object({"test_id": test_id}), "required": ["test_id"]}
    kind: EventType = BY_SCHEMA[schema]
    about = {"title": kind.type, "description": kind.said}
    return {**head, **about, **_of(kind.fields), "required": list(kind.always)}


def _of(fields: Fields) -> dict[str, Any]:
    return _object({name: _one(field) for name, field in fields.items()})


def _one(field: Field | Fields) -> dict[str, Any]:
    if isinstance(field, Field):
        return {**KINDS[field.kind], "description": field.said}
    return _of(field)


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "additionalProperties": False}
