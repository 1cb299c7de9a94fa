"""How a described provider shows that its requests are its own."""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest

from tests.carriers.http_sample import provider, request

BODY = b'{"a":1}'
URL = "https://talk.example.com/carriers/acme/inbound?x=1"
HMACS: list[tuple[str, dict[str, Any], bytes, Callable[[bytes], str]]] = [
    ("hex over the body", {}, BODY, lambda made: made.hex()),
    ("base64", {"encoding": "base64"}, BODY, lambda made: b64encode(made).decode()),
    ("with a prefix", {"prefix": "v1="}, BODY, lambda made: "v1=" + made.hex()),
    ("over URL and body", {"over": "{url}{body}"}, URL.encode() + BODY, lambda made: made.hex()),
    (
        "over the URL without its query, and a nonce",
        {"over": "{url.bare}{header.X-Nonce}"},
        URL.partition("?")[0].encode() + b"77",
        lambda made: made.hex(),
    ),
    (
        "over lines",
        {"over": "{method}\n{query.x}\n{body.sha256}"},
        b"POST\n1\n" + sha256(BODY).digest(),
        lambda made: made.hex(),
    ),
    ("one of several", {}, BODY, lambda made: f"0011, {made.hex()}"),
]


@pytest.mark.parametrize("digest", ["sha1", "sha256", "sha512"])
@pytest.mark.parametrize(
    ("options", "text", "shown"), [row[1:] for row in HMACS], ids=[row[0] for row in HMACS]
)
def test_an_hmac_is_checked(
    digest: str, options: dict[str, Any], text: bytes, shown: Callable[[bytes], str]
) -> None:
    scheme = {"scheme": "hmac", "header": "X-Sig", "secret": "key", "digest": digest}
    carrier = provider(verify=scheme | options)

    def verified(key: bytes, body: bytes = BODY) -> str:
        given = shown(hmac.digest(key, text, digest))
        headers = {"x-sig": given, "x-nonce": "77"}
        target = "/carriers/acme/inbound?x=1"
        return carrier.verify(request(body, headers=headers, target=target, query={"x": "1"}))

    assert verified(b"s3cret") == "valid"
    assert verified(b"another") == "invalid"
    if "body" in options.get("over", "{body}"):
        assert verified(b"s3cret", b"{}") == "invalid"
    assert carrier.verify(request(BODY)) == "invalid"


def test_a_form_is_signed_by_its_sorted_fields() -> None:
    scheme = {"scheme": "hmac", "header": "X-Sig", "secret": "key", "over": "{url}{form.sorted}"}
    text = b"https://talk.example.com/carriers/acme/inboundA1B2"
    headers = {"X-Sig": hmac.digest(b"s3cret", text, "sha256").hex()}
    carrier = provider(verify=scheme)
    assert carrier.verify(request(form={"B": "2", "A": "1"}, headers=headers)) == "valid"
    assert carrier.verify(request(form={"B": "3", "A": "1"}, headers=headers)) == "invalid"


def test_every_secret_of_a_rotation_is_taken() -> None:
    scheme = {"scheme": "token", "header": "X-Token", "secret": ["key", "user"]}
    carrier = provider(verify=scheme)
    found = [carrier.verify(request(headers={"X-Token": one})) for one in ("s3cret", "me", "x", "")]
    assert found == ["valid", "valid", "invalid", "invalid"]


def test_a_token_may_be_in_the_query() -> None:
    carrier = provider(verify={"scheme": "token", "query": "t", "secret": "key"})
    assert carrier.verify(request(query={"t": "s3cret"})) == "valid"
    assert carrier.verify(request(query={"t": "s3cre"})) == "invalid"
    assert carrier.verify(request()) == "invalid"


def test_basic_authentication_is_checked() -> None:
    carrier = provider(verify={"scheme": "basic", "username": "ann", "secret": "key"})
    good = {"Authorization": "Basic " + b64encode(b"ann:s3cret").decode()}
    assert carrier.verify(request(headers=good)) == "valid"
    assert carrier.verify(request(headers={"Authorization": "Basic YTpi"})) == "invalid"
    assert carrier.verify(request()) == "invalid"


def test_without_a_scheme_nothing_is_checked() -> None:
    assert provider().verify(request()) == "unchecked"
