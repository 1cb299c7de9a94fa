"""Access tokens as the official helper library makes them, and everything that is not one."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twilio.jwt.access_token import AccessToken
from twilio.jwt.access_token.grants import ChatGrant

from app.errors import Denied
from app.rules.access_tokens import Grant, Signer, issuer, make, verified

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
T = int(NOW.timestamp())
ACCOUNT, KEY, SERVICE, PUSH = "AC" + "1" * 32, "SK" + "2" * 32, "IS" + "3" * 32, "CR" + "4" * 32
SECRET = "x" * 32
SIGNER = Signer(KEY, ACCOUNT, SECRET)
HEADER = {"typ": "JWT", "alg": "HS256", "cty": "twilio-fpa;v=1"}
CLAIMS: dict[str, Any] = {
    "jti": f"{KEY}-{T}",
    "iss": KEY,
    "sub": ACCOUNT,
    "nbf": T,
    "exp": T + 3600,
    "grants": {"identity": "alice", "chat": {"service_sid": SERVICE}},
}
GONE = object()


def official(now: datetime, **options: Any) -> str:
    """A token of the official library, which takes its times from its own clock unless it is
    told."""
    token = AccessToken(ACCOUNT, KEY, SECRET, identity="alice", nbf=now, **options)
    token.add_grant(ChatGrant(service_sid=SERVICE, push_credential_sid=PUSH))
    return token.to_jwt()


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(header: Any = None, claims: Any = None, secret: str = SECRET) -> str:
    """Anything at all, under a signature that is right."""
    head = {**HEADER, **(header or {})}
    body = {**CLAIMS, **claims} if isinstance(claims, dict) else claims or CLAIMS
    if isinstance(body, dict):
        body = {name: value for name, value in body.items() if value is not GONE}
    head = {name: value for name, value in head.items() if value is not GONE}
    text = f"{part(head)}.{part(body)}"
    key = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    return f"{text}.{part(key.sign(text.encode(), secret.encode()))}"


def read(token: str, signer: Signer = SIGNER, now: datetime = NOW) -> Grant:
    assert issuer(token) == signer.key_sid
    return verified(token, signer, now=now)


def refusal(token: str, signer: Signer = SIGNER) -> int:
    with pytest.raises(Denied) as caught:
        read(token, signer)
    assert SECRET not in str(caught.value.details)
    return caught.value.code


def test_the_official_library_s_token_is_read() -> None:
    now = datetime.now(UTC)
    grant = read(official(now, ttl=600), now=now)
    assert grant == Grant(ACCOUNT, SERVICE, "alice", KEY, grant.expires_at, PUSH)
    assert abs(grant.expires_at - now - timedelta(seconds=600)) < timedelta(seconds=5)


def test_a_token_of_ours_is_one_of_theirs() -> None:
    now = datetime.now(UTC)
    token = make(SIGNER, SERVICE, "alice", now=now, ttl_s=600)
    assert read(token, now=now).identity == "alice"
    theirs = AccessToken.from_jwt(token, SECRET)
    assert theirs.payload["grants"] == CLAIMS["grants"]
    assert theirs.headers == {"cty": "twilio-fpa;v=1", "typ": "JWT", "alg": "HS256"}


def granting(**more: Any) -> dict[str, Any]:
    return {"grants": {**CLAIMS["grants"], **more}}


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        ({}, {}),
        ({"twr": "us1"}, {}),
        ({}, {"nbf": GONE, "iat": T}),  # twilio-node
        ({}, {"nbf": GONE}),
        ({}, {"iat": T - 3}),
        ({}, {"nbf": T + 60}),
        ({}, {"nbf": T - 86_400 + 1, "exp": T + 1}),
        ({}, {"nbf": GONE, "exp": T + 86_400}),
        ({}, {"exp": T + 0.5}),
        ({}, granting(video={"room": "r"})),
        ({}, granting(identity="å" * 256)),
        ({}, granting(chat={"service_sid": SERVICE, "push_credential_sid": None})),
        ({}, granting(chat={"service_sid": SERVICE, "endpoint_id": "e"})),
    ],
)
def test_what_other_libraries_write_is_read(header: Any, claims: Any) -> None:
    assert read(signed(header, claims)).service_sid == SERVICE


@pytest.mark.parametrize(
    ("code", "token"),
    [
        (20101, ""),
        (20101, "x"),
        (20101, "a.b.c"),
        (20101, "é.é.é"),
        (20101, "\ud800"),
        (20101, "." * 20),
        (20101, part([]) + "." + part({}) + "."),
        (20101, part(HEADER) + "." + part(b"\xff") + "." + part(b"")),
        (20101, part(b"[" * 5000) + "." + part({}) + "." + part(b"")),
        (20101, part(HEADER) + "." + part(b"[" * 5000) + "." + part(b"")),
        (20101, signed(claims=b"[]")),
        (20101, signed(claims=b'{"iss": NaN}')),
        (20101, signed(claims={"jti": "x" * 8192})),
        (20102, signed({"alg": "HS384"})),
        (20102, signed({"alg": "none"})),
        (20102, signed({"alg": "RS256"})),
        (20102, signed({"alg": GONE})),
        (20102, signed({"typ": "at+jwt"})),
        (20102, signed({"typ": GONE})),
        (20102, signed({"cty": "twilio-fpa;v=2"})),
        (20102, signed({"cty": GONE})),
        (20103, signed(claims={"iss": GONE})),
        (20103, signed(claims={"iss": 1})),
        (20103, signed(claims={"iss": ACCOUNT})),
        (20103, signed(claims={"sub": GONE})),
        (20103, signed(claims={"sub": KEY})),
        (20103, signed(claims={"sub": "AC" + "9" * 32})),
        (20104, signed(claims={"exp": GONE})),
        (20104, signed(claims={"exp": T})),
        (20104, signed(claims={"exp": T - 1})),
        (20104, signed(claims={"exp": str(T + 60)})),
        (20104, signed(claims={"exp": True})),
        (20104, signed(claims={"exp": None})),
        (20105, signed(claims={"nbf": T + 61})),
        (20105, signed(claims={"nbf": None})),
        (20105, signed(claims={"nbf": "now"})),
        (20105, signed(claims={"iat": T + 61})),
        (20106, signed(claims={"grants": GONE})),
        (20106, signed(claims={"grants": []})),
        (20106, signed(claims=granting(identity=None))),
        (20106, signed(claims=granting(identity=""))),
        (20106, signed(claims=granting(identity=7))),
        (20106, signed(claims=granting(identity="a\x00b"))),
        (20106, signed(claims=granting(identity="system"))),
        (20106, signed(claims=granting(identity="x" * 257))),
        (20106, signed(claims=granting(identity="US" + "0" * 32))),
        (20106, signed(claims=granting(chat=None))),
        (20106, signed(claims=granting(chat={}))),
        (20106, signed(claims=granting(chat={"service_sid": ACCOUNT}))),
        (20106, signed(claims=granting(chat={"service_sid": [SERVICE]}))),
        (
            20106,
            signed(claims=granting(chat={"service_sid": SERVICE, "push_credential_sid": "x"})),
        ),
        (20107, signed(secret="y" * 32)),
        (20107, signed()[:-1] + ("A" if signed()[-1] != "A" else "B")),
        (20107, signed().rpartition(".")[0] + "."),
        (20157, signed(claims={"exp": T + 86_401})),
        (20157, signed(claims={"nbf": T - 86_400})),
        (20157, signed(claims={"nbf": GONE, "exp": T + 86_401})),
        (20157, signed(claims={"iat": T - 83_000, "nbf": T})),
        (20157, signed(claims={"exp": 1e300})),
    ],
)
def test_what_is_not_right_is_named(code: int, token: str) -> None:
    assert refusal(token) == code


def test_a_changed_token_is_nobody_s() -> None:
    head, _, signature = signed().split(".")
    other = part({**CLAIMS, **granting(identity="bob")})
    assert refusal(f"{head}.{other}.{signature}") == 20107


def test_a_secret_that_can_be_guessed_signs_nothing() -> None:
    short = Signer(KEY, ACCOUNT, "x" * 31)
    assert refusal(signed(secret=short.secret), short) == 20103


@given(
    st.text(max_size=200) | st.binary(max_size=60).map(lambda raw: f"{part(HEADER)}.{part(raw)}.")
)
def test_no_text_is_more_than_refused(text: str) -> None:
    assert refusal(text) in range(20101, 20108)
