"""X-Hub-Signature-256: `sha256=` and the hex HMAC-SHA256 of the raw body, keyed with an app secret.

https://developers.facebook.com/docs/graph-api/webhooks/getting-started. The URL is not signed.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable

HEADER = "X-Hub-Signature-256"


def sign(body: bytes, secret: str) -> str:
    """The header for this body."""
    return "sha256=" + hmac.digest(secret.encode(), body, "sha256").hex()


def verify(body: bytes, signature: str, secrets: Iterable[str]) -> bool:
    """Whether one of the secrets made it; each comparison takes constant time."""
    given = signature.encode("utf-8", "replace")
    return any(hmac.compare_digest(sign(body, secret).encode(), given) for secret in secrets)
