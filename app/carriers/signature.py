"""X-Twilio-Signature, both ways: what Twilio's official validators compute and accept.

https://www.twilio.com/docs/usage/webhooks/webhooks-security: base64 of HMAC-SHA1, keyed with the
auth token, over the URL and then every form parameter's name and value in byte order; a repeated
name gives each of its different values once. A JSON body is not in that text: its SHA-256 is in the
URL, as the parameter `bodySHA256`.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import sha256
from urllib.parse import ParseResult, parse_qs, urlparse

HEADER = "X-Twilio-Signature"
BODY_HASH = "bodySHA256"
PORTS = {"http": 80, "https": 443}


def sign(url: str, params: Mapping[str, str], token: str) -> str:
    """The header for a webhook of ours: a form POST, or a GET with empty `params`, since its
    parameters are in the URL.

    `url` is the one that goes over the wire (percent-encoded). Its default port and its fragment
    are not signed: receivers rebuild the URL without them.
    """
    return compute(_bare(url), params.items(), token)


def sign_json(url: str, body: bytes, token: str) -> tuple[str, str]:
    """The URL to call, which carries the body's hash, and the header, for a JSON webhook."""
    address = url.partition("#")[0]
    mark = "&" if "?" in address else "?"
    signed = f"{address}{mark}{BODY_HASH}={sha256(body).hexdigest()}"
    return signed, sign(signed, {}, token)


def verify(url: str, params: Mapping[str, str], signature: str, tokens: Iterable[str]) -> bool:
    """Whether one of the tokens made this signature for this URL (written with or without its
    port) and these form parameters. `params` may be a multidict. Each comparison takes constant
    time."""
    given = signature.encode("utf-8", "replace")
    pairs = tuple(params.items())
    return any(
        hmac.compare_digest(compute(spelling, pairs, token).encode(), given)
        for token in tokens
        for spelling in _spellings(url)
    )


def verify_json(url: str, body: bytes, signature: str, tokens: Iterable[str]) -> bool:
    """Whether the URL carries this body's hash and one of the tokens signed that URL."""
    claimed = parse_qs(urlparse(url).query).get(BODY_HASH, [""])[0].encode("utf-8", "replace")
    same_body = hmac.compare_digest(sha256(body).hexdigest().encode(), claimed)
    return verify(url, {}, signature, tokens) and same_body


def compute(url: str, pairs: Iterable[tuple[str, str]], token: str) -> str:
    """The signature of exactly this URL and these parameters, each different pair once."""
    text = url + "".join(map("".join, sorted(set(pairs))))
    digest = hmac.digest(token.encode(), text.encode("utf-8", "replace"), "sha1")
    return b64encode(digest).decode()


@lru_cache(maxsize=64)  # a carrier calls few URLs
def _spellings(url: str) -> tuple[str, ...]:
    """The URL without and with its port: which of them Twilio signs is not consistent."""
    parsed = urlparse(url)
    try:
        port = parsed.port
    except ValueError:
        return ()
    if port:
        return parsed.geturl(), _without_port(parsed)
    default = PORTS["https"] if parsed.scheme == "https" else PORTS["http"]
    return parsed.geturl(), parsed._replace(netloc=f"{parsed.netloc}:{default}").geturl()


def _bare(url: str) -> str:
    parsed = urlparse(url)._replace(fragment="")
    if parsed.port is not None and parsed.port == PORTS.get(parsed.scheme):
        return _without_port(parsed)
    return parsed.geturl()


def _without_port(parsed: ParseResult) -> str:
    return parsed._replace(netloc=parsed.netloc.rpartition(":")[0]).geturl()
