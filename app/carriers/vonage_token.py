"""Vonage's JSON Web Tokens: those that sign its webhooks, and those that we sign in with.

https://developer.vonage.com/en/getting-started/concepts/webhooks (signed webhooks) and
.../concepts/authentication. A token is checked against the clock that we were given.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from app import ids

# How far Vonage's clock and ours may be apart.
LEEWAY_S = 300
# Vonage takes tokens for up to 24 h; a short one is worth little to a thief.
LIFETIME_S = 900
# A token is used again for as long as this much of its life is left.
SPARE_S = 300

# Times are compared here, with our clock.
_SIGNATURE_ONLY: Any = {
    "verify_exp": False,
    "verify_iat": False,
    "verify_nbf": False,
    "verify_aud": False,
    "verify_iss": False,
}


def signed(header: str, body: bytes, secrets: Iterable[str], now: datetime) -> bool:
    """Whether the Authorization header is a token that one of the secrets signed (HS256) for this
    very body (`payload_hash`), and that is neither from the future nor expired."""
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer":
        return False
    claims = next(filter(None, (_claims(token.strip(), secret) for secret in secrets)), None)
    if claims is None or not _is_current(claims, now.timestamp()):
        return False
    claimed = str(claims.get("payload_hash", "")).encode("utf-8", "replace")
    return hmac.compare_digest(sha256(body).hexdigest().encode(), claimed.lower())


@lru_cache(maxsize=16)  # a key is checked for a tenth of a second, and read twice at the start
def private_key(pem: str) -> RSAPrivateKey:
    """The application's key. An environment variable may write its line ends as `\\n`. Raises
    ValueError."""
    try:
        key = load_pem_private_key(pem.replace("\\n", "\n").encode(), password=None)
    except (ValueError, TypeError) as error:
        raise ValueError("should be the application's private key in PEM") from error
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("should be an RSA key")
    return key


class Signer:
    """Makes the tokens of one application; each is used for ten minutes."""

    def __init__(self, application_id: str, key: RSAPrivateKey) -> None:
        self._application_id = application_id
        self._key = key
        self._token = ""
        self._until = 0.0

    def token(self, now: datetime) -> str:
        """A token that is good now."""
        moment = now.timestamp()
        if not self._until - LIFETIME_S <= moment < self._until - SPARE_S:
            self._until = int(moment) + LIFETIME_S
            claims = {
                "application_id": self._application_id,
                "iat": int(moment),
                "exp": int(self._until),
                "jti": ids.token(),
            }
            self._token = jwt.encode(claims, self._key, algorithm="RS256")
        return self._token


def _claims(token: str, secret: str) -> dict[str, Any] | None:
    try:
        return jwt.decode(token, secret, algorithms=["HS256"], options=_SIGNATURE_ONLY)
    except (jwt.PyJWTError, ValueError):
        return None


def _is_current(claims: dict[str, Any], now: float) -> bool:
    """Vonage repeats a webhook for 24 h, so an old token is no replay; what is repeated changes
    nothing. Without a time of issue it is no token of Vonage's."""
    issued, expires = claims.get("iat"), claims.get("exp")
    if not isinstance(issued, int | float) or issued > now + LEEWAY_S:
        return False
    return expires is None or (isinstance(expires, int | float) and now <= expires + LEEWAY_S)
