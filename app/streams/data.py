"""From what a webhook says of an event to what the stream says: the same facts in other words.

Attributes are a document and not a text, numbers are numbers, bindings are nested, a medium has a
`MediaSid`. What nobody said is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from app.streams.types import BY_EVENT, Field, Fields


def data(event: str, params: Mapping[str, str]) -> str:
    """The data of a webhook event that streams know, as JSON."""
    return orjson.dumps(_read(BY_EVENT[event].fields, params)).decode()


def _read(fields: Fields, params: Mapping[str, str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, field in fields.items():
        if not isinstance(field, Field):
            if nested := _read(field, params):
                found[name] = nested
        elif (text := params.get(field.of or name)) is not None:
            found[name] = _value(field, text)
    return found


def _value(field: Field, text: str) -> Any:
    match field.kind:
        case "json":
            return orjson.Fragment(text)  # not read: no digit of it may get lost
        case "integer":
            return int(text)
        case "word":
            return text.upper()
        case "media":
            return [_medium(one) for one in orjson.loads(text)]
        case _:
            return text


def _medium(said: Mapping[str, Any]) -> dict[str, Any]:
    names = (("Sid", "MediaSid"), ("Filename",) * 2, ("ContentType",) * 2, ("Size",) * 2)
    return {new: said[old] for old, new in names if said.get(old) is not None}
