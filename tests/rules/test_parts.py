"""What one message becomes where the relaxed profile sends several of a channel."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from app.channels.facts import FACTS
from app.model.parts import Part, is_reference, reference, referred, restored, stored
from app.model.traffic import MediaPart
from app.rules.content import Deliver, Fail, fit
from app.rules.parts import PARTS_MAX, folded, in_parts
from tests.rules.test_content import (
    LARGE,
    MB,
    PDF,
    PHOTO,
    SOUND,
    ZIP,
    bodies,
    channels,
    medias,
    part,
)

WORDS = "word " * 700  # 3,500 characters


@pytest.mark.parametrize(
    ("label", "channel", "body", "media", "expected"),
    [
        ("a photo and a text", "messenger", "hi", [PHOTO], [([0], None), ([], "hi")]),
        ("a sound and a text", "whatsapp", "hi", [SOUND], [([0], None), ([], "hi")]),
        ("two files", "whatsapp", "hi", [PHOTO, PDF], [([0], "hi"), ([1], None)]),
        ("a file that fits not", "whatsapp", "hi", [ZIP, SOUND], [([1], None), ([], "hi")]),
        (
            "over 5 MB together",
            "sms",
            "hi",
            [part(size=3 * MB)] * 3,
            [([0], "hi"), ([1], None), ([2], None)],
        ),
        ("eleven files", "sms", None, [PHOTO] * 11, [([*range(10)], None), ([10], None)]),
        (
            "a caption too long",
            "whatsapp",
            "x" * 1025,
            [PHOTO],
            [([0], None), ([], "x" * 1025)],
        ),
    ],
)
def test_what_one_message_cannot_carry_goes_in_several(
    label: str, channel: str, body: str | None, media: list[MediaPart], expected: list[Any]
) -> None:
    found = in_parts(channel, body, media)
    assert isinstance(found, Deliver)
    assert [([*one.media], one.of(body, media)[0]) for one in found.parts] == expected
    assert found.dropped == ("media 1 application/zip" if ZIP in media else None)


@pytest.mark.parametrize(
    ("label", "channel", "body", "media"),
    [
        ("a text", "sms", "hi", []),
        ("a caption", "whatsapp", "hi", [PHOTO]),
        ("files together", "sms", "hi", [PHOTO, PHOTO]),
        ("a mail", "email", "x" * 30_000, [ZIP, part(size=19 * MB)]),
        ("nothing", "sms", None, []),
        ("a wrong file alone", "sms", None, [ZIP]),
        ("a wrong file beside a text", "sms", "hi", [ZIP]),
        ("too large a file alone", "whatsapp", None, [LARGE]),
        ("a channel without facts", "viber", "hi", []),
    ],
)
def test_what_goes_in_one_message_has_no_parts(
    label: str, channel: str, body: str | None, media: list[MediaPart]
) -> None:
    assert in_parts(channel, body, media) == fit(channel, body, media, "relaxed")


def test_a_long_text_goes_in_pieces_of_the_channels_own_limit() -> None:
    for channel, count in (("sms", 3), ("messenger", 2), ("rcs", 2), ("whatsapp", 1)):
        found = in_parts(channel, WORDS, ())
        assert isinstance(found, Deliver)
        texts = [one.of(WORDS, ())[0] or "" for one in found.parts] or [found.body or ""]
        assert len(texts) == count
        assert " ".join(texts).split() == WORDS.split()


def test_files_of_a_text_message_are_an_mms_and_the_text_behind_them_is_not() -> None:
    found = in_parts("sms", WORDS, [PHOTO])
    assert isinstance(found, Deliver)
    assert [one.channel for one in found.parts] == ["mms", "sms", "sms", "sms"]
    assert (found.channel, found.body, found.media) == ("mms", None, (PHOTO,))
    grouped = in_parts("mms", WORDS, [PHOTO])
    assert isinstance(grouped, Deliver)
    assert {one.channel for one in grouped.parts} == {"mms"}


def test_too_many_messages_are_none() -> None:
    found = in_parts("sms", "x" * 1600 * (PARTS_MAX + 1), ())
    assert isinstance(found, Fail)
    assert found.code == 21617


@settings(deadline=None)
@given(channels, bodies, medias)
def test_nothing_is_lost_or_sent_twice_and_each_part_fits(
    channel: str, body: str | None, media: list[MediaPart]
) -> None:
    found = in_parts(channel, body, media)
    if isinstance(found, Fail) or not found.parts:
        return
    places = [at for one in found.parts for at in one.media]
    assert places == sorted(set(places))
    dropped = found.dropped.split(", ") if found.dropped else []
    assert len(dropped) + len(places) == len(media)
    texts = [words for one in found.parts if (words := one.of(body, media)[0])]
    assert "".join(texts).split() == (body or "").split()
    for one in found.parts:
        fitting = fit(one.channel, *one.of(body, media), "relaxed")
        assert isinstance(fitting, Deliver)
        assert fitting.dropped is None
        assert fitting.channel == one.channel
        assert one.channel in FACTS


@pytest.mark.parametrize(
    ("statuses", "whole"),
    [
        (["queued", "queued"], "queued"),
        (["sent", "queued"], "queued"),
        (["delivered", "sent"], "sent"),
        (["read", "delivered"], "delivered"),
        (["read", "read"], "read"),
        (["failed", "queued"], "failed"),
        (["delivered", "undelivered", "queued"], "undelivered"),
    ],
)
def test_the_whole_is_as_far_as_its_last_part_or_has_failed(
    statuses: list[str], whole: str
) -> None:
    assert folded([{"status": one} for one in statuses]) == whole


def test_parts_are_kept_and_named() -> None:
    parts = [Part("mms", (0, 2)), Part("sms", (), 3, 90)]
    kept = stored(parts)
    assert kept is not None
    assert [restored(one) for one in kept] == parts
    assert stored(()) is None
    sid = "DY" + "a" * 32
    assert [reference(sid, 0), reference(sid, 12)] == [sid, f"{sid}.12"]
    assert [referred(sid), referred(f"{sid}.12")] == [(sid, 0), (sid, 12)]
    for text in (None, "", "x", f"{sid}.", f"{sid}.0", f"{sid}.100", f"{sid}.1.1", "IM" + "a" * 32):
        assert not is_reference(text)
