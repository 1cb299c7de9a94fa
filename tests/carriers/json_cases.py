"""The cases of carriers whose doors take JSON: Telnyx, Bandwidth and Vonage. See cases.py."""

from __future__ import annotations

from typing import Any, ClassVar

import orjson
from multidict import CIMultiDict

from app.carriers import telnyx
from tests.carriers.cases import ADDRESS, PROXY_ADDRESS, Case, Wire
from tests.support import bandwidth_stand_in, telnyx_stand_in, vonage_stand_in


class TelnyxCase(Case):
    """Telnyx: events in JSON, signed with Ed25519 over time and body."""

    __slots__ = ()

    kind = "telnyx"
    options: ClassVar[dict[str, Any]] = {
        "api_key": telnyx_stand_in.API_KEY,
        "public_key": telnyx_stand_in.PUBLIC_KEY,
    }
    signature_header = telnyx.SIGNATURE
    content_type = "application/json"
    signs = frozenset({"body"})
    unspoken = frozenset({"read"})
    codes: ClassVar[dict[int, int]] = {30003: 40006}
    junk = (
        b"",
        b"[]",
        b"{}",
        b'{"data":{}}',
        b'{"data":{"event_type":1}}',
        b'{"data":[]}',
        b"[" * 10_000,
    )

    def new_id(self, number: int) -> str:
        return f"40385f64-5717-4562-b3fc-{number:012x}"

    def inbound(
        self,
        external_id: str,
        *,
        address: str = ADDRESS,
        proxy_address: str = PROXY_ADDRESS,
        body: str = "Hello",
        media: tuple[str, ...] = (),
    ) -> Wire:
        event = telnyx_stand_in.received(
            external_id, address, proxy_address, body, [(url, "image/png") for url in media]
        )
        return self.signed("inbound", orjson.dumps(event))

    def status(
        self,
        external_id: str,
        *,
        status: str = "delivered",
        error_code: int | None = None,
        receipt_sid: str | None = None,
    ) -> Wire:
        word = "delivery_failed" if status == "undelivered" else status
        code = None if error_code is None else self.codes[error_code]
        event = telnyx_stand_in.report(external_id, PROXY_ADDRESS, ADDRESS, word, code)
        query = "" if receipt_sid is None else f"?receipt={receipt_sid}"
        return self._wire(self._target("status") + query, orjson.dumps(event))

    def signed(self, door: str, body: bytes) -> Wire:
        return self._wire(self._target(door), body)

    def _wire(self, target: str, body: bytes) -> Wire:
        headers = CIMultiDict({"Content-Type": self.content_type, **telnyx_stand_in.sign(body)})
        return Wire("POST", target, headers, body)


class BandwidthCase(Case):
    """Bandwidth: lists of events in JSON; it only signs in."""

    __slots__ = ()

    kind = "bandwidth"
    options: ClassVar[dict[str, Any]] = bandwidth_stand_in.OPTIONS
    signature_header = "Authorization"
    content_type = "application/json"
    signs = frozenset()
    unspoken = frozenset({"queued"})
    codes: ClassVar[dict[int, int]] = {30003: 4702}
    junk = (b"", b"{", b"{}", b"null", b"[1]", b"[{}]", b'[{"type":7}]', b"[" * 10_000)

    def new_id(self, number: int) -> str:
        return f"1589228074636bw{number:x}"

    def inbound(
        self,
        external_id: str,
        *,
        address: str = ADDRESS,
        proxy_address: str = PROXY_ADDRESS,
        body: str = "Hello",
        media: tuple[str, ...] = (),
    ) -> Wire:
        event = bandwidth_stand_in.received(external_id, address, proxy_address, body, media)
        return self.signed("inbound", orjson.dumps([event]))

    def status(
        self,
        external_id: str,
        *,
        status: str = "delivered",
        error_code: int | None = None,
        receipt_sid: str | None = None,
    ) -> Wire:
        word = "failed" if status == "undelivered" else status
        code = None if error_code is None else self.codes[error_code]
        event = bandwidth_stand_in.report(
            external_id, PROXY_ADDRESS, ADDRESS, word, code, receipt_sid or ""
        )
        return self.signed("status", orjson.dumps([event]))

    def signed(self, door: str, body: bytes) -> Wire:
        login = bandwidth_stand_in.callback_login()
        headers = CIMultiDict({"Content-Type": self.content_type, "Authorization": login})
        return Wire("POST", self._target(door), headers, body)


class VonageCase(Case):
    """Vonage: JSON whose hash is in a JSON Web Token."""

    __slots__ = ()

    kind = "vonage"
    options: ClassVar[dict[str, Any]] = vonage_stand_in.OPTIONS
    signature_header = "Authorization"
    content_type = "application/json"
    signs = frozenset({"body"})
    unspoken = frozenset({"queued"})
    codes: ClassVar[dict[int, int]] = {30003: 1180}
    junk = (
        b"",
        b"[]",
        b"{}",
        b"null",
        b'{"message_uuid":"1"}',
        b'{"message_uuid":"1","channel":"sms","message_type":"text","from":"x","to":"1"}',
        b"[" * 10_000,
    )

    def new_id(self, number: int) -> str:
        return f"aaaaaaaa-bbbb-4ccc-8ddd-{number:012x}"

    def inbound(
        self,
        external_id: str,
        *,
        address: str = ADDRESS,
        proxy_address: str = PROXY_ADDRESS,
        body: str = "Hello",
        media: tuple[str, ...] = (),
    ) -> Wire:
        said = vonage_stand_in.received(external_id, address, proxy_address, body, media)
        return self.signed("inbound", orjson.dumps(said))

    def status(
        self,
        external_id: str,
        *,
        status: str = "delivered",
        error_code: int | None = None,
        receipt_sid: str | None = None,
    ) -> Wire:
        word = {"sent": "submitted", "undelivered": "undeliverable"}.get(status, status)
        code = None if error_code is None else self.codes[error_code]
        said = vonage_stand_in.report(external_id, PROXY_ADDRESS, ADDRESS, word, code, "")
        query = "" if receipt_sid is None else f"?receipt={receipt_sid}"
        return self._wire(self._target("status") + query, orjson.dumps(said))

    def signed(self, door: str, body: bytes) -> Wire:
        return self._wire(self._target(door), body)

    def _wire(self, target: str, body: bytes) -> Wire:
        made = vonage_stand_in.sign(body)
        headers = CIMultiDict({"Content-Type": self.content_type, "Authorization": made})
        return Wire("POST", target, headers, body)
