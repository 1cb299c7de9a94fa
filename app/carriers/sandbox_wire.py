"""What goes over the wire between a sandbox carrier and its World: the JSON of sends, inbound
messages and statuses, and the signature on what the World says to our doors."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any, Literal, Protocol

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from app.carriers import storable
from app.channels.address import normalise
from app.model.traffic import DeliveryStatus, MediaPart

HEADER = "X-Sandbox-Signature"
MEDIA_MAX = 10
OTHERS_MAX = 50
NUMBER_MAX = 2**31 - 1
STATUSES: dict[str, DeliveryStatus | None] = {
    "queued": None,
    "sent": "sent",
    "delivered": "delivered",
    "read": "read",
    "undelivered": "undelivered",
    "failed": "failed",
}


def _address(given: str) -> str:
    return normalise(given, allow_short_code=True, lenient=True)


Address = Annotated[str, AfterValidator(_address)]
Text = Annotated[str, AfterValidator(storable.text)]
Document = Annotated[dict[str, Any], AfterValidator(storable.document)]
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]


class Wire(BaseModel):
    """Frozen, and closed to keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Media(Wire):
    """One file, by its URL."""

    url: Annotated[str, Field(pattern=r"^https?://[!-~]+$", max_length=4096)]
    content_type: Annotated[Text, Field(max_length=255)] = "application/octet-stream"
    size: Annotated[int, Field(ge=0, le=NUMBER_MAX)] | None = None
    filename: Text | None = None

    def part(self) -> MediaPart:
        """The same as the roads know it."""
        return MediaPart(self.url, self.content_type, self.size, self.filename)


class Send(Wire):
    """A message to a phone, or a group text to several, as the carrier hands it to the World."""

    reference: str
    channel: str
    sender: Address = Field(alias="from")
    to: Address
    others: Annotated[tuple[Address, ...], Field(max_length=OTHERS_MAX)] = ()
    body: str | None = None
    media: Annotated[tuple[Media, ...], Field(max_length=MEDIA_MAX)] = ()
    status_url: str | None = None


class Message(Wire):
    """A message from a phone to a number of ours. `channel` None: what the address says, and mms
    when there is media or a group."""

    type: Literal["message"] = "message"
    id: Identifier
    channel: str | None = None
    sender: Address = Field(alias="from")
    to: Address
    body: Text | None = None
    media: Annotated[tuple[Media, ...], Field(max_length=MEDIA_MAX)] = ()
    others: Annotated[tuple[Address, ...], Field(max_length=OTHERS_MAX)] = ()
    metadata: Document | None = None
    sent_at: datetime | None = None


class Texts(Wire):
    """A page of what phones wrote, newest first."""

    messages: tuple[Message, ...]
    more: bool = False


class Report(Wire):
    """What became of a send: `status` is a word like sent, delivered, read, undelivered. Of a group
    text each phone has its own, which names the `others`."""

    type: Literal["status"] = "status"
    id: Identifier
    reference: str = ""
    channel: str = ""
    sender: str = Field(alias="from", default="")
    to: str = ""
    others: tuple[str, ...] = ()
    status: str
    error_code: Annotated[int, Field(ge=0, le=NUMBER_MAX)] | None = None
    error_message: Text | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """One POST that the World makes to a door of ours."""

    url: str
    headers: Mapping[str, str]
    body: bytes


class Dialect(Protocol):
    """How the World speaks to our doors."""

    def inbound(self, url: str, message: Message) -> Call:
        """A phone's message, for the inbound door."""
        ...

    def status(self, url: str, report: Report) -> Call:
        """What became of a send, for the URL that came with it."""
        ...


@dataclass(frozen=True, slots=True)
class SandboxDialect:
    """JSON, signed when there is a secret."""

    secret: str | None = None

    def inbound(self, url: str, message: Message) -> Call:
        """The message as JSON."""
        return self._call(url, message)

    def status(self, url: str, report: Report) -> Call:
        """The report as JSON."""
        return self._call(url, report)

    def _call(self, url: str, said: Wire) -> Call:
        body = said.model_dump_json(by_alias=True, exclude_none=True).encode()
        headers = {"Content-Type": "application/json"}
        if self.secret is not None:
            headers[HEADER] = sign(self.secret, url, body)
        return Call(url, headers, body)


def sign(secret: str, url: str, body: bytes) -> str:
    """`sha256=<hex>`: HMAC-SHA256 over the URL, a line feed and the raw body."""
    text = url.encode("utf-8", "replace") + b"\n" + body
    return "sha256=" + hmac.new(secret.encode(), text, sha256).hexdigest()


def verify(secret: str, url: str, body: bytes, signature: str) -> bool:
    """Whether the secret made this signature; constant time."""
    ours = sign(secret, url, body).encode()
    return hmac.compare_digest(ours, signature.encode("utf-8", "replace"))
