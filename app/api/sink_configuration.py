"""What each type of sink must be told, how it is kept, and how it is shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson

from app.api.addresses import URL_CHARS_MAX
from app.api.streaming import BAD_REQUEST, SINK_NOT_MADE
from app.errors import Invalid
from app.model.streams import KINESIS, PULL, WEBHOOK
from app.settings.types import web_url
from app.streams import kinesis

METHODS = ("POST", "GET")
FLAGS: Mapping[Any, bool] = {True: True, False: False, "true": True, "false": False}
HIDDEN = "***"


def parsed(text: str) -> dict[str, Any]:
    """The JSON object that SinkConfiguration is. Raises Invalid 91201."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        value = None
    if not isinstance(value, dict):
        raise Invalid(BAD_REQUEST, "SinkConfiguration is not a JSON object")
    return value


def configured(sink_type: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of it for this type of sink. Raises Invalid 91000."""
    return READ[sink_type](given)


def shown(sink_type: str, kept: Mapping[str, Any]) -> dict[str, Any]:
    """What is shown of it: all but a password in a URL."""
    if sink_type != WEBHOOK:
        return dict(kept)
    return {**kept, "destination": _without_password(kept["destination"])}


def _webhook(given: Mapping[str, Any]) -> dict[str, Any]:
    destination, method = given.get("destination"), given.get("method", "POST")
    batched = given.get("batch_events", True)
    if not isinstance(destination, str) or len(destination) > URL_CHARS_MAX:
        raise _wrong("destination", "must be a URL")
    try:
        web_url(destination)
    except ValueError as error:
        raise _wrong("destination", str(error)) from None
    if not isinstance(method, str) or method.upper() not in METHODS:
        raise _wrong("method", "must be POST or GET")
    if not isinstance(batched, bool | str) or batched not in FLAGS:
        raise _wrong("batch_events", "must be true or false")
    if method.upper() == "GET" and "batch_events" not in given:
        batched = False
    if method.upper() == "GET" and FLAGS[batched]:
        raise _wrong("batch_events", "cannot be true when the method is GET")
    return {
        "destination": destination,
        "method": method.upper(),
        "batch_events": FLAGS[batched],
    }


def _kinesis(given: Mapping[str, Any]) -> dict[str, Any]:
    if not kinesis.installed():
        said = "SinkType kinesis needs an extra that is not installed: kinesis"
        raise Invalid(SINK_NOT_MADE, said)
    kept: dict[str, Any] = {}
    for name, pattern, needed in (
        ("arn", kinesis.ARN, True),
        ("role_arn", kinesis.ROLE_ARN, False),
        ("external_id", kinesis.EXTERNAL_ID, False),
    ):
        value = given.get(name)
        if value is None and not needed:
            continue
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise _wrong(name, "has not the form that AWS gives it")
        kept[name] = value
    return kept


def _pull(given: Mapping[str, Any]) -> dict[str, Any]:
    """Nothing: who knows the account's credentials reads."""
    return {}


READ: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    WEBHOOK: _webhook,
    KINESIS: _kinesis,
    PULL: _pull,
}


def _wrong(name: str, said: str) -> Invalid:
    return Invalid(SINK_NOT_MADE, f"Invalid SinkConfiguration: {name} {said}")


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if parts.password is None:
        return url
    user, at, host = parts.netloc.rpartition("@")
    return parts._replace(netloc=f"{user.partition(':')[0]}:{HIDDEN}{at}{host}").geturl()
