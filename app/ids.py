"""The one home of chance and of SIDs.

A SID is a two-letter prefix and 32 lower-case hex digits in the layout of UUIDv7 (RFC 9562 5.7):
48 bits of Unix milliseconds, version, a counter within the millisecond, variant, chance. SIDs made
by one process only grow, so primary keys append.
"""

from __future__ import annotations

import hashlib
import random
import re
import time
import uuid
from base64 import urlsafe_b64encode
from os import urandom

ACCOUNT = "AC"
ADDRESS_CONFIGURATION = "IG"
API_KEY = "SK"
CONVERSATION = "CH"
CONTENT = "HX"
CREDENTIAL = "CR"
CONTACT = "FC"
EXECUTION = "FN"
EXECUTION_STEP = "FT"
FLOW = "FW"
MEDIA = "ME"
MESSAGE = "IM"
MESSAGING_SERVICE = "MG"
PARTICIPANT = "MB"
PUSH_BINDING = "BS"
RECEIPT = "DY"
ROLE = "RL"
SERVICE = "IS"
SINK = "DG"
SINK_TEST = "TE"
STREAM_EVENT = "EZ"
SUBSCRIPTION = "DF"
USER = "US"
WEBHOOK = "WH"

SID = re.compile(r"[A-Z]{2}[0-9a-fA-F]{32}")

_END = (1 << 62) - 1
_CHANCE = 9  # bytes in each: 8 bits of counter, 62 at the end
_last = 0
_drawn: list[bytes] = []


def new(prefix: str) -> str:
    """A new SID, greater than every SID that this process has made before."""
    global _last
    drawn = int.from_bytes(_draw(), "big")
    stamp = (time.time_ns() // 1_000_000 << 12) | drawn >> 64
    _last = stamp if stamp > _last else _last + 1
    value = (_last >> 12) << 80 | 0x7 << 76 | (_last & 0xFFF) << 64 | 0x2 << 62 | drawn & _END
    return f"{prefix}{value:032x}"


def _draw() -> bytes:
    if not _drawn:  # many at once: to ask the system costs as much as the rest
        many = urandom(_CHANCE * 256)
        _drawn.extend(many[at : at + _CHANCE] for at in range(0, len(many), _CHANCE))
    return _drawn.pop()


def stable(prefix: str, *parts: str) -> str:
    """The SID of a thing declared in the YAML: the same parts give the same SID, for ever."""
    digest = hashlib.sha256("\x00".join((prefix, *parts)).encode()).hexdigest()
    return prefix + digest[:32]


def twin(prefix: str, sid: str) -> str:
    """The SID of what there is one of for each of another kind: its digits, with this prefix."""
    return prefix + sid[2:]


def is_sid(text: str, prefix: str) -> bool:
    """Whether the text has the form of a SID with this prefix; either case of hex is taken."""
    return text.startswith(prefix) and SID.fullmatch(text) is not None


def lowered(sid: str) -> str:
    """A SID as it is kept: its digits may come in either case."""
    return sid[:2] + sid[2:].lower()


def secret() -> str:
    """A secret of 256 random bits, for people to copy: 43 characters that no shell minds."""
    return urlsafe_b64encode(urandom(32)).rstrip(b"=").decode()


def noise(count: int) -> bytes:
    """So many random bytes, for ciphers."""
    return urandom(count)


def token() -> str:
    """A random UUID (RFC 9562 5.4): idempotency tokens, lease tokens."""
    drawn = (_draw() + _draw()).hex()
    variant = "89ab"[int(drawn[16], 16) & 3]
    return f"{drawn[:8]}-{drawn[8:12]}-4{drawn[13:16]}-{variant}{drawn[17:20]}-{drawn[20:32]}"


def stable_token(*parts: str) -> str:
    """An idempotency token that the same parts give again."""
    digest = hashlib.sha256("\x00".join(parts).encode()).digest()
    return str(uuid.UUID(bytes=digest[:16], version=5))


def chance() -> float:
    """A random number in [0, 1) for jitter; never for secrets."""
    return random.random()  # noqa: S311
