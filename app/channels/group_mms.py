"""Group MMS: which numbers can be in one ("Group Texting in Conversations"). Long codes of the
United States and Canada; toll-free numbers and short codes cannot."""

from __future__ import annotations

import re

import phonenumbers

COUNTRIES = frozenset({"US", "CA"})
TOLL_FREE = ("+1800", "+1833", "+1844", "+1855", "+1866", "+1877", "+1888")

_LONG_CODE = re.compile(r"\+1[2-9][0-9]{9}")


def is_long_code(address: str) -> bool:
    """Whether this is a number of the United States or Canada (or of none yet) with an area."""
    return refusal(address) is None


def refusal(address: str) -> str | None:
    """Why a normalised address cannot be in a group MMS; None when it can."""
    if not _LONG_CODE.fullmatch(address):
        return "a group text takes numbers of the United States and Canada, +1 and ten digits"
    if address.startswith(TOLL_FREE):
        return "a toll-free number cannot be in a group text"
    country = phonenumbers.region_code_for_number(phonenumbers.parse(address))
    if country not in COUNTRIES and country is not None:  # None: no country has given it out
        return "a group text takes numbers of the United States and Canada only"
    return None
