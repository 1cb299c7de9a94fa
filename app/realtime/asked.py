"""A request in the tunnel, and its answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import unquote, unquote_plus

import orjson

from app.errors import Invalid
from app.realtime.frames import Frame

BAD_REQUEST = 20001
OK = "OK"


class Answer(NamedTuple):
    """What a request in the tunnel is answered: status, JSON, and the word that goes with the
    status, which is the message that the app sees when it failed."""

    status: int
    body: Any = None
    said: str = OK


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: host and path as the client wrote them, parameters not decoded yet."""

    method: str
    host: str
    path: str
    params: Mapping[str, str | list[str]]
    headers: Mapping[str, str]
    payload: bytes
    payload_type: str

    @classmethod
    def of(cls, frame: Frame) -> Asked:
        """The request in a frame. Raises Invalid."""
        said = frame.header.get("http_request")
        if not isinstance(said, dict) or not isinstance(said.get("path"), str):
            raise Invalid(BAD_REQUEST, "Invalid request: it has no path")
        headers, params = said.get("headers"), said.get("params")
        named = headers.items() if isinstance(headers, dict) else ()
        return cls(
            method=str(said.get("method", "GET")).upper(),
            host=str(said.get("host", "")),
            path=said["path"],
            params=params if isinstance(params, dict) else {},
            headers={str(name).lower(): str(value) for name, value in named},
            payload=frame.payload,
            payload_type=str(frame.header.get("payload_type", "")),
        )

    def param(self, name: str) -> str | None:
        """The last value of a parameter."""
        value = self.params.get(name)
        if isinstance(value, list):
            value = value[-1] if value else None
        return None if value is None else unquote_plus(str(value))

    def number(self, name: str, otherwise: int, most: int) -> int:
        """A parameter that is a number, at least 1 and at most this. Raises Invalid."""
        text = self.param(name)
        if text is None:
            return otherwise
        if not text.isascii() or not text.isdigit():
            raise Invalid(BAD_REQUEST, f"Invalid {name}")
        return max(1, min(int(text), most))

    @property
    def json(self) -> dict[str, Any]:
        """The members of the JSON object in its body. Raises Invalid."""
        try:
            found = orjson.loads(self.payload or b"{}")
        except orjson.JSONDecodeError:
            found = None
        if not isinstance(found, dict):
            raise Invalid(BAD_REQUEST, "Invalid body: it is not a JSON object")
        return found


def segment(raw: str) -> str:
    """A segment of a path, decoded."""
    return unquote(raw)


def failed(status: int, code: int, message: str) -> Answer:
    """The answer to a request that went wrong: the app sees the message."""
    return Answer(status, {"status": status, "code": code, "message": message}, message)
