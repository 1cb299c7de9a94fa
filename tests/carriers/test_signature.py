"""X-Twilio-Signature against the official validator, in both directions."""

from __future__ import annotations

from urllib.parse import urlencode, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import MultiDict
from twilio.request_validator import RequestValidator

from app.carriers import signature

TOKEN = "12345"
hosts = st.from_regex(r"[a-z][a-z0-9]{0,8}(\.[a-z]{2,5}){1,2}", fullmatch=True)
ports = st.sampled_from(["", ":80", ":443", ":8443", ":3000"])
paths = st.from_regex(r"(/[A-Za-z0-9._~%;=-]{0,8}){0,3}", fullmatch=True)
queries = st.dictionaries(st.text("abcXYZ[]", min_size=1, max_size=4), st.text(max_size=6))
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
forms = st.lists(st.tuples(words, words), max_size=8)
schemes = st.sampled_from(["http", "https"])


@st.composite
def urls(draw: st.DrawFn) -> str:
    query = urlencode(draw(queries))
    base = f"{draw(schemes)}://{draw(hosts)}{draw(ports)}{draw(paths)}"
    return f"{base}?{query}" if query else base


class Flask(MultiDict[str]):
    """The multidict that the official validator knows."""


@given(url=urls(), form=forms)
def test_what_the_official_library_signs_is_valid(url: str, form: list[tuple[str, str]]) -> None:
    params, official = Flask(form), RequestValidator(TOKEN)
    made = official.compute_signature(url, params)
    assert signature.compute(url, form, TOKEN) == made
    # The official library itself refuses a URL that urlparse spells differently ("/x;" as "/x").
    assert signature.verify(url, params, made, [TOKEN]) == official.validate(url, params, made)


@given(url=urls(), form=forms)
def test_the_official_library_takes_what_we_sign(url: str, form: list[tuple[str, str]]) -> None:
    params = Flask(form)
    made = signature.sign(url, params, TOKEN)
    assert RequestValidator(TOKEN).validate(url, params, made)


@given(url=urls(), other=urls(), form=forms, changed=forms)
def test_we_agree_with_the_official_library_on_forgeries(
    url: str, other: str, form: list[tuple[str, str]], changed: list[tuple[str, str]]
) -> None:
    made = signature.sign(url, Flask(form), TOKEN)
    for where, what in ((other, form), (url, changed)):
        official = RequestValidator(TOKEN).validate(where, Flask(what), made)
        assert signature.verify(where, Flask(what), made, [TOKEN]) == official


@given(url=urls(), form=forms)
def test_either_spelling_of_the_port_is_taken(url: str, form: list[tuple[str, str]]) -> None:
    port = 443 if url.startswith("https") else 80
    host = urlsplit(url).netloc.partition(":")[0]
    with_port = urlsplit(url)._replace(netloc=f"{host}:{port}").geturl()
    without = urlsplit(url)._replace(netloc=host).geturl()
    made = signature.sign(with_port, Flask(form), TOKEN)
    assert made == signature.sign(without, Flask(form), TOKEN)
    assert signature.verify(with_port, Flask(form), made, [TOKEN])
    assert signature.verify(without, Flask(form), made, [TOKEN])


@given(url=urls(), body=st.text(st.characters(exclude_categories=["Cs"])))
def test_json_is_signed_by_its_hash(url: str, body: str) -> None:
    signed_url, made = signature.sign_json(url, body.encode(), TOKEN)
    assert RequestValidator(TOKEN).validate(signed_url, body, made)
    assert signature.verify_json(signed_url, body.encode(), made, [TOKEN])
    assert not signature.verify_json(signed_url, body.encode() + b" ", made, [TOKEN])
    assert not signature.verify_json(url, body.encode(), made, [TOKEN])


def test_the_example_of_the_documentation() -> None:
    form = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    url = "https://mycompany.com/myapp.php?foo=1&bar=2"
    assert signature.sign(url, form, TOKEN) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="


def test_every_token_of_a_rotation_counts() -> None:
    made = signature.sign("https://a.example/", {"a": "b"}, "new")
    assert signature.verify("https://a.example/", {"a": "b"}, made, ["old", "new"])
    assert not signature.verify("https://a.example/", {"a": "b"}, made, ["old"])
    assert not signature.verify("https://a.example/", {"a": "b"}, made, [])


def test_a_fragment_and_a_default_port_are_not_signed() -> None:
    plain = signature.sign("https://a.example/x?y=1", {}, TOKEN)
    assert signature.sign("https://a.example:443/x?y=1#z", {}, TOKEN) == plain
    assert signature.sign("https://a.example:8443/x?y=1", {}, TOKEN) != plain


@pytest.mark.parametrize(
    ("url", "bare"),
    [
        ("https://u:p@a.example:443/", "https://u:p@a.example/"),
        ("https://[::1]:443/", "https://[::1]/"),
        ("https://u:p@a.example:8443/", "https://u:p@a.example:8443/"),
    ],
)
def test_user_and_literal_addresses_stay_in_what_is_signed(url: str, bare: str) -> None:
    made = signature.compute(bare, [], TOKEN)
    assert signature.sign(url, {}, TOKEN) == made
    assert signature.verify(url, {}, made, [TOKEN])


@pytest.mark.parametrize("given_signature", ["", "é", "\udc80", "=" * 10_000])
def test_a_broken_signature_is_only_invalid(given_signature: str) -> None:
    assert not signature.verify("https://a.example/", {}, given_signature, [TOKEN])


def test_a_url_with_a_broken_port_is_only_invalid() -> None:
    assert not signature.verify("https://a.example:x/", {}, "", [TOKEN])
