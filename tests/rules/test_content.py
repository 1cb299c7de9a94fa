"""What a message becomes per channel and profile; nothing is dropped silently."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.channels.facts import FACTS
from app.model.traffic import MediaPart
from app.rules.content import Deliver, Fail, Profile, fit

MB = 1024 * 1024


def part(content_type: str = "image/jpeg", size: int | None = 1000, name: str = "a") -> MediaPart:
    return MediaPart(f"https://media.example.com/{name}", content_type, size)


PHOTO = part()
SOUND = part("audio/ogg", name="s")
PDF = part("application/pdf", name="p")
ZIP = part("application/zip", name="z")
LARGE = part(size=6 * MB)
BOOK = part("application/pdf", 90 * MB, "b")

TWILIO: list[tuple[str, str, str | None, list[MediaPart], Any]] = [
    ("a text", "sms", "hi", [], Deliver("sms", "hi")),
    ("1,600 characters", "sms", "x" * 1600, [], Deliver("sms", "x" * 1600)),
    ("1,601 characters", "sms", "x" * 1601, [], 21617),
    ("1,601 characters on WhatsApp", "whatsapp", "x" * 1601, [], 21617),
    ("nothing", "sms", None, [], 21619),
    ("nothing but an empty text", "sms", "", [], 21619),
    ("nothing on WhatsApp", "whatsapp", None, [], 63021),
    ("a photo", "sms", None, [PHOTO], Deliver("mms", None, (PHOTO,))),
    ("a photo and a text", "sms", "hi", [PHOTO], Deliver("mms", None, (PHOTO,), "body")),
    (
        "a photo and a text too long",
        "sms",
        "x" * 1601,
        [PHOTO],
        Deliver("mms", None, (PHOTO,), "body"),
    ),
    (
        "a text and three files",
        "whatsapp",
        "hi",
        [PHOTO, PDF, SOUND],
        Deliver("whatsapp", None, (PHOTO,), "body, media 2 application/pdf, media 3 audio/ogg"),
    ),
    ("exactly 5 MB", "sms", None, [part(size=5 * MB)], Deliver("mms", None, (part(size=5 * MB),))),
    ("over 5 MB", "sms", "hi", [part(size=5 * MB + 1)], 11751),
    ("over 16 MB", "whatsapp", "hi", [part(size=16 * MB + 1)], 63034),
    ("unknown size", "sms", None, [part(size=None)], Deliver("mms", None, (part(size=None),))),
    ("a wrong type", "sms", None, [ZIP], 12300),
    ("a wrong type on WhatsApp", "whatsapp", None, [ZIP], 63021),
    ("unknown type", "sms", None, [part("")], Deliver("mms", None, (part(""),))),
    (
        "a type with parameters",
        "sms",
        None,
        [part("Image/JPEG; q=1")],
        Deliver("mms", None, (part("Image/JPEG; q=1"),)),
    ),
    ("a channel without facts", "viber", "hi", [], 63005),
    ("6 MB to WhatsApp", "whatsapp", None, [LARGE], Deliver("whatsapp", None, (LARGE,))),
    ("a photo and a text on RCS", "rcs", "hi", [PHOTO], Deliver("rcs", None, (PHOTO,), "body")),
    ("a spreadsheet on RCS", "rcs", None, [ZIP], 63021),
    ("1,601 characters on RCS", "rcs", "x" * 1601, [], 21617),
    ("a mail with attachments", "email", "hi", [ZIP, PDF], Deliver("email", "hi", (ZIP, PDF))),
    ("a mail of 32 KB", "email", "x" * 32_768, [], Deliver("email", "x" * 32_768)),
    ("an attachment too large", "email", None, [part(size=19 * MB)], 30019),
]
RELAXED: list[tuple[str, str, str | None, list[MediaPart], Any]] = [
    ("a text too long", "sms", "x" * 1601, [], 21617),
    ("a photo and a text", "sms", "hi", [PHOTO], Deliver("mms", "hi", (PHOTO,))),
    ("2,000 characters", "messenger", "x" * 2000, [], Deliver("messenger", "x" * 2000)),
    ("2,001 characters", "messenger", "x" * 2001, [], 21617),
    ("an archive", "messenger", None, [ZIP], Deliver("messenger", None, (ZIP,))),
    (
        "a photo and a text, without captions",
        "messenger",
        "hi",
        [PHOTO],
        Deliver("messenger", None, (PHOTO,), "body"),
    ),
    ("ten files and a text", "sms", "hi", [PHOTO] * 10, Deliver("mms", "hi", (PHOTO,) * 10)),
    (
        "eleven files",
        "sms",
        None,
        [PHOTO] * 11,
        Deliver("mms", None, (PHOTO,) * 10, "media 11 image/jpeg"),
    ),
    (
        "5 MB together",
        "sms",
        "hi",
        [part(size=3 * MB), part(size=3 * MB), part(size=2 * MB)],
        Deliver("mms", "hi", (part(size=3 * MB), part(size=2 * MB)), "media 2 image/jpeg"),
    ),
    (
        "a text too long beside a photo",
        "sms",
        "x" * 1601,
        [PHOTO],
        Deliver("mms", None, (PHOTO,), "body"),
    ),
    ("a type the carriers take", "sms", None, [SOUND], Deliver("mms", None, (SOUND,))),
    (
        "a wrong file beside a text",
        "sms",
        "hi",
        [ZIP],
        Deliver("sms", "hi", (), "media 1 application/zip"),
    ),
    ("a wrong file alone", "sms", None, [ZIP], 12300),
    ("a huge file alone", "whatsapp", None, [part(size=17 * MB)], 63034),
    ("a caption", "whatsapp", "hi", [PDF], Deliver("whatsapp", "hi", (PDF,))),
    (
        "a caption of 1,024",
        "whatsapp",
        "x" * 1024,
        [PHOTO],
        Deliver("whatsapp", "x" * 1024, (PHOTO,)),
    ),
    (
        "a caption of 1,025",
        "whatsapp",
        "x" * 1025,
        [PHOTO],
        Deliver("whatsapp", None, (PHOTO,), "body"),
    ),
    (
        "a sound has no caption",
        "whatsapp",
        "hi",
        [SOUND],
        Deliver("whatsapp", None, (SOUND,), "body"),
    ),
    (
        "two files",
        "whatsapp",
        "hi",
        [PHOTO, PDF],
        Deliver("whatsapp", "hi", (PHOTO,), "media 2 application/pdf"),
    ),
    ("6 MB to WhatsApp", "whatsapp", None, [LARGE], 63034),
    (
        "a text beside 6 MB to WhatsApp",
        "whatsapp",
        "hi",
        [LARGE],
        Deliver("whatsapp", "hi", (), "media 1 image/jpeg"),
    ),
    ("a book on WhatsApp", "whatsapp", "hi", [BOOK], Deliver("whatsapp", "hi", (BOOK,))),
    ("a book by MMS", "sms", None, [BOOK], 11751),
    ("3,072 characters", "rcs", "x" * 3072, [], Deliver("rcs", "x" * 3072)),
    ("3,073 characters", "rcs", "x" * 3073, [], 21617),
    ("a photo and a text on RCS", "rcs", "hi", [PHOTO], Deliver("rcs", None, (PHOTO,), "body")),
    (
        "attachments too large together",
        "email",
        "hi",
        [part(size=10 * MB), part(size=10 * MB)],
        Deliver("email", "hi", (part(size=10 * MB),), "media 2 image/jpeg"),
    ),
]


def check(result: Deliver | Fail, expected: Any) -> None:
    if isinstance(expected, int):
        assert isinstance(result, Fail)
        assert result.code == expected
        assert result.reason
    else:
        assert result == expected


@pytest.mark.parametrize(("label", "channel", "body", "media", "expected"), TWILIO)
def test_the_twilio_profile_keeps_the_documented_limits(
    label: str, channel: str, body: str | None, media: list[MediaPart], expected: Any
) -> None:
    check(fit(channel, body, media, "twilio"), expected)


@pytest.mark.parametrize(("label", "channel", "body", "media", "expected"), RELAXED)
def test_the_relaxed_profile_sends_what_the_channel_carries(
    label: str, channel: str, body: str | None, media: list[MediaPart], expected: Any
) -> None:
    check(fit(channel, body, media, "relaxed"), expected)


def test_chat_takes_text_and_files_together_in_both_profiles() -> None:
    profiles: tuple[Profile, ...] = ("twilio", "relaxed")
    for profile in profiles:
        delivered = fit("chat", "hi", [PHOTO, ZIP], profile)
        assert delivered == Deliver("chat", "hi", (PHOTO, ZIP))


medias = st.lists(
    st.builds(
        part,
        st.sampled_from(["image/png", "audio/amr", "video/mp4", "application/zip", "", ";;"]),
        st.one_of(st.none(), st.integers(0, 40 * MB)),
    ),
    max_size=13,
)
bodies = st.one_of(st.none(), st.text(max_size=20), st.integers(1000, 1700).map("x".__mul__))
channels = st.one_of(st.sampled_from([*FACTS]), st.text(max_size=5))


@settings(deadline=None)
@given(channels, bodies, medias, st.sampled_from(["twilio", "relaxed"]))
def test_every_message_fits_or_fails_and_every_lost_part_is_named(
    channel: str, body: str | None, media: list[MediaPart], profile: Profile
) -> None:
    result = fit(channel, body, media, profile)
    if isinstance(result, Fail):
        assert result.code > 0
        assert result.reason
        return
    assert result.body or result.media
    lost = len(media) - len(result.media) + bool(body and not result.body)
    assert len(result.dropped.split(", ") if result.dropped else []) == lost
    assert result.body in (None, body)


def test_a_large_picture_of_ours_goes_smaller_in_the_relaxed_profile_alone() -> None:
    photo = MediaPart("", "image/png", 6 * MB, "cat.png", "ME" + "1" * 32)
    small = MediaPart("", "image/jpeg", 5 * MB, None, photo.sid, bytes_max=5 * MB)
    assert fit("sms", "hi", [photo], "relaxed") == Deliver("mms", "hi", (small,))
    assert isinstance(fit("sms", "hi", [photo], "twilio"), Fail)
    for left in (
        MediaPart("https://m.example/a.png", "image/png", 6 * MB),
        MediaPart("", "video/mp4", 6 * MB, None, photo.sid),
        MediaPart("", "image/png", 40 * MB, None, photo.sid),
    ):
        assert isinstance(fit("sms", None, [left], "relaxed"), Fail)
