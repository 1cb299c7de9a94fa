"""One case per carrier kind: builds the requests that such a carrier makes, signed or forged.

Used by the conformance suite here and by the suite of the HTTP door. Every discovered kind has one.
"""

from __future__ import annotations

import hmac
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlencode, urlsplit

import orjson
from multidict import CIMultiDict, MultiDict

from app.carriers import discover, sandbox_wire, signature
from app.carriers.contract import Carrier, Request
from app.model.traffic import Inbound
from app.settings.models import CarrierSettings

PUBLIC_URL = "https://talk.example.com"
ADDRESS = "+15558675310"
PROXY_ADDRESS = "+15005550006"
FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True, slots=True)
class Wire:
    """One HTTP request as bytes: `target` is its path and query."""

    method: str
    target: str
    headers: CIMultiDict[str]
    body: bytes

    def request(self, public_url: str = PUBLIC_URL) -> Request:
        """What the door hands to the carrier."""
        form: Iterable[tuple[str, str]] = ()
        if self.headers.get("Content-Type", "").startswith(FORM):
            form = parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True)
        query = parse_qsl(urlsplit(self.target).query, keep_blank_values=True)
        return Request(
            method=self.method,
            url=public_url + self.target,
            headers=self.headers,
            query=MultiDict(query),
            form=MultiDict(form),
            body=self.body,
        )


@dataclass(frozen=True, slots=True)
class Case(ABC):
    """A configured carrier of one kind and the requests that its provider makes to our doors."""

    kind: ClassVar[str]
    options: ClassVar[dict[str, Any]]
    signature_header: ClassVar[str]
    junk: ClassVar[tuple[bytes, ...]]
    content_type: ClassVar[str]
    # What a signature covers, and the words of `status` that the provider has no word for.
    signs: ClassVar[frozenset[str]] = frozenset({"url", "body"})
    unspoken: ClassVar[frozenset[str]] = frozenset()
    # Who talks when nothing is said, the channel without and with media, and a code of a send that
    # did not arrive: the provider's and the original's.
    address: ClassVar[str] = ADDRESS
    proxy_address: ClassVar[str] = PROXY_ADDRESS
    channel: ClassVar[str] = "sms"
    media_channel: ClassVar[str] = "mms"
    failure: ClassVar[tuple[int, int]] = (30003, 30003)

    name: str = "lab"
    public_url: str = PUBLIC_URL

    @property
    def settings(self) -> CarrierSettings:
        """Its part of the YAML."""
        return CarrierSettings.model_validate({"kind": self.kind, **self.options})

    def carrier(self) -> Carrier:
        """The carrier itself."""
        return discover.build(self.name, self.settings, self.options)

    def new_id(self, number: int) -> str:
        """The provider's id of its n-th message."""
        return f"SM{number:032x}"

    @abstractmethod
    def inbound(
        self,
        external_id: str,
        *,
        address: str = ADDRESS,
        proxy_address: str = PROXY_ADDRESS,
        body: str = "Hello",
        media: tuple[str, ...] = (),
    ) -> Wire:
        """A valid, signed inbound message."""

    @abstractmethod
    def status(
        self,
        external_id: str,
        *,
        status: str = "delivered",
        error_code: int | None = None,
        receipt_sid: str | None = None,
    ) -> Wire:
        """A valid, signed delivery status."""

    @abstractmethod
    def signed(self, door: str, body: bytes) -> Wire:
        """These bytes, validly signed, at `inbound` or `status`."""

    def files(self, inbound: Inbound) -> list[tuple[str, str]]:
        """The files of a message that was read: their URLs and types."""
        return [(part.url, part.content_type) for part in inbound.media]

    def forged(self, wire: Wire) -> Wire:
        """The same request with a signature that nobody made."""
        headers = CIMultiDict(wire.headers)
        headers[self.signature_header] = "sha256=" + "0" * 64
        return Wire(wire.method, wire.target, headers, wire.body)

    def unsigned(self, wire: Wire) -> Wire:
        """The same request without a signature."""
        headers = CIMultiDict(wire.headers)
        del headers[self.signature_header]
        return Wire(wire.method, wire.target, headers, wire.body)

    def _target(self, door: str) -> str:
        return f"/carriers/{self.name}/{door}"


class TwilioCase(Case):
    """Twilio: forms signed with X-Twilio-Signature."""

    __slots__ = ()

    kind = "twilio"
    account_sid = "AC" + "a1" * 16
    auth_token = "token-of-the-account"
    options: ClassVar[dict[str, Any]] = {"account_sid": account_sid, "auth_token": auth_token}
    signature_header = signature.HEADER
    content_type = FORM
    junk = (b"", b"x", b"MessageSid=", b"MessageSid=SM1&From=nobody&To=%2B15005550006")

    def inbound(
        self,
        external_id: str,
        *,
        address: str = ADDRESS,
        proxy_address: str = PROXY_ADDRESS,
        body: str = "Hello",
        media: tuple[str, ...] = (),
    ) -> Wire:
        form = {
            "MessageSid": external_id,
            "SmsSid": external_id,
            "SmsStatus": "received",
            "AccountSid": self.account_sid,
            "From": address,
            "To": proxy_address,
            "Body": body,
            "NumMedia": str(len(media)),
            "NumSegments": "1",
            "ApiVersion": "2010-04-01",
        }
        for index, url in enumerate(media):
            form |= {f"MediaUrl{index}": url, f"MediaContentType{index}": "image/png"}
        return self._form(self._target("inbound"), form)

    def status(
        self,
        external_id: str,
        *,
        status: str = "delivered",
        error_code: int | None = None,
        receipt_sid: str | None = None,
    ) -> Wire:
        form = {
            "MessageSid": external_id,
            "MessageStatus": status,
            "AccountSid": self.account_sid,
            "From": PROXY_ADDRESS,
            "To": ADDRESS,
        }
        if error_code is not None:
            form["ErrorCode"] = str(error_code)
        query = "" if receipt_sid is None else f"?receipt={receipt_sid}"
        return self._form(self._target("status") + query, form)

    def signed(self, door: str, body: bytes) -> Wire:
        form = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
        return self._wire(self._target(door), MultiDict(form), body)

    def _form(self, target: str, form: Mapping[str, str]) -> Wire:
        return self._wire(target, form, urlencode(form).encode())

    def _wire(self, target: str, form: Mapping[str, str], body: bytes) -> Wire:
        made = signature.sign(self.public_url + target, form, self.auth_token)
        headers = CIMultiDict({"Content-Type": FORM, self.signature_header: made})
        return Wire("POST", target, headers, body)


class SandboxCase(Case):
    """The sandbox: JSON signed with its secret."""

    __slots__ = ()

    kind = "sandbox"
    secret = "secret-of-the-world"
    options: ClassVar[dict[str, Any]] = {"secret": secret, "seed": 1}
    signature_header = sandbox_wire.HEADER
    content_type = "application/json"
    junk = (
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"id":"SM1"}',
        b'{"id":"SM1","from":"nobody","to":"+15005550006"}',
        b'{"id":"SM1","from":"+15558675310","to":"+15005550006","unknown":1}',
        b"[" * 10_000,
    )

    def inbound(
        self,
        external_id: str,
        *,
        address: str = ADDRESS,
        proxy_address: str = PROXY_ADDRESS,
        body: str = "Hello",
        media: tuple[str, ...] = (),
    ) -> Wire:
        files = [{"url": url, "content_type": "image/png"} for url in media]
        said = {"id": external_id, "from": address, "to": proxy_address, "body": body}
        return self._wire(self._target("inbound"), orjson.dumps(said | {"media": files}))

    def status(
        self,
        external_id: str,
        *,
        status: str = "delivered",
        error_code: int | None = None,
        receipt_sid: str | None = None,
    ) -> Wire:
        said = {"id": external_id, "status": status, "error_code": error_code}
        query = "" if receipt_sid is None else f"?receipt={receipt_sid}"
        return self._wire(self._target("status") + query, orjson.dumps(said))

    def signed(self, door: str, body: bytes) -> Wire:
        return self._wire(self._target(door), body)

    def _wire(self, target: str, body: bytes) -> Wire:
        made = sandbox_wire.sign(self.secret, self.public_url + target, body)
        headers = CIMultiDict({"Content-Type": self.content_type, self.signature_header: made})
        return Wire("POST", target, headers, body)


class HttpCase(Case):
    """A provider that the YAML describes: JSON with an HMAC over URL and body."""

    __slots__ = ()

    kind = "http"
    secret = "secret-of-the-provider"
    options: ClassVar[dict[str, Any]] = {
        "secrets": {"key": secret},
        "channels": {"sms": "text", "mms": "picture", "whatsapp": "wa"},
        "numbers": "digits",
        "send": {
            "url": "https://api.acme.example/messages",
            "json": {"to": "{to.digits}", "text": "{body}", "media": ["{media.url}"]},
        },
        "codes": {"e-3": 30003},
        "inbound": {
            "format": "json",
            "id": "message.id",
            "from": "message.from",
            "to": "message.to.0",
            "body": "message.text",
            "channel": "message.kind",
            "media": {"in": "message.files", "url": "href", "type": "mime"},
        },
        "status": {
            "format": "json",
            "id": "report.id",
            "status": "report.state",
            "code": "report.error",
            "words": {
                word: word for word in ("queued", "sent", "delivered", "read", "undelivered")
            },
        },
        "verify": {
            "scheme": "hmac",
            "header": "X-Acme-Signature",
            "secret": "key",
            "prefix": "sha256=",
            "over": "{url}{body}",
        },
    }
    signature_header = "X-Acme-Signature"
    content_type = "application/json"
    junk = (
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"message":1,"report":[]}',
        b'{"message":{"id":"1","kind":"text","from":"nobody","to":["15005550006"]}}',
        b'{"message":{"id":{},"kind":"text","from":"15558675310","to":["15005550006"]}}',
        b"[" * 10_000,
    )

    def inbound(
        self,
        external_id: str,
        *,
        address: str = ADDRESS,
        proxy_address: str = PROXY_ADDRESS,
        body: str = "Hello",
        media: tuple[str, ...] = (),
    ) -> Wire:
        prefix, _, number = address.rpartition(":")
        said = {
            "id": external_id,
            "kind": "wa" if prefix else "text",
            "from": number.removeprefix("+"),
            "to": [proxy_address.rpartition(":")[2].removeprefix("+")],
            "text": body,
            "files": [{"href": url, "mime": "image/png"} for url in media],
        }
        return self.signed("inbound", orjson.dumps({"message": said}))

    def status(
        self,
        external_id: str,
        *,
        status: str = "delivered",
        error_code: int | None = None,
        receipt_sid: str | None = None,
    ) -> Wire:
        error = None if error_code is None else f"e-{error_code % 10}"
        said = {"report": {"id": external_id, "state": status, "error": error}}
        query = "" if receipt_sid is None else f"?receipt={receipt_sid}"
        return self._wire(self._target("status") + query, orjson.dumps(said))

    def signed(self, door: str, body: bytes) -> Wire:
        return self._wire(self._target(door), body)

    def _wire(self, target: str, body: bytes) -> Wire:
        text = (self.public_url + target).encode() + body
        made = "sha256=" + hmac.digest(self.secret.encode(), text, "sha256").hex()
        headers = CIMultiDict({"Content-Type": self.content_type, self.signature_header: made})
        return Wire("POST", target, headers, body)


# Built on the Case above, so they can be read only now.
from tests.carriers.email_case import EmailCase  # noqa: E402
from tests.carriers.json_cases import BandwidthCase, TelnyxCase, VonageCase  # noqa: E402
from tests.carriers.meta_case import MetaCase  # noqa: E402

KINDS: dict[str, type[Case]] = {
    case.kind: case
    for case in (
        *(TwilioCase, SandboxCase, HttpCase, MetaCase),
        *(TelnyxCase, BandwidthCase, VonageCase, EmailCase),
    )
}


def case(kind: str, *, name: str = "lab", public_url: str = PUBLIC_URL) -> Case:
    """The case of this kind, for a carrier with this name under this public URL."""
    return KINDS[kind](name, public_url)
