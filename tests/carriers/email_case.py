"""The case of the carrier kind `email`: forms as SendGrid posts them, with a whole mail in one
field."""

from __future__ import annotations

from base64 import b64encode
from typing import Any, ClassVar

from multidict import CIMultiDict

from app.model.traffic import Inbound
from tests.carriers.cases import Case, Wire
from tests.support.mails import ANN, BOUNDARY, DESK, form, mail, report

ACTIONS = {"sent": "relayed", "queued": "delayed", "undelivered": "failed"}


class EmailCase(Case):
    """A password in the URL; the mail itself is not signed."""

    __slots__ = ()

    kind = "email"
    secret = "word-of-the-provider"
    options: ClassVar[dict[str, Any]] = {
        "smtp": {"host": "127.0.0.1", "port": 2525, "security": "none"},
        "form": {"secrets": secret},
        "bytes_max": 1_000_000,
    }
    signature_header = "Authorization"
    content_type = f"multipart/form-data; boundary={BOUNDARY}"
    address, proxy_address = ANN, DESK
    channel = media_channel = "email"
    signs = frozenset()
    unspoken = frozenset({"read"})
    failure = (511, 30005)
    junk = (
        b"",
        b"x",
        b"--xYzZY\r\n\r\n\r\n--xYzZY--\r\n",
        form(text="hello"),
        form(email=b""),
        form(email=b"no header at all"),
        form(email=b"From: nobody\r\nTo: desk@example.com\r\n\r\nhi"),
        form(email=b"From: ann@example.net\r\n\r\nhi"),
        form(email=b"From: a@b.example\r\nTo: c@d.example\r\n\r\n", envelope="{"),
        form(text="hi", to=DESK, **{"from": "nobody"}),
        form(message_headers="[", text="hi"),
    )

    def new_id(self, number: int) -> str:
        return f"mail-{number}@example.net/{DESK}"

    def inbound(
        self,
        external_id: str,
        *,
        address: str = ANN,
        proxy_address: str = DESK,
        body: str = "Hello",
        media: tuple[str, ...] = (),
    ) -> Wire:
        files = tuple(
            (url.rpartition("/")[2], "image/png", b"\x89PNG\r\n\x1a\nxy") for url in media
        )
        named = external_id.partition("/")[0]
        made = mail(body, sender=address, to=proxy_address, message_id=named, files=files)
        return self.signed("inbound", form(email=made))

    def status(
        self,
        external_id: str,
        *,
        status: str = "delivered",
        error_code: int | None = None,
        receipt_sid: str | None = None,
    ) -> Wire:
        code = ".".join(str(error_code or 200))
        action = ACTIONS.get(status, status)
        said = report(external_id, action, envelope_id=receipt_sid, status=code)
        return self.signed("status", form(email=said))

    def signed(self, door: str, body: bytes) -> Wire:
        login = b64encode(f"parley:{self.secret}".encode()).decode()
        headers = CIMultiDict(
            {"Content-Type": self.content_type, "Authorization": f"Basic {login}"}
        )
        return Wire("POST", self._target(door), headers, body)

    def files(self, inbound: Inbound) -> list[tuple[str, str]]:
        said = inbound.attachments
        return [(f"https://media.example.com/{one.filename}", one.content_type) for one in said]
