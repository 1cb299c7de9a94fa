"""What a file is: its type by how it begins, and whether what was said of it can be true.

A type whose files begin in a known way must begin so; of all others nothing is known, and what was
said is believed. https://mimesniff.spec.whatwg.org/ has the signatures.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

UNKNOWN = "application/octet-stream"
HEAD_BYTES = 4096
CHARS_MAX = 255

TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*/[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]*")

SIGNATURES: Sequence[tuple[int, bytes, str]] = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (8, b"WAVE", "audio/wav"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"#!AMR", "audio/amr"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"OggS", "audio/ogg"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"PK\x03\x04", "application/zip"),
)
"""Where in the file, what lies there, what it then is."""

BRANDS: Mapping[bytes, str] = {
    b"qt  ": "video/quicktime",
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
    b"avif": "image/avif",
    b"3gp": "video/3gpp",
    b"3g2": "video/3gpp2",
}
"""What files of the MP4 family are, by how their brand begins; all others are video/mp4."""

ALSO: Mapping[str, frozenset[str]] = {
    "image/jpeg": frozenset({"image/jpg", "image/pjpeg"}),
    "image/png": frozenset({"image/apng", "image/x-png"}),
    "image/heif": frozenset({"image/heic", "image/heic-sequence", "image/heif-sequence"}),
    "image/heic": frozenset({"image/heif"}),
    "audio/mpeg": frozenset({"audio/mp3", "audio/mpeg3", "audio/x-mpeg", "audio/x-mp3"}),
    "audio/wav": frozenset({"audio/x-wav", "audio/wave", "audio/vnd.wave"}),
    "audio/amr": frozenset({"audio/amr-wb", "audio/amr-nb"}),
    "audio/ogg": frozenset({"video/ogg", "application/ogg", "audio/opus", "audio/vorbis"}),
    "video/webm": frozenset({"audio/webm", "video/x-matroska", "audio/x-matroska"}),
    "application/pdf": frozenset({"application/x-pdf"}),
}
"""Other names, and other types that begin in the same way."""

MP4 = frozenset({"video/mp4", "audio/mp4", "audio/x-m4a", "audio/m4a", "video/x-m4v"})
MP4 |= {"audio/aac", "audio/3gpp", "audio/3gpp2", "application/mp4"} | set(BRANDS.values())

ELSEWHERE = frozenset({"audio/mpeg", "audio/ogg"})
"""Of these some files begin in other ways than the one above (an MP3 with its first frame)."""


def sniffed(head: bytes) -> str | None:
    """The type of a file that begins so; None when that tells nothing."""
    if head[4:8] == b"ftyp":
        brand = head[8:12]
        return next((kind for mark, kind in BRANDS.items() if brand.startswith(mark)), "video/mp4")
    for offset, mark, kind in SIGNATURES:
        if head.startswith(mark, offset) and (offset == 0 or head.startswith(b"RIFF")):
            return kind
    if len(head) > 2 and head[0] == 0xFF and head[1] & 0xE6 == 0xE2:  # an MPEG audio frame, layer 3
        return "audio/mpeg"
    return None


def plain(content_type: str) -> str:
    """A type without its parameters, in lower case; nothing for what is no type."""
    kind = content_type.partition(";")[0].strip()
    fits = len(content_type) <= CHARS_MAX and content_type.isprintable()
    return kind.lower() if fits and TYPE.fullmatch(kind) else ""


def believable(said: str, head: bytes) -> bool:
    """Whether a file that begins so can be of this (plain) type."""
    found = sniffed(head)
    if found is None:
        return said not in KNOWN or said in ELSEWHERE
    if said == found or said in ALSO.get(found, ()):
        return True
    if said in MP4 and head[4:8] == b"ftyp":
        return True
    return found == "application/zip" and said not in KNOWN and said.startswith("application/")


def settled(said: str, head: bytes) -> str:
    """The type under which a file is kept: what was said, if that says anything; what it begins
    like, if that tells more."""
    if plain(said) in ("", UNKNOWN):
        return sniffed(head) or UNKNOWN
    return said.strip()


KNOWN = frozenset(kind for _, _, kind in SIGNATURES) | frozenset(
    {"video/mp4", "image/heic", "image/heif", "image/avif", "video/quicktime", "image/jpg"}
)
"""Types whose files begin in a known way."""
