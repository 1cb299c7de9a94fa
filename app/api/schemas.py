"""The kinds of value in answers, as schemas of OpenAPI 3.1 (JSON Schema 2020-12)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app import ids

Schema = Mapping[str, Any]

TEXT: Schema = {"type": "string"}


def sid(*prefixes: str) -> Schema:
    """A SID with one of these prefixes."""
    return {"type": "string", "pattern": f"^({'|'.join(prefixes)})[0-9a-fA-F]{{32}}$"}


def null(schema: Schema) -> Schema:
    """The same, or null."""
    return {"anyOf": [schema, {"type": "null"}]}


def words(*choices: str) -> Schema:
    """One of these words."""
    return {"type": "string", "enum": list(choices)}


def some(**keys: Schema) -> Schema:
    """An object with any of these keys, and no other."""
    return {"type": "object", "properties": keys, "additionalProperties": False}


def whole(**keys: Schema) -> Schema:
    """An object with all of these keys, and no other."""
    return {**some(**keys), "required": list(keys)}


def many(item: Schema) -> Schema:
    """A list."""
    return {"type": "array", "items": item}


NUMBER: Schema = {"type": "integer", "minimum": 0}
FLAG: Schema = {"type": "boolean"}
OBJECT: Schema = {"type": "object"}
URL: Schema = {"type": "string", "format": "uri"}
DATE: Schema = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$",
}


def links(*names: str) -> Schema:
    """The URLs of what hangs on a resource."""
    return whole(**dict.fromkeys(names, URL))


DATES: Mapping[str, Schema] = {"date_created": DATE, "date_updated": DATE}
ACCOUNT, SERVICE = sid(ids.ACCOUNT), sid(ids.SERVICE)
OWNED: Mapping[str, Schema] = {"account_sid": ACCOUNT, "chat_service_sid": SERVICE}
PUSH = ("apn", "gcm", "fcm")
