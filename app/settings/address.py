"""The addresses that the file may name, checked and in the form in which all others keep them.

The same rules as channels/address.py, which this layer cannot see; tests/settings compares the two.
"""

from __future__ import annotations

import re
from functools import lru_cache

import phonenumbers

FORMS = (
    "an address is +E.164 like +15005550006, whatsapp:+E.164, messenger:<id>, rcs:<agent>"
    " or an e-mail address"
)
LENGTH_MAX = 256
# A file names each address in three or four places.
CACHED_MAX = 16_384

# What an address of each form can carry, and does when its sender names no channels.
CHANNELS: dict[str, tuple[str, ...]] = {
    "number": ("sms", "mms"),
    "whatsapp": ("whatsapp",),
    "messenger": ("messenger",),
    "rcs": ("rcs",),
    "email": ("email",),
}

_NUMBER = re.compile(r"\+[1-9][0-9]{4,14}")
# Mexican mobiles lost the 1 after the country code in 2019; WhatsApp still knows people by it.
_STILL_USED = re.compile(r"\+521[0-9]{10}")
_WHATSAPP_USER = re.compile(r"[A-Z]{2}\.(?:ENT\.)?[0-9A-Za-z]{1,128}")
_NAME = re.compile(r"[!-9;-~]+")
_EMAIL = re.compile(r"([^@\s:]+)@([^@\s:.]+(?:\.[^@\s:.]+)+)")


@lru_cache(maxsize=CACHED_MAX)
def normalise(text: str) -> str:
    """The address without spaces, its prefix and e-mail domain in lower case.

    Raises ValueError, which says what an address looks like and never repeats the text.
    """
    clean = "".join(text.split())
    if not clean or len(clean) > LENGTH_MAX:
        raise ValueError(FORMS)
    if "@" in clean:
        return _email(clean)
    prefix, colon, rest = clean.partition(":")
    prefix = prefix.lower()
    if not colon:
        return _number(clean)
    if prefix == "whatsapp":
        return f"whatsapp:{rest if _WHATSAPP_USER.fullmatch(rest) else _number(rest)}"
    if prefix in ("messenger", "rcs") and _NAME.fullmatch(rest):
        return f"{prefix}:{rest}"
    raise ValueError(FORMS)


def form(address: str) -> str:
    """The form of a normalised address: number, whatsapp, messenger, rcs or email."""
    prefix, colon, _ = address.partition(":")
    if colon:
        return prefix
    return "email" if "@" in address else "number"


def _number(text: str) -> str:
    if not _NUMBER.fullmatch(text):
        raise ValueError(FORMS)
    if _STILL_USED.fullmatch(text):
        return text
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException:
        number = None
    if number is None:
        raise ValueError("no country has this country code")
    if text[len(str(number.country_code)) + 1] == "0" and not number.italian_leading_zero:
        raise ValueError("leave out the 0 between the country code and the number")
    if not phonenumbers.is_possible_number(number):
        raise ValueError("the number has too few or too many digits for its country")
    return text


def _email(text: str) -> str:
    match = _EMAIL.fullmatch(text)
    if match is None:
        raise ValueError(FORMS)
    return f"{match[1]}@{match[2].lower()}"
