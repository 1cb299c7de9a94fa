"""Pictures are made smaller in bounded memory, or left as they are."""

from __future__ import annotations

import os
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from app.media.scaling import shrunk


def picture(kind: str, mode: str = "RGB", size: tuple[int, int] = (800, 600), **more: Any) -> bytes:
    made = BytesIO()
    channels = len(Image.new(mode, (1, 1)).getbands())
    Image.frombytes(mode, size, os.urandom(size[0] * size[1] * channels)).save(made, kind, **more)
    return made.getvalue()


@pytest.mark.parametrize(
    ("kind", "mode"),
    [
        ("JPEG", "RGB"),
        ("PNG", "RGB"),
        ("PNG", "RGBA"),
        ("PNG", "L"),
        ("PNG", "LA"),
        ("WEBP", "RGB"),
    ],
)
def test_a_picture_becomes_a_jpeg_within_the_limit(kind: str, mode: str) -> None:
    data = picture(kind, mode)
    for most in (400_000, 150_000):
        made = shrunk(data, most)
        assert made is not None
        assert len(made) <= most
        assert Image.open(BytesIO(made)).format == "JPEG"


def test_what_was_transparent_is_white() -> None:
    made = BytesIO()
    Image.new("RGBA", (10, 10), (0, 0, 0, 0)).save(made, "PNG")
    small = shrunk(made.getvalue(), 10_000)
    assert small is not None
    assert Image.open(BytesIO(small)).getpixel((5, 5)) == (255, 255, 255)


def test_a_photo_stands_upright_and_does_not_say_where_it_was_taken() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    exif[0x8825] = {1: "N"}
    small = shrunk(picture("JPEG", exif=exif), 400_000)
    assert small is not None
    opened = Image.open(BytesIO(small))
    assert opened.size == (600, 800)
    assert not opened.getexif()


def test_what_cannot_be_made_smaller_is_left() -> None:
    assert shrunk(b"\x89PNG\r\n\x1a\n nothing of the kind", 1000) is None
    assert shrunk(picture("PNG")[:5000], 1000) is None
    assert shrunk(picture("JPEG"), 100) is None


def test_a_picture_of_too_many_pixels_is_not_decoded() -> None:
    made = BytesIO()
    Image.new("1", (6000, 6000)).save(made, "PNG")
    assert len(made.getvalue()) < 10_000
    assert shrunk(made.getvalue(), 5_000) is None
