"""Reading Meta's webhooks: one JSON document that tells of many things at once.

Where the document is not what Meta sends, reading it raises Junk; what is missing in one message or
status is the matter of who reads that. The text names the field and never repeats what was in it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from app.carriers import storable
from app.carriers.contract import Junk

Section = Mapping[str, Any]

URL_LENGTH_MAX = 4096
UNKNOWN_TYPE = "application/octet-stream"
# Timestamps from here on are milliseconds: as seconds they would be in the year 5138.
MILLISECONDS_FROM = 100_000_000_000

_ID = re.compile(r"[!-~]{1,256}")
_URL = re.compile(r"https?://[!-~]+")
_TYPE = re.compile(r"[\w.+-]+/[\w.+-]+(?:\s*;[ -~]*)?", re.ASCII)
_TIME = re.compile(r"[0-9]{1,16}")


def read(body: bytes) -> Section:
    """The document, as a database can hold it; raises Junk."""
    try:
        found = storable.document(orjson.loads(body))
    except ValueError:
        raise Junk("the body is not JSON, or nested too deep") from None
    if not isinstance(found, dict):
        raise Junk("the body is not a JSON object")
    return found


def rows(holder: Section, name: str) -> Sequence[Section]:
    """The objects in this list; none when it is missing. Raises Junk for what is no such list."""
    given = holder.get(name)
    if given is None:
        return ()
    if not isinstance(given, list) or not all(isinstance(one, dict) for one in given):
        raise Junk(f"{name} is not a list of objects")
    return given


def section(holder: Section, name: str) -> Section:
    """The object under this name; an empty one when there is none."""
    given = holder.get(name)
    return given if isinstance(given, dict) else {}


def text(holder: Section, name: str) -> str:
    """The text (or number) under this name; empty when there is none."""
    given = holder.get(name)
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        return ""
    return str(given)


def identifier(holder: Section, name: str) -> str:
    """What Meta calls a thing; raises Junk."""
    given = text(holder, name)
    if not given:
        raise Junk(f"{name} is missing")
    if not _ID.fullmatch(given):
        raise Junk(f"{name} is not an id")
    return given


def web_url(holder: Section, name: str) -> str:
    """The http or https URL under this name; empty when there is none."""
    given = text(holder, name)
    return given if len(given) <= URL_LENGTH_MAX and _URL.fullmatch(given) else ""


def content_type(holder: Section, name: str) -> str:
    """The content type under this name, or that of just any file."""
    given = text(holder, name)
    return given if _TYPE.fullmatch(given) else UNKNOWN_TYPE


def moment(holder: Section, name: str) -> datetime | None:
    """The time under this name: Unix seconds or milliseconds, as a number or text."""
    given = text(holder, name)
    if not _TIME.fullmatch(given):
        return None
    number = int(given)
    try:
        return datetime.fromtimestamp(number / (1000 if number >= MILLISECONDS_FROM else 1), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def filled(**given: str) -> dict[str, str]:
    """Those that say something."""
    return {name: value for name, value in given.items() if value}
