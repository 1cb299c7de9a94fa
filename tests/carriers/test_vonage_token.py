"""What Vonage signs with, what we sign in with, and the options that both need."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from hashlib import sha256
from typing import Any

import aiohttp
import jwt
import pytest
from pydantic import ValidationError

from app.carriers.contract import Context
from app.carriers.vonage import Options
from app.carriers.vonage_token import LIFETIME_S, SPARE_S, Signer, private_key
from tests.carriers.vonage_requests import NOW, message, request, vonage
from tests.support.canned_json import Noon
from tests.support.clock import START
from tests.support.vonage_stand_in import APPLICATION_ID, OPTIONS, PRIVATE_KEY, SECRET, sign

BODY = json.dumps(message()).encode()
TOKENS: list[tuple[str, dict[str, Any], str]] = [
    ("of now", {}, "valid"),
    ("of yesterday: Vonage repeats for a day", {"iat": NOW - 86_400}, "valid"),
    ("a little early", {"iat": NOW + 299}, "valid"),
    ("of tomorrow", {"iat": NOW + 86_400}, "invalid"),
    ("of no time", {"iat": None}, "invalid"),
    ("of a time that is none", {"iat": "now"}, "invalid"),
    ("that expires", {"exp": NOW + 60}, "valid"),
    ("that has expired", {"exp": NOW - 301}, "invalid"),
    ("that expires at no time", {"exp": "never"}, "invalid"),
    ("about another body", {"payload_hash": sha256(b"{}").hexdigest()}, "invalid"),
    ("about no body", {"payload_hash": None}, "invalid"),
    ("about what is no hash", {"payload_hash": 7}, "invalid"),
    ("in capitals", {"payload_hash": sha256(BODY).hexdigest().upper()}, "valid"),
    ("of the other secret", {"secret": OPTIONS["signature_secret"][1]}, "valid"),
    ("of another secret", {"secret": "x" * 40}, "invalid"),
    ("of no issuer and no application", {"iss": None, "application_id": None}, "valid"),
]


@pytest.mark.parametrize(
    ("claims", "result"), [case[1:] for case in TOKENS], ids=[case[0] for case in TOKENS]
)
def test_a_token_is_about_one_body(claims: dict[str, Any], result: str) -> None:
    header = sign(BODY, **{"iat": NOW} | claims)
    assert vonage().verify(request(BODY, Authorization=header)) == result


def unsigned() -> str:
    claims = {"iat": NOW, "payload_hash": sha256(BODY).hexdigest()}
    return "Bearer " + jwt.encode(claims, None, algorithm="none")


def signed_with_our_key() -> str:
    claims = {"iat": NOW, "payload_hash": sha256(BODY).hexdigest()}
    return "Bearer " + jwt.encode(claims, PRIVATE_KEY, algorithm="RS256")


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer x",
        "Bearer a.b.c",
        "Bearer \udcff.b.c",
        sign(BODY, iat=NOW).replace("Bearer", "Basic"),
        sign(BODY, iat=NOW)[:-4],
        unsigned(),
        signed_with_our_key(),
    ],
)
def test_a_broken_token_is_invalid(header: str) -> None:
    assert vonage().verify(request(BODY, Authorization=header)) == "invalid"


@pytest.mark.parametrize(
    "wrong",
    [
        {"application_id": "aaaa"},
        {"private_key": ""},
        {"private_key": "-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----"},
        {"private_key": PRIVATE_KEY.replace("PRIVATE", "PUBLIC")},
        {"signature_secret": ""},
        {"signature_secret": []},
        {"base_url": "api.nexmo.com"},
        {"extra": 1},
    ],
)
def test_wrong_options_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        vonage(**wrong)
    assert "PRIVATE KEY" not in str(refused.value)


def test_a_key_may_come_in_one_line() -> None:
    assert vonage(private_key=PRIVATE_KEY.replace("\n", "\\n")).kind == "vonage"


def test_secrets_are_not_shown() -> None:
    options = Options.model_validate(OPTIONS)
    shown = repr(options) + repr(vars(vonage())["_line"])
    assert SECRET not in shown
    assert PRIVATE_KEY[40:60] not in shown


def claims(token: str) -> dict[str, Any]:
    key = private_key(PRIVATE_KEY).public_key()
    checks = {"verify_exp": False, "verify_iat": False}
    return jwt.decode(token, key, algorithms=["RS256"], options=checks)  # type: ignore[arg-type]


def test_we_sign_in_with_a_token_of_the_application() -> None:
    made = claims(Signer(APPLICATION_ID, private_key(PRIVATE_KEY)).token(START))
    assert made.pop("jti")
    assert made == {"application_id": APPLICATION_ID, "iat": NOW, "exp": NOW + LIFETIME_S}


def test_a_token_is_used_again_until_it_is_nearly_over() -> None:
    signer = Signer(APPLICATION_ID, private_key(PRIVATE_KEY))
    first = signer.token(START)
    assert signer.token(START + timedelta(seconds=LIFETIME_S - SPARE_S - 1)) == first
    second = signer.token(START + timedelta(seconds=LIFETIME_S - SPARE_S))
    assert second != first
    assert claims(second)["jti"] != claims(first)["jti"]


def test_a_clock_that_was_set_back_gets_a_token_of_its_own_time() -> None:
    signer = Signer(APPLICATION_ID, private_key(PRIVATE_KEY))
    signer.token(START)
    earlier = START - timedelta(days=1)
    assert claims(signer.token(earlier))["iat"] == int(earlier.timestamp())


@pytest.fixture
async def context() -> AsyncIterator[Context]:
    async with aiohttp.ClientSession() as http:
        yield Context(http, Noon())


async def test_our_token_opens_files_of_vonages_only(context: Context) -> None:
    carrier = vonage(base_url="http://127.0.0.1:9000")
    for url, opened in (
        ("https://api-us.nexmo.com/v3/media/1b45", True),
        ("https://api-eu.vonage.com/v3/media/1b45", True),
        ("http://127.0.0.1:9000/v3/media/1b45", True),
        ("http://127.0.0.1:90001/v3/media/1b45", False),
        ("http://api-us.nexmo.com/v3/media/1b45", False),
        ("https://nexmo.com.evil.example/v3/media/1b45", False),
        ("https://evilnexmo.com/v3/media/1b45", False),
        ("https://user@evil.example/.nexmo.com", False),
        ("https://[", False),
    ):
        source = await carrier.media_source(url, context)
        assert (source.url, "Authorization" in source.headers) == (url, opened), url
