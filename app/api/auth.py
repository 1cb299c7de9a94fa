"""Who calls: HTTP Basic with the account's SID and auth token, or an API key's SID and secret.

Every configured credential is compared on digests of one length, whatever was sent, so that the
time of a refusal tells nothing; and every refusal is the same.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Sequence
from typing import Any

from aiohttp import web

from app.api.errors import Handler, Unauthenticated
from app.settings.models import AccountSettings


def guard(account: AccountSettings) -> Any:
    """The middleware that lets only the account's own credentials pass."""
    allowed = authorized(account)

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not allowed(request):
            raise Unauthenticated
        return await handler(request)

    return check


def authorized(account: AccountSettings) -> Callable[[web.Request], bool]:
    """Whether a request carries the credentials of this account."""
    known = _digests(account)

    def allowed(request: web.Request) -> bool:
        return _matches(_credentials(request.headers.get("Authorization", "")), known)

    return allowed


def _digests(account: AccountSettings) -> Sequence[bytes]:
    pairs = [(account.sid, account.auth_token)]
    pairs += [(key.sid, key.secret) for key in account.api_keys]
    return [_digest(f"{sid}:{secret.get_secret_value()}".encode()) for sid, secret in pairs]


def _credentials(header: str) -> bytes:
    """`user:password` of a Basic header; nothing for any other."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        return base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return b""


def _matches(given: bytes, known: Sequence[bytes]) -> bool:
    digest = _digest(given)
    found = False
    for one in known:
        found |= hmac.compare_digest(digest, one)
    return found


def _digest(credentials: bytes) -> bytes:
    return hashlib.sha256(credentials).digest()
