"""The kinds of value that the file's keys take: SIDs, names, addresses, URLs, events.

A check raises a message for operators and never repeats the value: it may be a secret.
"""

from __future__ import annotations

import ipaddress
import re
from base64 import b64decode
from collections.abc import Callable
from typing import Annotated, Literal, TypeVar
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, SecretStr
from pydantic_core import PydanticCustomError

from app import ids
from app.settings import address, overrides

# The type of every error raised here: its message is ours and is shown as it is.
PLAIN = "parley"

_T = TypeVar("_T")
_PORT = re.compile(r":([^:\]]*)$")
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\]")
_HOST = re.compile(r"(?=.{1,253}\Z)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*\.?", re.IGNORECASE)


def _plainly(check: Callable[[_T], _T]) -> AfterValidator:
    """A check that raises ValueError, as a validator whose message is shown as it is."""

    def checked(value: _T) -> _T:
        try:
            return check(value)
        except ValueError as error:
            message = str(error)
        raise PydanticCustomError(PLAIN, "{message}", {"message": message})

    return AfterValidator(checked)


def web_url(text: str) -> str:
    """An http or https URL, unchanged: signatures are computed over it as written."""
    _split(text)
    return text


def webhook_url(text: str) -> str:
    """A URL like `web_url`; what its fragment asks of us must mean something."""
    wrong = overrides.check(web_url(text))
    if wrong:
        raise ValueError(f"{wrong[0].message} ({wrong[0].code})")
    return text


def webhook_secret(secret: SecretStr) -> SecretStr:
    """A secret of Standard Webhooks: whsec_ and 24 to 64 bytes in base64."""
    text = secret.get_secret_value()
    try:
        key = b64decode(text.removeprefix("whsec_"), validate=True)
    except ValueError:
        key = b""
    if not text.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise ValueError("should be whsec_ and 24 to 64 bytes in base64")
    return secret


def public_url(text: str) -> str:
    """The http or https URL under which the world knows us, without a slash at its end."""
    parts = _split(text)
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise ValueError("give scheme, host and path only: no user, ? or #")
    return text.rstrip("/")


def network(text: str) -> str:
    """An IP address or a network in CIDR notation."""
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        text = ""
    if not text:
        raise ValueError("should be an IP address or a network like 10.0.0.0/8")
    return text


def target(text: str) -> str:
    """An IP address, a network, or one exact host name."""
    try:
        return network(text)
    except ValueError:
        pass
    if "/" in text or not _HOST.fullmatch(text):
        raise ValueError("should be a host name, an IP address or a network like 10.0.0.0/8")
    return text.lower()


def time_zone(text: str) -> str:
    """The name of a time zone of the IANA database."""
    try:
        ZoneInfo(text)
    except (ValueError, OSError, LookupError):
        text = ""
    if not text:
        raise ValueError("should be the name of a time zone like America/New_York")
    return text


def rated(key: str) -> tuple[str | None, str | None]:
    """The channel and the country that a key of `rates` names."""
    words = key.split(" ")
    country = words.pop() if words[-1].isupper() else None
    return (words[0] if words else None), country


def database_url(secret: SecretStr) -> SecretStr:
    """A URL of a PostgreSQL database."""
    url = secret.get_secret_value()
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("postgresql", "postgres"):
        raise ValueError("should be a URL like postgresql://user:password@host/database")
    hosts = rest.partition("/")[0].partition("?")[0].rpartition("@")[2]
    for host in hosts.split(","):
        port = _PORT.search(host)
        if port and not (port[1].isdecimal() and 0 < int(port[1]) < 65536):
            raise ValueError("should have a port of 1 to 65535 behind the host's colon")
    return secret


def _split(text: str) -> SplitResult:
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or _UNSAFE.search(text):
        raise ValueError("should be a URL that starts with http:// or https://")
    return parts


AccountSid = Annotated[str, Field(pattern=r"^AC[0-9a-fA-F]{32}$")]
ApiKeySid = Annotated[str, Field(pattern=r"^SK[0-9a-fA-F]{32}$")]
ContentSid = Annotated[str, Field(pattern=r"^HX[0-9a-fA-F]{32}$"), AfterValidator(ids.lowered)]
FlowSid = Annotated[str, Field(pattern=r"^FW[0-9a-fA-F]{32}$"), AfterValidator(ids.lowered)]
MessagingServiceSid = Annotated[str, Field(pattern=r"^MG[0-9a-fA-F]{32}$")]
ServiceSid = Annotated[str, Field(pattern=r"^IS[0-9a-fA-F]{32}$")]
CarrierName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Name = Annotated[str, Field(min_length=1, max_length=256)]
Rate = Annotated[str, Field(pattern=r"^[1-9][0-9]{0,8}/[smh]$")]
RATED_KEY = r"^([a-z]+|([a-z]+ )?[A-Z]{2})$"
DayTime = Annotated[str, Field(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")]
Secret = Annotated[SecretStr, Field(min_length=1)]

Address = Annotated[str, _plainly(address.normalise)]
WebUrl = Annotated[str, _plainly(webhook_url)]
WebhookSecret = Annotated[SecretStr, _plainly(webhook_secret)]
PublicUrl = Annotated[str, _plainly(public_url)]
Target = Annotated[str, _plainly(target)]
TimeZone = Annotated[str, _plainly(time_zone)]
DatabaseUrl = Annotated[SecretStr, _plainly(database_url)]

# What each pattern asks for, in words.
PATTERNS = {
    r"^[a-z0-9][a-z0-9_-]{0,62}$": (
        "a carrier's name is part of its URL: use lower-case letters, digits, _ and -"
    ),
    r"^[a-z0-9_]{1,512}$": "should have lower-case letters, digits and underscores only",
    r"^[1-9][0-9]{0,8}/[smh]$": "should be a rate like 1/s, 30/m or 1000/h",
    r"^[A-Z]{2}$": "should be two capital letters like US",
    RATED_KEY: "should be a country like US, a channel like mms, or both: mms US",
    r"^([01][0-9]|2[0-3]):[0-5][0-9]$": "should be a time of day like 21:00",
    **{
        f"^{prefix}[0-9a-fA-F]{{32}}$": f"should be {prefix} and 32 hexadecimal digits"
        for prefix in ("AC", "SK", "FW", "HX", "MG", "IS")
    },
}

SignatureMode = Literal["enforce", "report", "off"]
HttpMethod = Literal["GET", "POST"]
Payload = Literal["twilio", "enriched"]
# How long the original waits for a pre-event webhook, and what leaves time for a connection.
PRE_TIMEOUT_MS_MIN, PRE_TIMEOUT_MS_MAX = 100, 5000
OnTimeout = Literal["open", "closed"]
PreEvent = Literal[
    "onConversationAdd",
    "onConversationUpdate",
    "onConversationRemove",
    "onMessageAdd",
    "onMessageUpdate",
    "onMessageRemove",
    "onParticipantAdd",
    "onParticipantUpdate",
    "onParticipantRemove",
    "onUserUpdate",
]
PostEvent = Literal[
    "onConversationAdded",
    "onConversationUpdated",
    "onConversationRemoved",
    "onConversationStateUpdated",
    "onMessageAdded",
    "onMessageUpdated",
    "onMessageRemoved",
    "onParticipantAdded",
    "onParticipantUpdated",
    "onParticipantRemoved",
    "onDeliveryUpdated",
    "onUserAdded",
    "onUserUpdated",
]
HookEvent = Literal[PostEvent, PreEvent]
