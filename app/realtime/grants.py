"""Who is at a socket: what their access token grants."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jwt

from app.errors import Forbidden
from app.runtime import Runtime

INVALID = (20101, "Invalid Access Token")
EXPIRED = (20104, "Access Token expired or expiration date invalid")


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token grants: to be this identity in this service, until it expires. `key_sid` is the
    API key that signed it."""

    account_sid: str
    service_sid: str
    identity: str
    key_sid: str
    expires_at: datetime


async def read(runtime: Runtime, token: str) -> Grant:
    """What this token grants. Raises Forbidden 20101, 20104."""
    try:
        claimed = jwt.decode(token, options={"verify_signature": False})
        key = next(
            one
            for account in (runtime.settings.account, *runtime.settings.accounts)
            for one in account.api_keys
            if one.sid == claimed.get("iss") and account.sid == claimed.get("sub")
        )
        secret = key.secret.get_secret_value()
        claims: dict[str, Any] = jwt.decode(token, secret, ["HS256"], options={"require": ["exp"]})
        grants = claims["grants"]
        return Grant(
            claims["sub"],
            grants["chat"]["service_sid"],
            grants["identity"],
            key.sid,
            datetime.fromtimestamp(claims["exp"], UTC),
        )
    except jwt.ExpiredSignatureError:
        raise Forbidden(*EXPIRED) from None
    except (jwt.InvalidTokenError, KeyError, TypeError, StopIteration):
        raise Forbidden(*INVALID) from None
