"""What an access token must say to let somebody in: the original's JSON Web Token of the SDKs
("Create Access Tokens for Conversations", "User Identity & Access Tokens for Conversations").

| part      | what it must be                                                        | else  |
|-----------|------------------------------------------------------------------------|-------|
| form      | three parts, at most 8 KiB                                             | 20101 |
| header    | `alg` HS256, `typ` JWT, `cty` twilio-fpa;v=1                           | 20102 |
| iss, sub  | the SID of an API key that may write, and of the key's account         | 20103 |
| signature | of the key's secret                                                    | 20107 |
| exp       | in the future ...                                                      | 20104 |
|           | ... and at most 24 hours after the start                               | 20157 |
| nbf, iat  | past; helper libraries write the one or the other                      | 20105 |
| grants    | `identity`, and `chat.service_sid`: a conversation service of the      | 20106 |
|           | account; `chat.push_credential_sid` may be there                       |       |

The signature is looked at before anything that it covers, except who should have made it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn

import jwt
import orjson
from jwt.exceptions import InvalidSignatureError, InvalidTokenError

from app import ids
from app.errors import Denied, Invalid
from app.rules.participants import IDENTITY_CHARS_MAX, check_identity

ALGORITHM, CONTENT_TYPE = "HS256", "twilio-fpa;v=1"
TOKEN_CHARS_MAX = 8192
TTL_S, TTL_S_MAX = 3600, 86_400
SKEW_S = 60
"""How far the clock of who makes tokens may be ahead of ours."""
SECRET_BYTES_MIN = 32
"""What a shorter secret signs can be forged: who has a token can try secrets at home."""

INVALID = (20101, "Invalid Access Token")
HEADER = (20102, "Invalid Access Token header")
ISSUER = (20103, "Invalid Access Token issuer/subject")
EXPIRED = (20104, "Access Token expired or expiration date invalid")
TOO_EARLY = (20105, "Access Token not yet valid")
GRANTS = (20106, "Invalid Access Token grants")
SIGNATURE = (20107, "Invalid Access Token signature")
TOO_LONG = (20157, "Expiration Time Exceeds Maximum Time Allowed")

_JWS = jwt.PyJWS()


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token grants: to be this identity in this service, until it expires. `key_sid` is the
    API key that signed it, `credential_sid` what pushes to its devices are sent with."""

    account_sid: str
    service_sid: str
    identity: str
    key_sid: str
    expires_at: datetime
    credential_sid: str | None = None


@dataclass(frozen=True, slots=True)
class Signer:
    """An API key that may sign tokens."""

    key_sid: str
    account_sid: str
    secret: str


def make(signer: Signer, service_sid: str, identity: str, *, now: datetime, ttl_s: int) -> str:
    """A token as the helper libraries make it."""
    start = int(now.timestamp())
    claims = {
        "jti": f"{signer.key_sid}-{start}",
        "iss": signer.key_sid,
        "sub": signer.account_sid,
        "nbf": start,
        "exp": start + ttl_s,
        "grants": {"identity": identity, "chat": {"service_sid": service_sid}},
    }
    return jwt.encode(claims, signer.secret, ALGORITHM, headers={"cty": CONTENT_TYPE})


def issuer(token: str) -> str:
    """The SID of the key that should have signed this. Raises Denied 20101, 20102, 20103."""
    header, claims = _opened(token, None)
    expected = {"alg": ALGORITHM, "typ": "JWT", "cty": CONTENT_TYPE}
    for name, value in expected.items():
        if header.get(name) != value:
            _deny(HEADER, f"`{name}` should be {value}")
    sid = claims.get("iss")
    if not isinstance(sid, str) or not ids.is_sid(sid, ids.API_KEY):
        _deny(ISSUER, "`iss` should be the SID of an API key")
    return sid


def verified(
    token: str, signer: Signer, *, now: datetime, identity_chars_max: int = IDENTITY_CHARS_MAX
) -> Grant:
    """What this token of this key's grants. Whether the service is there is another question.
    Raises Denied."""
    if len(signer.secret.encode()) < SECRET_BYTES_MIN:
        least = f"{SECRET_BYTES_MIN} characters"
        _deny(ISSUER, f"the secret of {signer.key_sid} is too short to sign tokens: under {least}")
    _, claims = _opened(token, signer.secret)
    if claims.get("sub") != signer.account_sid:
        _deny(ISSUER, "`sub` should be the SID of the API key's account")
    expires_at = _expiry(claims, now.timestamp())
    service_sid, identity, credential_sid = _granted(claims.get("grants"), identity_chars_max)
    account_sid, key_sid = signer.account_sid, signer.key_sid
    return Grant(account_sid, service_sid, identity, key_sid, expires_at, credential_sid)


def _opened(token: str, secret: str | None) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, checked against this secret when there is one."""
    if len(token) > TOKEN_CHARS_MAX:
        _deny(INVALID, f"it has more than {TOKEN_CHARS_MAX} characters")
    try:
        opened = _JWS.decode_complete(
            token,
            secret or "",
            algorithms=[ALGORITHM],
            options={"verify_signature": secret is not None},
        )
        claims = orjson.loads(opened["payload"])
    except InvalidSignatureError:
        raise Denied(*SIGNATURE) from None
    except (InvalidTokenError, ValueError, RecursionError):
        claims = None
    if not isinstance(claims, dict):
        _deny(INVALID, "it is not a JSON Web Token")
    return opened["header"], claims


def _expiry(claims: dict[str, Any], now: float) -> datetime:
    """When the token ends, in its time. Raises Denied 20104, 20105, 20157."""
    expires = _moment(claims.get("exp"))
    if expires is None or expires <= now:
        raise Denied(*EXPIRED)
    start = now
    for name in ("nbf", "iat"):
        if name not in claims:
            continue
        begins = _moment(claims[name])
        if begins is None or begins > now + SKEW_S:
            raise Denied(*TOO_EARLY)
        start = min(start, begins)
    if expires - start > TTL_S_MAX:
        _deny(TOO_LONG, f"a token may be valid for {TTL_S_MAX} seconds at most")
    return datetime.fromtimestamp(expires, UTC)


def _granted(grants: Any, identity_chars_max: int) -> tuple[str, str, str | None]:
    """Service, identity and push credential. Raises Denied 20106."""
    identity = grants.get("identity") if isinstance(grants, dict) else None
    if not isinstance(identity, str):
        _deny(GRANTS, "`grants.identity` should be a text")
    if "\x00" in identity:
        _deny(GRANTS, "`grants.identity` should not have a NUL character")
    try:
        check_identity(identity, chars_max=identity_chars_max)
    except Invalid as error:
        _deny(GRANTS, f"`grants.identity`: {error.message}")
    chat = grants.get("chat")
    service_sid = chat.get("service_sid") if isinstance(chat, dict) else None
    if not isinstance(service_sid, str) or not ids.is_sid(service_sid, ids.SERVICE):
        _deny(GRANTS, "`grants.chat.service_sid` should be the SID of a conversation service")
    credential_sid = chat.get("push_credential_sid")
    if credential_sid is not None and not (
        isinstance(credential_sid, str) and ids.is_sid(credential_sid, ids.CREDENTIAL)
    ):
        _deny(GRANTS, "`grants.chat.push_credential_sid` should be the SID of a credential")
    return ids.lowered(service_sid), identity, credential_sid and ids.lowered(credential_sid)


def _moment(value: Any) -> float | None:
    """A number of seconds (RFC 7519 2, NumericDate); None for anything else."""
    if type(value) not in (int, float) or not math.isfinite(value) or value < 0:
        return None
    return float(value)


def _deny(error: tuple[int, str], reason: str) -> NoReturn:
    raise Denied(*error, {"reason": reason})
