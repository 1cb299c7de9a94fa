"""How the generic carrier knows its provider's requests: a shared token, basic authentication, or
an HMAC over parts of the request. Every comparison takes constant time."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256

from app.carriers.contract import Request
from app.carriers.http_options import Verify
from app.carriers.http_template import Field, read
from app.model.traffic import SignatureResult


def verify(settings: Verify, secrets: Mapping[str, str], request: Request) -> SignatureResult:
    """`valid` when one of the secrets made what the request shows; `unchecked` for scheme none."""
    if settings.scheme == "none":
        return "unchecked"
    given = _given(settings, request).encode("utf-8", "replace")
    wanted = [_wanted(settings, secrets[name], request) for name in settings.secret]
    # Some providers send several signatures while secrets are rotated: sig1, sig2.
    shown = [given, *(one.strip() for one in given.split(b",") if settings.scheme == "hmac")]
    matches = [hmac.compare_digest(one, each) for one in wanted for each in shown]
    return "valid" if any(matches) else "invalid"


def signed_text(over: str, request: Request) -> bytes:
    """The bytes that an HMAC is made over."""
    return b"".join(
        _value(part.name, request) if isinstance(part, Field) else part.encode()
        for part in read(over).parts
    )


def _given(settings: Verify, request: Request) -> str:
    if settings.scheme == "basic":
        return request.headers.get("Authorization", "")
    if settings.query is not None and settings.scheme == "token":
        return request.query.get(settings.query, "")
    return request.headers.get(settings.header or "", "")


def _wanted(settings: Verify, secret: str, request: Request) -> bytes:
    if settings.scheme == "basic":
        pair = b64encode(f"{settings.username}:{secret}".encode()).decode()
        return f"Basic {pair}".encode()
    if settings.scheme == "token":
        return (settings.prefix + secret).encode()
    digest = hmac.digest(secret.encode(), signed_text(settings.over, request), settings.digest)
    text = digest.hex() if settings.encoding == "hex" else b64encode(digest).decode()
    return (settings.prefix + text).encode()


def _value(name: str, request: Request) -> bytes:
    kind, _, rest = name.partition(".")
    if kind == "header":
        return request.headers.get(rest, "").encode("utf-8", "replace")
    if kind == "query":
        return request.query.get(rest, "").encode("utf-8", "replace")
    if name == "form.sorted":
        pairs = sorted(request.form.items())
        return "".join(key + value for key, value in pairs).encode("utf-8", "replace")
    if name == "body":
        return request.body
    if name == "body.sha256":
        return sha256(request.body).digest()
    url = request.url.partition("?")[0] if name == "url.bare" else request.url
    return (request.method if name == "method" else url).encode("utf-8", "replace")
