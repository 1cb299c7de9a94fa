"""The frames of the socket: one binary WebSocket message each.

    TWILSOCK V3.0 <H>\\r\\n<header: H bytes of JSON>\\r\\n<payload: payload_size bytes>

Both lengths count bytes. A client drops what is not exactly so without a word.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import orjson

MAGIC = b"TWILSOCK V3.0 "
BREAK = b"\r\n"
HEADER_DIGITS_MAX = 7
JSON = "application/json"

BINARY, SHORT, LONG = 0x82, 126, 127
SHORT_MAX, LONG_MIN = 125, 65_536


class Malformed(Exception):
    """Bytes that are no frame."""


class Frame(NamedTuple):
    """A frame that came: what its header says, and the bytes behind it."""

    header: Mapping[str, Any]
    payload: bytes

    @property
    def method(self) -> str:
        """What the frame is."""
        return str(self.header.get("method"))

    @property
    def id(self) -> str:
        """What its answer is called by."""
        return str(self.header.get("id"))


def unpack(data: bytes) -> Frame:
    """The frame in one message. Raises Malformed."""
    if not data.startswith(MAGIC):
        raise Malformed("it does not begin like a frame")
    length, found, rest = data[len(MAGIC) :].partition(BREAK)
    if not found or not length.isdigit() or len(length) > HEADER_DIGITS_MAX:
        raise Malformed("it has no length of a header")
    head, end = int(length), int(length) + len(BREAK)
    if rest[head:end] != BREAK:
        raise Malformed("its header is not as long as it says")
    try:
        header = orjson.loads(rest[:head])
    except orjson.JSONDecodeError:
        raise Malformed("its header is not JSON") from None
    if not isinstance(header, dict):
        raise Malformed("its header is not an object")
    payload = rest[end:]
    if header.get("payload_size", 0) != len(payload):
        raise Malformed("its payload is not as long as it says")
    return Frame(header, payload)


def pack(header: Mapping[str, Any], payload: bytes = b"") -> bytes:
    """A frame with this header and (JSON) payload."""
    sized: dict[str, Any] = dict(header)
    if payload:
        sized["payload_type"] = JSON
    sized["payload_size"] = len(payload)
    head = orjson.dumps(sized)
    return b"%b%d\r\n%b\r\n%b" % (MAGIC, len(head), head, payload)


def message(data: bytes) -> bytes:
    """One unmasked binary WebSocket message with these bytes (RFC 6455 5.2): what goes to many
    sockets is put into words once."""
    size = len(data)
    if size <= SHORT_MAX:
        return bytes((BINARY, size)) + data
    if size < LONG_MIN:
        return bytes((BINARY, SHORT)) + size.to_bytes(2, "big") + data
    return bytes((BINARY, LONG)) + size.to_bytes(8, "big") + data
