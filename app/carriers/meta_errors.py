"""Meta's error codes: what each means for a send, and the original's number for it.

WhatsApp: https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes; Messenger:
https://developers.facebook.com/docs/messenger-platform/reference/send-api/error-codes. A code that
has no twin in the original keeps Meta's number on the receipt.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Ended = Literal["failed", "undelivered"]

# A limit that passes, or something at Meta or with the operator's account that gets mended: the
# send did not happen and may be tried again.
TEMPORARY = frozenset(
    {
        0,  # the token is not good
        2,  # service unavailable
        3,  # the app may not call this
        4,  # the app's calls are used up
        10,  # permission denied
        33,  # the phone number is gone from the account
        190,  # the token has expired
        *range(200, 300),  # permissions
        368,  # the account is blocked for its behaviour
        613,  # Messenger's rate limit
        1200,  # Messenger: try again later
        80007,  # the business account's calls are used up
        130429,  # throughput
        131005,  # access denied
        131016,  # service unavailable
        131031,  # the account is locked
        131042,  # the bill
        131045,  # the phone number's certificate
        131048,  # too many messages were called spam
        131053,  # the media could not be fetched or stored
        131056,  # too many messages to this recipient
        131057,  # maintenance
        133010,  # the phone number is not registered
        133016,  # too many registrations
    }
)
# Nothing can be sent with this token until the operator mends it.
LOGIN = frozenset({0, 190})
# The same for this page, phone number or business account.
BARRED = frozenset({*LOGIN, 368, 131031, 131042})
THROTTLED = frozenset({4, 613, 80007, 130429, 131048, 131056, 133016})
# Of these, what is about one recipient and not about the sender.
PAIR_LIMIT = 131056
RATE_LIMIT_CODE = 63018

# An invalid parameter with this subcode is the phone number id or page that we may not use.
OBJECT_MISSING = (100, 33)
# (code, subcode) where the subcode makes another thing of a code; but for that one all are final.
SPECIAL: Mapping[tuple[int, int], tuple[int, Ended]] = {
    OBJECT_MISSING: (100, "failed"),
    (10, 2018065): (63016, "failed"),  # outside the window
    (10, 2018278): (63016, "failed"),
    (200, 1545041): (63033, "undelivered"),  # does not take messages from this page
    (551, 1545041): (63033, "undelivered"),
    (100, 2018001): (63003, "failed"),  # no such person
    (100, 2018047): (63019, "failed"),  # the attachment could not be fetched
    (100, 2018109): (63034, "failed"),  # the attachment is too large
}
TWINS: Mapping[int, tuple[int, Ended]] = {
    100: (63021, "failed"),  # a parameter is wrong
    551: (63033, "undelivered"),  # not available on Messenger
    130472: (63032, "undelivered"),  # part of an experiment
    131008: (63021, "failed"),  # a parameter is missing
    131009: (63021, "failed"),  # a value is not valid
    131021: (63024, "undelivered"),  # the sender itself
    131026: (63024, "undelivered"),  # not on WhatsApp, old client, terms not accepted
    131030: (63015, "failed"),  # a test number, and the recipient is not on its list
    131047: (63016, "failed"),  # outside the 24 hours
    131049: (63049, "undelivered"),  # Meta keeps marketing back
    131050: (63033, "undelivered"),  # wants no more marketing
    131051: (63005, "failed"),  # message type not supported
    131052: (63019, "failed"),  # media could not be downloaded
    131053: (63019, "failed"),  # media could not be uploaded
    131062: (63024, "undelivered"),  # not to people who are known by their business-scoped id
    132000: (63028, "failed"),  # number of parameters
    132001: (63027, "failed"),  # no such template, or not in this language
    132005: (63021, "failed"),  # the filled-in text is too long
    132007: (63013, "failed"),  # policy
    132012: (63028, "failed"),  # form of a parameter
    132015: (63041, "failed"),  # the template is paused
    132016: (63042, "failed"),  # the template is disabled
    **dict.fromkeys(THROTTLED, (RATE_LIMIT_CODE, "failed")),
}


def is_temporary(code: int, subcode: int) -> bool:
    """Whether the same send may work later."""
    if (code, subcode) in SPECIAL:
        return (code, subcode) == OBJECT_MISSING
    return code in TEMPORARY


def is_known(code: int, subcode: int) -> bool:
    """Whether this code says that the message was not sent and never will be."""
    known = (code, subcode) in SPECIAL or code in TWINS
    return known and not is_temporary(code, subcode)


def twin(code: int, subcode: int = 0) -> tuple[int, Ended]:
    """The original's code, and what the receipt becomes when it stays so."""
    return SPECIAL.get((code, subcode)) or TWINS.get(code, (code, "failed"))
