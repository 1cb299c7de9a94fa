"""Addresses: the one form in which each is stored and compared, and the channel that it names.

An address is `+E164`, `whatsapp:+E164` (or `whatsapp:` and Meta's id of a user without a number),
`messenger:<id>`, `instagram:<id>`, `rcs:<agent or +E164>` or an e-mail address. `+15005550006` and
`whatsapp:+15005550006` are two addresses and never equal.

The file's addresses are read here, so it stands below the channels; they hand it on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

import phonenumbers

PREFIX_NUMBERED = frozenset({"whatsapp"})
PREFIX_NAMED = frozenset({"messenger", "instagram", "rcs"})
# Both addresses of a message pass here; an entry is about 300 bytes, so a full cache is 5 MB.
CACHED_MAX = 16_384
LENGTH_MAX = 512  # of anything; `limits.address_chars_max` says what the API takes

# What an address of each channel can carry, and does when its sender names no channels.
CARRIED: Mapping[str, tuple[str, ...]] = {
    "sms": ("sms", "mms"),
    "whatsapp": ("whatsapp",),
    "messenger": ("messenger",),
    "instagram": ("instagram",),
    "rcs": ("rcs",),
    "email": ("email",),
}

_NUMBER = re.compile(r"\+[1-9][0-9]{4,14}")
_DELIVERED = re.compile(r"(?i:whatsapp:)?\+[0-9]{3,15}")
_SHORT_CODE = re.compile(r"[1-9][0-9]{2,7}")
# North America by pattern alone: 13 us become 1 where an address is seen for the first time.
_NORTH_AMERICA = re.compile(r"\+1[2-9][0-9]{9}")
# Mexican mobiles lost the 1 after the country code in 2019; WhatsApp still knows people by it.
_STILL_USED = re.compile(r"\+521[0-9]{10}")
# Country, for companies with several portfolios ENT, and what Meta made up; case counts.
_WHATSAPP_USER = re.compile(r"[A-Z]{2}\.(?:ENT\.)?[0-9A-Za-z]{1,128}")
_NAME = re.compile(r"[!-9;-~]+")
_EMAIL = re.compile(r"([^@\s:]+)@([^@\s:.]+(?:\.[^@\s:.]+)+)")


@lru_cache(maxsize=CACHED_MAX)
def normalise(text: str, *, allow_short_code: bool = False, lenient: bool = False) -> str:
    """The address as it is stored: no spaces, lower-case prefix, lower-case e-mail domain.

    The digits of a number are checked (E.164, a possible length for its country) and never
    rewritten: carriers know people by numbers that national rules would shorten. `lenient` is for
    what a carrier delivers: any + and 3 to 15 digits, because what came must not be lost for its
    number (hidden callers, gateways). Raises ValueError, with what is wrong, for anything that is
    not an address.
    """
    clean = "".join(text.split())
    if not clean or len(clean) > LENGTH_MAX:
        raise ValueError(f"an address has 1 to {LENGTH_MAX} characters")
    if "@" in clean:
        return _email(clean)
    prefix, colon, rest = clean.partition(":")
    if lenient and _DELIVERED.fullmatch(clean):
        return prefix.lower() + colon + rest
    if not colon:
        return _plain(clean, allow_short_code)
    return _prefixed(prefix.lower(), rest)


def channel_of(address: str) -> str:
    """The channel that a normalised address names: sms, whatsapp, messenger, instagram, email, rcs.

    Media turns an sms into an mms only when a message is fitted; an address does not know.
    """
    prefix, colon, _ = address.partition(":")
    if colon:
        return prefix
    return "email" if "@" in address else "sms"


def _plain(text: str, allow_short_code: bool) -> str:
    if text.startswith("+"):
        return _number(text)
    if allow_short_code and _SHORT_CODE.fullmatch(text):
        return text
    raise ValueError("a phone number is written in E.164, like +15005550006")


def _prefixed(prefix: str, rest: str) -> str:
    if prefix in PREFIX_NUMBERED:
        return f"{prefix}:{rest if _WHATSAPP_USER.fullmatch(rest) else _number(rest)}"
    if prefix not in PREFIX_NAMED:
        known = ", ".join(f"{name}:" for name in sorted(PREFIX_NUMBERED | PREFIX_NAMED))
        raise ValueError(f"an address starts with +, or with one of {known}")
    if not _NAME.fullmatch(rest):
        raise ValueError(f"after {prefix}: comes an id without spaces and colons")
    return f"{prefix}:{rest}"


def _number(text: str) -> str:
    if _NORTH_AMERICA.fullmatch(text) or _STILL_USED.fullmatch(text):
        return text
    if not _NUMBER.fullmatch(text):
        raise ValueError("a phone number is written in E.164: +, country code, at most 15 digits")
    try:
        number = phonenumbers.parse(text)
    except phonenumbers.NumberParseException as error:
        raise ValueError("a phone number starts with + and an existing country code") from error
    if text[len(str(number.country_code)) + 1] == "0" and not number.italian_leading_zero:
        raise ValueError("leave out the 0 between the country code and the number")
    if not phonenumbers.is_possible_number(number):
        raise ValueError("the phone number has too few or too many digits for its country")
    return text


def _email(text: str) -> str:
    match = _EMAIL.fullmatch(text)
    if match is None:
        raise ValueError("an e-mail address is written name@domain")
    return f"{match[1]}@{match[2].lower()}"
