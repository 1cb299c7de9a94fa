"""Pictures that are too large for a channel, made smaller: a JPEG of at most so many bytes.

A picture is decoded in few steps of known size: what would take more memory than `PIXELS_MAX` allow
is left as it is.
"""

from __future__ import annotations

import asyncio
from io import BytesIO

from PIL import Image, ImageOps, UnidentifiedImageError

from app.files.store import Kept
from app.rules.content import SCALED_BYTES_MAX
from app.runtime import Runtime

FORMATS = ("JPEG", "PNG", "WEBP")
PIXELS_MAX = 25_000_000
SIDES = (2560, 1920, 1440, 1080, 720, 480)
QUALITIES = (88, 75)
AT_ONCE, WAITING_MAX = 1, 32
WHITE = (255, 255, 255)


async def scaled(runtime: Runtime, kept: Kept, bytes_max: int) -> bytes | None:
    """A kept picture in at most so many bytes; None when it cannot be made so. Raises Unavailable
    when too many wait for theirs, and what reading raises."""
    if kept.size > SCALED_BYTES_MAX:
        return None
    async with runtime.turns.take("scaling", AT_ONCE, WAITING_MAX):
        data = b"".join([chunk async for chunk in runtime.files.read(kept)])
        return await asyncio.to_thread(shrunk, data, bytes_max)


def shrunk(data: bytes, bytes_max: int) -> bytes | None:
    """The largest JPEG of this picture that has at most so many bytes; None for what is no picture,
    has too many pixels, or does not get so small."""
    try:
        picture = Image.open(BytesIO(data), formats=FORMATS)
        picture.draft("RGB", (SIDES[0], SIDES[0]))  # a JPEG is decoded smaller at once
        if picture.width * picture.height > PIXELS_MAX:
            return None
        plain = _plain(picture)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError):
        return None
    for side in SIDES:
        plain.thumbnail((side, side))
        for quality in QUALITIES:
            made = BytesIO()
            plain.save(made, "JPEG", quality=quality, optimize=True)
            if made.tell() <= bytes_max:
                return made.getvalue()
    return None


def _plain(picture: Image.Image) -> Image.Image:
    """Upright, without transparency, and without what else a file says of itself (its place)."""
    upright = ImageOps.exif_transpose(picture)
    if "transparency" in upright.info or upright.mode in ("RGBA", "LA", "PA"):
        upright = upright.convert("RGBA")
        ground = Image.new("RGB", upright.size, WHITE)
        ground.paste(upright, mask=upright.getchannel("A"))
        return ground
    plain = upright.convert("RGB")
    plain.info.clear()
    return plain
