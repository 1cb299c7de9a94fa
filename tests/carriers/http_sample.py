"""A provider that exists only here, for the tests of `kind: http`."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from multidict import CIMultiDict, MultiDict

from app.carriers.contract import Request
from app.carriers.http import Http
from app.carriers.http_options import Options

INBOUND: dict[str, Any] = {
    "format": "json",
    "id": "id",
    "from": "from",
    "to": "to",
    "body": "text",
}
STATUS: dict[str, Any] = {
    "format": "json",
    "id": "id",
    "status": "state",
    "words": {"wait": "queued", "out": "sent", "ok": "delivered", "no": "undelivered"},
}


def options(url: str = "https://api.acme.example", **changes: Any) -> dict[str, Any]:
    """The options of the provider; what is named replaces these."""
    described = {
        "channels": {"sms": "text", "mms": "picture", "whatsapp": "wa"},
        "secrets": {"key": "s3cret", "user": "me"},
        "send": {"url": f"{url}/messages", "json": {"to": "{to}", "text": "{body}"}},
        "answer": {"id": "id"},
        "inbound": INBOUND,
        "status": STATUS,
        "verify": {"scheme": "none"},
        "timeout_s": 5,
    } | changes
    return deepcopy(described)


def provider(url: str = "https://api.acme.example", **changes: Any) -> Http:
    """A carrier `acme` with these options."""
    return Http("acme", Options.model_validate(options(url, **changes)))


def request(
    body: bytes = b"",
    *,
    form: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    target: str = "/carriers/acme/inbound",
    query: dict[str, str] | None = None,
) -> Request:
    """A request at the door."""
    return Request(
        method="POST",
        url=f"https://talk.example.com{target}",
        headers=CIMultiDict(headers or {}),
        query=MultiDict(query or {}),
        form=MultiDict(form or {}),
        body=body,
    )
