"""What one call of a webhook sends: method, URL, signed headers, body.

Always X-Twilio-Signature; with secrets in the file also the headers of Standard Webhooks
(https://www.standardwebhooks.com), one signature by each secret.
"""

from __future__ import annotations

import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from urllib.parse import urlencode

from app.carriers.signature import HEADER, sign
from app.settings.models import AccountSettings
from app.store.outbox import Claimed

SENDER_SCOPE = "sender"
"""The sender's own messaging webhook: it gets the carrier's form, with nothing added."""

SAYS_NOTHING_OF_PEOPLE = frozenset(
    {
        *("EventType", "Source", "Reason", "State", "StateFrom", "StateTo", "StateUpdated"),
        *("Index", "LastReadMessageIndex", "RetryCount", "Status", "ErrorCode"),
        *("DateCreated", "DateUpdated", "DateRemoved", "MessagingBinding.Type"),
        *("isOnline", "isNotifiable", "NumMedia", "NumSegments", "SmsStatus", "ApiVersion"),
    }
)
HIDDEN = "***"


@dataclass(frozen=True, slots=True)
class Request:
    """One call. `params` are what it says, wherever that is written; `body` is None for a GET."""

    method: str
    url: str
    headers: dict[str, str]
    body: bytes | None
    params: Mapping[str, str]


def request(item: Claimed, account: AccountSettings, now: datetime) -> Request:
    """The call that this attempt makes, signed by its account."""
    params = dict(item.params or {})
    if item.scope != SENDER_SCOPE:
        params["RetryCount"] = str(item.attempts - 1)
    return signed(item.method or "POST", item.url or "", params, item.token, account, now)


def signed(
    method: str,
    url: str,
    params: Mapping[str, str],
    token: str,
    account: AccountSettings,
    now: datetime,
) -> Request:
    """The call that says these parameters to this URL under this idempotency token; the URL's
    fragment stays here."""
    url = url.partition("#")[0]
    headers = {"I-Twilio-Idempotency-Token": token, "Accept": "*/*"}
    auth_token = account.auth_token.get_secret_value()
    secrets = [secret.get_secret_value() for secret in account.webhook_secrets]
    if method == "GET":
        mark = "&" if "?" in url else "?"
        url = f"{url}{mark}{urlencode(params)}"
        headers |= {HEADER: sign(url, {}, auth_token), **standard(token, now, b"", secrets)}
        return Request("GET", url, headers, None, params)
    body = urlencode(params).encode()
    headers["Content-Type"] = "application/x-www-form-urlencoded; charset=utf-8"
    headers |= {HEADER: sign(url, params, auth_token), **standard(token, now, body, secrets)}
    return Request("POST", url, headers, body, params)


def standard(name: str, now: datetime, body: bytes, secrets: Sequence[str]) -> dict[str, str]:
    """The headers of Standard Webhooks for a message of this name; none without a secret."""
    if not secrets:
        return {}
    moment = str(int(now.timestamp()))
    signed = f"{name}.{moment}.".encode() + body
    signatures = [
        b64encode(hmac.new(b64decode(one.removeprefix("whsec_")), signed, sha256).digest())
        for one in secrets
    ]
    return {
        "webhook-id": name,
        "webhook-timestamp": moment,
        "webhook-signature": " ".join(f"v1,{one.decode()}" for one in signatures),
    }


def kept(params: Mapping[str, str], how: str) -> dict[str, str] | None:
    """What is kept of the parameters: all (full), the values that say nothing of people (redacted;
    every name stays), or none."""
    if how == "none":
        return None
    if how == "full":
        return dict(params)
    return {
        name: value if name.endswith("Sid") or name in SAYS_NOTHING_OF_PEOPLE else HIDDEN
        for name, value in params.items()
    }
