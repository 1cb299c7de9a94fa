"""The types of a content template: which fields each has, and how long and how many.

The seven that Conversations takes are checked field by field ("Send Rich Content Messages with
Conversations", https://www.twilio.com/docs/content/content-types-overview). The others are known by
name and kept as they come: they can be made, fetched and approved, and no message can be made of
them. Errors have the numbers of the original's Content API.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

NO_TYPES, VARIABLES_FULL, NO_LANGUAGE, BAD_LANGUAGE = 92001, 92002, 92003, 92004
BAD_VARIABLES, UNSUPPORTED_TYPE = 92007, 92008
BAD_FIELD = 20001

VARIABLES_MAX, SAMPLE_CHARS_MAX = 100, 1600
URL_CHARS_MAX, ID_CHARS_MAX, LABEL_CHARS_MAX = 2000, 200, 1000
DEPTH_MAX = 12  # of a type that is kept as it comes

PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z0-9_]{1,16})\s*\}\}")
_NAME = re.compile(r"[A-Za-z0-9_]{1,16}")
_LANGUAGE = re.compile(r"[a-z]{2,3}([_-][A-Za-z]{2,4}){0,2}")
_URL = re.compile(r"(https?://[!-~]|\{\{)[^\s]*(\s*[A-Za-z0-9_]+\s*\}\}[^\s]*)*")


class BadContent(ValueError):
    """What is wrong with a template: the original's error number, and which field."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


Read = Callable[[str, Any], Any]
"""Gives the value to keep, from its place (for the message) and what was given."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a type."""

    read: Read
    needed: bool = False


def check_types(given: Any) -> dict[str, dict[str, Any]]:
    """The types of a template as they are kept: without what is null. Raises BadContent."""
    types = _object("types", given)
    if not types:
        raise BadContent(NO_TYPES, "types names no content type")
    for name in types:
        if name not in TYPES and name not in KEPT_ONLY:
            raise BadContent(UNSUPPORTED_TYPE, f"types: {_shown(name)} is not a content type")
    kept = {name: _type(name, fields) for name, fields in types.items()}
    if len(set(placeholders(kept))) > VARIABLES_MAX:
        raise BadContent(VARIABLES_FULL, f"types use more than {VARIABLES_MAX} variables")
    return kept


def check_samples(given: Any) -> dict[str, str]:
    """The variables of a template with their samples. Raises BadContent."""
    try:
        samples = _object("variables", given)
    except BadContent as error:
        raise BadContent(BAD_VARIABLES, error.message) from None
    if len(samples) > VARIABLES_MAX:
        raise BadContent(VARIABLES_FULL, f"there are more than {VARIABLES_MAX} variables")
    for name, sample in samples.items():
        if not _NAME.fullmatch(name):
            raise BadContent(
                BAD_VARIABLES, "variables: a name has 1 to 16 letters, digits and underscores"
            )
        if not isinstance(sample, str) or "\x00" in sample or len(sample) > SAMPLE_CHARS_MAX:
            raise BadContent(
                BAD_VARIABLES,
                f"variables.{name} should be a text of at most {SAMPLE_CHARS_MAX} characters",
            )
    return samples


def check_language(given: Any) -> str:
    """A language code, such as en or pt_BR. Raises BadContent."""
    if given is None or given == "":
        raise BadContent(NO_LANGUAGE, "language is missing")
    if not isinstance(given, str) or not _LANGUAGE.fullmatch(given):
        raise BadContent(BAD_LANGUAGE, "language is not a language code")
    return given


def placeholders(value: Any) -> Iterator[str]:
    """The names of the variables in a text, or in all texts of a value, as they come."""
    if isinstance(value, str):
        yield from PLACEHOLDER.findall(value)
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from placeholders(one)
    elif isinstance(value, list):
        for one in value:
            yield from placeholders(one)


def _type(name: str, given: Any) -> dict[str, Any]:
    place = f"types.{name}"
    if name in KEPT_ONLY:
        kept: dict[str, Any] = _plain(place, _object(place, given), 0)
        return kept
    fields = _fields(place, TYPES[name], given)
    more = MORE.get(name)
    if more is not None:
        more(place, fields)
    return fields


def _fields(place: str, known: Mapping[str, Field], given: Any) -> dict[str, Any]:
    values = _object(place, given)
    for name in values:
        if name not in known:
            raise BadContent(BAD_FIELD, f"{place} has no field {_shown(name)}")
    kept: dict[str, Any] = {}
    for name, field in known.items():
        if name in values:
            kept[name] = field.read(f"{place}.{name}", values[name])
        elif field.needed:
            raise BadContent(BAD_FIELD, f"{place}.{name} is missing")
    return kept


def _object(place: str, given: Any) -> dict[str, Any]:
    """A JSON object without what is null in it."""
    if not isinstance(given, Mapping):
        raise BadContent(BAD_FIELD, f"{place} should be an object")
    return {name: value for name, value in given.items() if value is not None}


def _plain(place: str, value: Any, depth: int) -> Any:
    """What the database can hold, without what is null."""
    if depth > DEPTH_MAX:
        raise BadContent(BAD_FIELD, f"{place} is nested too deeply")
    if isinstance(value, str) and "\x00" in value:
        raise BadContent(BAD_FIELD, f"{place} holds a character that is not text")
    if isinstance(value, list):
        return [_plain(place, one, depth + 1) for one in value if one is not None]
    if isinstance(value, dict):
        if any("\x00" in name for name in value):
            raise BadContent(BAD_FIELD, f"{place} holds a character that is not text")
        return {
            name: _plain(place, one, depth + 1) for name, one in value.items() if one is not None
        }
    return value


def _text(chars_max: int, *words: str) -> Read:
    """A text that is not empty; one of these words, where there are any."""

    def read(place: str, value: Any) -> str:
        if not isinstance(value, str) or not value or "\x00" in value or len(value) > chars_max:
            said = f"{place} should be a text of 1 to {chars_max} characters"
            raise BadContent(BAD_FIELD, said)
        if words and value not in words:
            raise BadContent(BAD_FIELD, f"{place} should be one of {', '.join(words)}")
        return value

    return read


def _loose(chars_max: int) -> Read:
    """A text that may be empty."""
    strictly = _text(chars_max)
    return lambda place, value: "" if value == "" else strictly(place, value)


def _url(place: str, value: Any) -> str:
    """An http or https URL; variables may be in it."""
    text: str = _text(URL_CHARS_MAX)(place, value)
    if not _URL.fullmatch(text):
        raise BadContent(BAD_FIELD, f"{place} should be a URL that starts with https:// or http://")
    return text


def _number(most: float) -> Read:
    def read(place: str, value: Any) -> float:
        good = isinstance(value, int | float) and not isinstance(value, bool)
        if not good or not -most <= value <= most:
            raise BadContent(BAD_FIELD, f"{place} should be a number from -{most:g} to {most:g}")
        number: float = value
        return number

    return read


def _many(read: Read, most: int) -> Read:
    """A list of at least one."""

    def every(place: str, value: Any) -> list[Any]:
        if not isinstance(value, list) or not 1 <= len(value) <= most:
            raise BadContent(BAD_FIELD, f"{place} should be a list of 1 to {most}")
        return [read(f"{place}[{at}]", one) for at, one in enumerate(value)]

    return every


def _rows(known: Mapping[str, Field], most: int) -> Read:
    return _many(lambda place, value: _fields(place, known, value), most)


def _buttons(place: str, fields: Mapping[str, Any]) -> None:
    """Each button has what its type needs, and there are not too many of a type."""
    actions = fields.get("actions", [])
    for at, action in enumerate(actions):
        needed = BUTTON_NEEDS.get(action["type"])
        if needed and not action.get(needed):
            raise BadContent(BAD_FIELD, f"{place}.actions[{at}].{needed} is missing")
    for kind, most in BUTTONS_MAX.items():
        if sum(action["type"] == kind for action in actions) > most:
            raise BadContent(BAD_FIELD, f"{place}.actions has more than {most} of type {kind}")


def _card(place: str, fields: Mapping[str, Any]) -> None:
    """A card has a title or a body, and something besides."""
    if not {"title", "body"} & set(fields) or len(fields) < 2:
        raise BadContent(BAD_FIELD, f"{place} needs a title or body, and one more field")
    _buttons(place, fields)


def _shown(name: str) -> str:
    return repr(name[:40])


BUTTON_NEEDS: Mapping[str, str] = {"URL": "url", "PHONE_NUMBER": "phone", "COPY_CODE": "code"}
BUTTONS_MAX: Mapping[str, int] = {"URL": 2, "PHONE_NUMBER": 1, "COPY_CODE": 1}

_TITLE, _ID = Field(_text(25), True), Field(_loose(ID_CHARS_MAX))
_LEADS = {"url": Field(_url), "phone": Field(_text(20)), "code": Field(_text(15)), "id": _ID}
_QUICK = {
    "type": Field(_text(20, "QUICK_REPLY")),
    "title": Field(_text(20), True),
    "id": _ID,
}
_CALL = {
    "type": Field(
        _text(20, "URL", "PHONE_NUMBER", "COPY_CODE", "VOICE_CALL", "VOICE_CALL_REQUEST"), True
    ),
    "title": _TITLE,
    **_LEADS,
}
_ON_CARD = {
    "type": Field(_text(20, "URL", "PHONE_NUMBER", "QUICK_REPLY", "COPY_CODE", "VOICE_CALL"), True),
    "title": _TITLE,
    **_LEADS,
    "webview_size": Field(_text(20, "TALL", "FULL", "HALF", "NONE")),
}
_ITEM = {
    "id": Field(_text(ID_CHARS_MAX), True),
    "item": Field(_text(24), True),
    "description": Field(_loose(72)),
}

TYPES: Mapping[str, Mapping[str, Field]] = {
    "twilio/text": {"body": Field(_text(1600), True)},
    "twilio/media": {"body": Field(_loose(1600)), "media": Field(_many(_url, 10), True)},
    "twilio/location": {
        "latitude": Field(_number(90), True),
        "longitude": Field(_number(180), True),
        "label": Field(_loose(LABEL_CHARS_MAX)),
        "id": Field(_loose(ID_CHARS_MAX)),
        "address": Field(_loose(LABEL_CHARS_MAX)),
    },
    "twilio/quick-reply": {
        "body": Field(_text(1024), True),
        "actions": Field(_rows(_QUICK, 10), True),
    },
    "twilio/call-to-action": {
        "body": Field(_text(640), True),
        "actions": Field(_rows(_CALL, 10), True),
    },
    "twilio/list-picker": {
        "body": Field(_text(1024), True),
        "button": Field(_text(20), True),
        "items": Field(_rows(_ITEM, 10), True),
    },
    "twilio/card": {
        "title": Field(_text(1024)),
        "body": Field(_text(1600)),
        "subtitle": Field(_text(60)),
        "media": Field(_many(_url, 10)),
        "actions": Field(_rows(_ON_CARD, 10)),
    },
}
MORE: Mapping[str, Callable[[str, Mapping[str, Any]], None]] = {
    "twilio/call-to-action": _buttons,
    "twilio/card": _card,
}
KEPT_ONLY = frozenset(
    {
        *("twilio/carousel", "twilio/catalog", "twilio/pay", "twilio/flows", "twilio/schedule"),
        *("whatsapp/card", "whatsapp/flows", "whatsapp/authentication"),
    }
)
"""No message of a conversation can be made of these."""
