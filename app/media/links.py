"""URLs that open one file to whoever has them, for a while.

`/media/{SID}/{until}.{signature}/{name}`: `until` is a Unix time, the signature is of the vault's
key and covers both. Nothing is kept of them.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from app.carriers.filetype import TYPES
from app.vault import Vault

PATH = "/media/{Sid}/{Pass}/{Name}"
NAME_CHARS_MAX = 100
PASS = re.compile(r"(\d{1,12})\.([A-Za-z0-9_-]{43})")
UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
ENDINGS = {kind: ending for ending, kind in sorted(TYPES.items(), reverse=True)}


def path(
    vault: Vault, sid: str, content_type: str, filename: str | None, now: datetime, life_s: float
) -> str:
    """The path that opens this file for so long. Raises Forbidden when there is no key."""
    until = int((now + timedelta(seconds=life_s)).timestamp())
    return f"/media/{sid}/{until}.{vault.sign(_about(sid, until))}/{name(content_type, filename)}"


def opens(vault: Vault, sid: str, passed: str, now: datetime) -> bool:
    """Whether this pass opens this file now."""
    match = PASS.fullmatch(passed)
    if match is None or int(match[1]) < now.timestamp():
        return False
    return vault.signed(_about(sid, int(match[1])), match[2])


def name(content_type: str, filename: str | None) -> str:
    """What the file is called at the end of its URL: carriers look at the ending."""
    plain = UNSAFE.sub("_", filename or "").strip("._")[-NAME_CHARS_MAX:]
    ending = ENDINGS.get(content_type.partition(";")[0].strip().lower())
    if not plain:
        return f"file.{ending or 'bin'}"
    return plain if "." in plain or ending is None else f"{plain}.{ending}"


def _about(sid: str, until: int) -> str:
    return f"media {sid} until {until}"
