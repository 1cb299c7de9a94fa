"""The requests that Meta makes to our doors: WhatsApp's messages and statuses, signed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import orjson
from multidict import CIMultiDict

from app.carriers import meta_signature
from tests.carriers.cases import Case, Wire


class MetaCase(Case):
    """One signed JSON document; the URL is not signed, and either door takes it."""

    __slots__ = ()

    kind = "meta"
    app_secret = "secret-of-the-app"
    verify_token = "word-of-ours"
    options: ClassVar[dict[str, Any]] = {
        "app_secret": app_secret,
        "verify_token": verify_token,
        "access_token": "token-of-the-system-user",
    }
    signature_header = meta_signature.HEADER
    content_type = "application/json"
    address = "whatsapp:+15558675310"
    proxy_address = "whatsapp:+15005550010"
    channel = media_channel = "whatsapp"
    signs = frozenset({"body"})
    unspoken = frozenset({"queued"})
    failure = (131026, 63024)
    junk = (
        b"",
        b"{",
        b"[]",
        b"null",
        b"1",
        b"[" * 10_000,
        b"{}",
        b'{"object":"threads","entry":[]}',
        b'{"object":"page"}',
        b'{"object":"page","entry":{}}',
        b'{"object":"page","entry":[1]}',
        b'{"object":"page","entry":[{"messaging":1}]}',
        b'{"object":"page","entry":[{"messaging":[{"message":{"text":"x"}}]}]}',
        b'{"object":"whatsapp_business_account","entry":[{"changes":"x"}]}',
        b'{"object":"whatsapp_business_account","entry":[{"changes":[{"field":"messages",'
        b'"value":{"messages":[{"id":"a"}]}}]}]}',
        b'{"object":"whatsapp_business_account","entry":[{"changes":[{"field":"messages",'
        b'"value":{"statuses":[{"status":"sent"}]}}]}]}',
    )

    def new_id(self, number: int) -> str:
        return f"wamid.HBgLMTU1NTg2NzUzMTAVAgASGBQ{number:08X}A="

    def inbound(
        self,
        external_id: str,
        *,
        address: str = "whatsapp:+15558675310",
        proxy_address: str = "whatsapp:+15005550010",
        body: str = "Hello",
        media: tuple[str, ...] = (),
    ) -> Wire:
        said: dict[str, Any] = {"type": "text", "text": {"body": body}}
        if media:
            said = {"type": "image", "image": {"url": media[0], "mime_type": "image/png"}}
            said["image"] |= {"caption": body} if body else {}
        number = address.removeprefix("whatsapp:").removeprefix("+")
        message = {"id": external_id, "from": number, "timestamp": "1739321024", **said}
        value = {"contacts": [{"wa_id": number, "profile": {"name": "Ann"}}]}
        return self.changes({**value, "messages": [message]}, proxy_address=proxy_address)

    def status(
        self,
        external_id: str,
        *,
        status: str = "delivered",
        error_code: int | None = None,
        receipt_sid: str | None = None,
    ) -> Wire:
        word = "failed" if status == "undelivered" else status
        said: dict[str, Any] = {"id": external_id, "status": word, "timestamp": "1739321024"}
        said["recipient_id"] = self.address.removeprefix("whatsapp:+")
        if error_code is not None:
            said["errors"] = [{"code": error_code, "title": "Message undeliverable"}]
        if receipt_sid is not None:
            said["biz_opaque_callback_data"] = receipt_sid
        return self.changes({"statuses": [said]}, door="status")

    def changes(
        self,
        *values: Mapping[str, Any],
        door: str = "inbound",
        proxy_address: str = "whatsapp:+15005550010",
    ) -> Wire:
        """All of these in one request, each as a change of its own in an entry of its own."""
        number = proxy_address.removeprefix("whatsapp:").removeprefix("+")
        metadata = {"display_phone_number": number, "phone_number_id": "106540352242922"}
        about = {"messaging_product": "whatsapp", "metadata": metadata}
        return self.document(
            "whatsapp_business_account",
            [
                {"id": "1", "changes": [{"field": "messages", "value": {**about, **value}}]}
                for value in values
            ],
            door,
        )

    def document(self, about: str, entries: list[Any], door: str = "inbound") -> Wire:
        """A signed document about this kind of object."""
        return self.signed(door, orjson.dumps({"object": about, "entry": entries}))

    def signed(self, door: str, body: bytes) -> Wire:
        made = meta_signature.sign(body, self.app_secret)
        headers = CIMultiDict({"Content-Type": self.content_type, self.signature_header: made})
        return Wire("POST", self._target(door), headers, body)
