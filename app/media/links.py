"""URLs that open one file to whoever has them, for a while.

`/media/{SID}/{until}-{most}.{signature}/{name}`: `until` is a Unix time, `most` how many bytes a
picture may have and is made smaller for (0: as it is); the signature is of the vault's key and
covers all three. Nothing is kept of them.
"""

from __future__ import annotations

import re
from datetime import datetime

from app.carriers.filetype import TYPES
from app.vault import Vault

PATH = "/media/{Sid}/{Pass}/{Name}"
NAME_CHARS_MAX = 100
PASS = re.compile(r"(\d{1,12})-(\d{1,12})\.([A-Za-z0-9_-]{43})", re.ASCII)
UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
ENDINGS = {kind: ending for ending, kind in sorted(TYPES.items(), reverse=True)}


def path(
    vault: Vault,
    sid: str,
    content_type: str,
    filename: str | None,
    *,
    until: datetime,
    bytes_max: int | None = None,
) -> str:
    """The path that opens this file until then. Raises Forbidden when there is no key."""
    said = f"{int(until.timestamp())}-{bytes_max or 0}"
    return f"/media/{sid}/{said}.{vault.sign(_about(sid, said))}/{name(content_type, filename)}"


def opens(vault: Vault, sid: str, passed: str, now: datetime) -> int | None:
    """Whether this pass opens this file now: the bytes that it is to be made smaller than (0:
    whatever it has), None when it does not."""
    match = PASS.fullmatch(passed)
    if match is None or int(match[1]) < now.timestamp():
        return None
    signed = vault.signed(_about(sid, f"{match[1]}-{match[2]}"), match[3])
    return int(match[2]) if signed else None


def name(content_type: str, filename: str | None) -> str:
    """What the file is called at the end of its URL: carriers look at the ending."""
    plain = UNSAFE.sub("_", filename or "").strip("._")[-NAME_CHARS_MAX:]
    ending = ENDINGS.get(content_type.partition(";")[0].strip().lower())
    if not plain:
        return f"file.{ending or 'bin'}"
    return plain if "." in plain or ending is None else f"{plain}.{ending}"


def _about(sid: str, said: str) -> str:
    return f"media {sid} {said}"
