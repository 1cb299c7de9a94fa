"""Who calls, and what they may: HTTP Basic with an account's SID and auth token, or with an API
key's SID and secret.

Credentials are compared on digests of one length, also when there is nothing to compare with, so
that the time of a refusal tells nothing; and every refusal is the same.

| scope    | what it opens                                        |
|----------|------------------------------------------------------|
| read     | GET                                                  |
| write    | everything of the API                                |
| operator | `/ops`: which rule would take a message, and why     |

Tokens, and keys that the file names, have all of them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from app import ids
from app.api.errors import Handler, Unauthenticated
from app.api.keys import Keys
from app.errors import Forbidden
from app.model.access import OPERATOR, READ, SCOPES, WRITE
from app.runtime import Runtime
from app.settings.models import Settings
from app.store.keys import hashed

DENIED = 20006
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
NOBODY = hashlib.sha256(b"nobody").digest()


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose credentials were given, and what they open."""

    account_sid: str
    scopes: frozenset[str] = SCOPES


CALLER = web.RequestKey("caller", Caller)


class Gate:
    """Knows everybody who may come in: accounts and keys of the file, `keys` of the database."""

    def __init__(self, runtime: Runtime) -> None:
        self._configured = _configured(runtime.settings)
        self._accounts = frozenset(runtime.settings.houses)
        self.keys = Keys(runtime.db, runtime.clock)

    async def caller(self, request: web.Request) -> Caller:
        """Who sends this request. Raises Unauthenticated."""
        user, secret = _credentials(request.headers.get("Authorization", ""))
        digest, caller = self._configured.get(user) or await self._kept(user)
        if not hmac.compare_digest(_digest(secret), digest) or caller is None:
            raise Unauthenticated
        return caller

    async def operator(self, request: web.Request) -> str | None:
        """The account of an operator; None for somebody who is not known. Raises Forbidden."""
        try:
            caller = await self.caller(request)
        except Unauthenticated:
            return None
        _check(caller, {OPERATOR})
        return caller.account_sid

    async def _kept(self, user: str) -> tuple[bytes, Caller | None]:
        """What a key of the database must match; something that nothing matches for no key."""
        if not user.startswith(ids.API_KEY):
            return NOBODY, None
        key = await self.keys.find(user)
        if key is None or key.account_sid not in self._accounts:
            return NOBODY, None
        return bytes.fromhex(key.secret_hash), Caller(key.account_sid, key.scopes)


def guard(gate: Gate) -> Any:
    """The middleware that lets only those pass who may do what they ask for."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        caller = await gate.caller(request)
        _check(caller, {READ, WRITE} if request.method in SAFE else {WRITE})
        request[CALLER] = caller
        return await handler(request)

    return check


def _check(caller: Caller, any_of: set[str]) -> None:
    if not caller.scopes & any_of:
        raise Forbidden(DENIED, "Access Denied")


def _configured(settings: Settings) -> Mapping[str, tuple[bytes, Caller]]:
    """What the secret of every user in the file must match."""
    known: dict[str, tuple[bytes, Caller]] = {}
    for account in (settings.account, *settings.accounts):
        pairs = [(account.sid, account.auth_token)]
        pairs += [(key.sid, key.secret) for key in account.api_keys]
        for user, secret in pairs:
            known[user] = _digest(secret.get_secret_value()), Caller(account.sid)
    return known


def _credentials(header: str) -> tuple[str, str]:
    """User and password of a Basic header; nothing for any other."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return "", ""
    try:
        given = base64.b64decode(encoded.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        return "", ""
    user, _, password = given.partition(":")
    return user, password


def _digest(secret: str) -> bytes:
    return bytes.fromhex(hashed(secret))
