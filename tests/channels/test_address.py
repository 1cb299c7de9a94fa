"""Addresses: one form each, and what is not one is refused with words that help."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from app.channels.address import channel_of, masked, normalise

GOOD = [
    ("+15005550006", "+15005550006", "sms"),
    ("+15551234567", "+15551234567", "sms"),
    (" +1 500 555 0006 ", "+15005550006", "sms"),
    ("+442079460000", "+442079460000", "sms"),
    ("+390612345678", "+390612345678", "sms"),
    ("+5215512345678", "+5215512345678", "sms"),
    ("+5491112345678", "+5491112345678", "sms"),
    ("+2250707070707", "+2250707070707", "sms"),
    ("whatsapp:+15005550006", "whatsapp:+15005550006", "whatsapp"),
    ("WhatsApp: +1 500 555 0006", "whatsapp:+15005550006", "whatsapp"),
    ("whatsapp:US.13491208655302741918", "whatsapp:US.13491208655302741918", "whatsapp"),
    ("WhatsApp: CO.4480491918930694", "whatsapp:CO.4480491918930694", "whatsapp"),
    ("whatsapp:BR.15a2Bc", "whatsapp:BR.15a2Bc", "whatsapp"),
    ("whatsapp:US.ENT.11815799212886844830", "whatsapp:US.ENT.11815799212886844830", "whatsapp"),
    ("messenger:108732", "messenger:108732", "messenger"),
    ("rcs:brand_agent", "rcs:brand_agent", "rcs"),
    ("Ann.Lee@Example.COM", "Ann.Lee@example.com", "email"),
]
BAD = [
    ("", "1 to 512"),
    ("   ", "1 to 512"),
    ("x" * 513, "1 to 512"),
    ("15005550006", "E.164"),
    ("12345", "E.164"),
    ("Acme", "E.164"),
    ("+0123456789", "E.164"),
    ("+1500555000a", "E.164"),
    ("+1234567890123456", "E.164"),
    ("+١٥٠٠٥٥٥٠٠٠٦", "E.164"),
    ("+999123456", "country code"),
    ("+1500555", "digits for its country"),
    ("+15005550006123", "digits for its country"),
    ("+4402079460000", "leave out the 0"),
    ("watsapp:+15005550006", "whatsapp:"),
    ("whatsapp:15005550006", "E.164"),
    ("whatsapp:", "E.164"),
    ("whatsapp:whatsapp:+15005550006", "E.164"),
    ("whatsapp:us.1", "E.164"),
    ("whatsapp:USA.1", "E.164"),
    ("whatsapp:US.", "E.164"),
    ("whatsapp:US.1.2", "E.164"),
    ("whatsapp:US.a-b", "E.164"),
    ("whatsapp:US." + "1" * 129, "E.164"),
    ("US.13491208655302741918", "E.164"),
    ("messenger:", "id without spaces"),
    ("messenger:a:b", "id without spaces"),
    ("ann@localhost", "name@domain"),
    ("ann@@example.com", "name@domain"),
    ("ann@example..com", "name@domain"),
]


@pytest.mark.parametrize(("text", "clean", "channel"), GOOD)
def test_an_address_has_one_form_and_names_its_channel(text: str, clean: str, channel: str) -> None:
    assert normalise(text) == clean
    assert channel_of(clean) == channel


@pytest.mark.parametrize(("text", "words"), BAD)
def test_what_is_no_address_is_refused_with_a_hint(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        normalise(text)


def test_a_short_code_is_an_address_only_where_it_is_allowed() -> None:
    assert normalise("12345", allow_short_code=True) == "12345"
    assert channel_of("12345") == "sms"
    with pytest.raises(ValueError, match="in E"):
        normalise("12345")
    with pytest.raises(ValueError, match="in E"):
        normalise("whatsapp:12345", allow_short_code=True)


def test_a_number_and_its_whatsapp_address_are_never_equal() -> None:
    assert normalise("+15005550006") != normalise("whatsapp:+15005550006")


pieces = st.sampled_from(
    [
        "+",
        "1",
        "44",
        "0",
        "500",
        "5550006",
        " ",
        ":",
        "whatsapp",
        "Messenger",
        "US.",
        "rcs",
        "@",
        ".",
        "aB",
    ]
)


@settings(deadline=None)
@given(st.one_of(st.lists(pieces, max_size=9).map("".join), st.text(max_size=40)), st.booleans())
@example("whatsapp: +44 20 7946 0000", False)
@example("1 2345", True)
def test_normalising_twice_changes_nothing_more(text: str, allow_short_code: bool) -> None:
    try:
        once = normalise(text, allow_short_code=allow_short_code)
    except ValueError:
        return
    assert normalise(once, allow_short_code=allow_short_code) == once
    assert not any(letter.isspace() for letter in once)


@settings(deadline=None)
@given(st.integers(min_value=200_000_0000, max_value=999_999_9999))
def test_every_number_of_ten_digits_after_plus_one_is_accepted(digits: int) -> None:
    assert normalise(f"+1{digits}") == f"+1{digits}"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("+15005550006", "***0006"),
        ("whatsapp:+15005550006", "whatsapp:***0006"),
        ("12345", "***2345"),
        ("1234", "***"),
        ("ann@example.com", "***"),
        ("messenger:108732", "messenger:***8732"),
        ("whatsapp:US.13491208655302741918", "whatsapp:***1918"),
        ("", "***"),
    ],
)
def test_a_log_shows_the_last_four_digits_only(address: str, shown: str) -> None:
    assert masked(address) == shown


@settings(deadline=None)
@given(st.text(max_size=60))
def test_masking_takes_anything_and_shows_no_more_than_four_digits(text: str) -> None:
    shown = masked(text).rpartition(":")[2]
    assert len(shown) <= len("***") + 4
