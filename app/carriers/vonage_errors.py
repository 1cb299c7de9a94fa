"""Vonage's error numbers, of statuses and of the API, and the original's for each.

https://developer.vonage.com/en/api-errors/messages. The same number can mean one thing in a status
and another in an answer of the API, so there are two tables.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from app.carriers import codes
from app.carriers.document import Node

# Of a status.
ERRORS: Mapping[str, int] = {
    "1000": codes.THROUGHPUT_EXCEEDED,
    "1010": codes.NO_CONTENT,
    "1020": codes.CONTENT_NOT_ACCEPTED,
    "1021": codes.CONTENT_NOT_ACCEPTED,
    "1022": codes.TEMPLATE_INVALID,
    "1040": codes.TO_NOT_ROUTABLE,
    "1050": codes.BLOCKED,
    "1060": codes.ACCOUNT_SUSPENDED,
    "1070": codes.ACCOUNT_SUSPENDED,
    "1080": codes.ACCOUNT_SUSPENDED,
    "1090": codes.BODY_TOO_LONG,
    "1120": codes.FROM_NOT_OURS,
    "1140": codes.ACCOUNT_SUSPENDED,
    "1160": codes.TO_NOT_VERIFIED,
    "1170": codes.TO_INVALID,
    "1180": codes.HANDSET_UNREACHABLE,
    "1190": codes.HANDSET_UNKNOWN,
    "1200": codes.TO_NOT_ROUTABLE,
    "1210": codes.FILTERED,
    "1220": codes.HANDSET_UNREACHABLE,
    "1240": codes.OPTED_OUT,
    "1241": codes.CHANNEL_RATE,
    "1250": codes.LANDLINE,
    "1260": codes.HANDSET_UNREACHABLE,
    "1270": codes.FILTERED,
    "1280": codes.BLOCKED,
    "1300": codes.NOT_ON_CHANNEL,
    "1310": codes.HANDSET_UNREACHABLE,
    "1340": codes.OUTSIDE_WINDOW,
    "1360": codes.EXPIRED,
    "1370": codes.CHANNEL_NOT_AUTHENTICATED,
    "1380": codes.MEDIA_NOT_FETCHED,
    "1381": codes.MEDIA_TOO_LARGE,
    "1382": codes.MEDIA_TYPE_REFUSED,
    "1400": codes.CONTENT_NOT_ACCEPTED,
    "1410": codes.CONTENT_NOT_ACCEPTED,
}
# Of an answer of the API that refuses a message.
REFUSALS: Mapping[str, int] = {
    "1100": codes.CONTENT_NOT_ACCEPTED,
    "1110": codes.CONTENT_NOT_ACCEPTED,
    "1120": codes.FROM_NOT_OURS,
    "1130": codes.TO_INVALID,
    "1140": codes.CONTENT_NOT_ACCEPTED,
    "1150": codes.CONTENT_NOT_ACCEPTED,
    "1170": codes.TO_INVALID,
}

_NUMBER = re.compile(r"[0-9]{3,6}")
_FRAGMENT = re.compile(r"#([0-9]{3,6})$")


def number(error: Node) -> str:
    """The number of an error object: its title, or the end of the URL that is its type."""
    title = error.word("title")
    if _NUMBER.fullmatch(title):
        return title
    match = _FRAGMENT.search(error.word("type"))
    return match[1] if match else ""
