"""One webhook as it goes over the wire: a form POST, or a GET with everything in the query; signed
with the account's token (behind `X-Twilio-Signature`, "Webhooks Security")."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from app.carriers.signature import HEADER, sign

FORM = "application/x-www-form-urlencoded; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Request:
    """What is sent. `body` is None for a GET."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes | None


def signed(
    method: str, url: str, params: Mapping[str, str], *, idempotency_token: str, auth_token: str
) -> Request:
    """The request that says these parameters to this URL; its fragment stays here."""
    url = url.partition("#")[0]
    headers = {"I-Twilio-Idempotency-Token": idempotency_token, "Accept": "*/*"}
    if method == "GET":
        mark = "&" if "?" in url else "?"
        url = f"{url}{mark}{urlencode(params)}"
        return Request("GET", url, headers | {HEADER: sign(url, {}, auth_token)}, None)
    headers["Content-Type"] = FORM
    headers[HEADER] = sign(url, params, auth_token)
    return Request("POST", url, headers, urlencode(params).encode())
