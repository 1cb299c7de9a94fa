"""What may be said of a conversation: its state, names and attributes ("Conversation Resource",
"States and Timers", "Conversations Limits"). Every function raises Refused or gives its value."""

from __future__ import annotations

import orjson

from app import ids
from app.errors import Conflict, Invalid
from app.model.conversations import State

FRIENDLY_NAME_CHARS_MAX = 256
UNIQUE_NAME_CHARS_MAX = 256
CONVERSATION_ATTRIBUTES_BYTES_MAX = 16_384
ATTRIBUTES_BYTES_MAX = 4_096  # of participants, messages and users

SETTABLE: dict[str, State] = {"active": "active", "inactive": "inactive", "closed": "closed"}


def check_writable(state: State) -> None:
    """Refuse any write to a closed conversation (50377), or to one still being created (50386)."""
    if state == "closed":
        raise Invalid(50377, "Can't update conversation as it's in final closed state")
    if state == "initializing":
        raise Conflict(
            50386,
            "Conversation in 'initializing' state may not be updated or used for message sending",
        )


def check_new_state(old: State, new: str) -> State:
    """The state that an update may set: active, inactive or closed; closed is final.

    The current state again is legal and restarts the timers. Raises Invalid 50374 (empty), 50378
    (none of the three), 50377 (closed already), Conflict 50386 (initializing).
    """
    wanted = _settable(new)
    check_writable(old)
    return wanted


def check_initial_state(new: str) -> State:
    """The state that a create may set: active or inactive. Raises Invalid 50374, 50378, 50384."""
    wanted = _settable(new)
    if wanted == "closed":
        raise Invalid(50384, "Initial state can't be 'closed")
    return wanted


def check_friendly_name(text: str, *, chars_max: int = FRIENDLY_NAME_CHARS_MAX) -> str:
    """A friendly name of at most `chars_max` characters. Raises Invalid 50003."""
    if len(text) > chars_max:
        raise Invalid(50003, "Friendly name too long")
    return text


def check_unique_name(text: str, *, chars_max: int = UNIQUE_NAME_CHARS_MAX) -> str:
    """A unique name, which could stand in a path instead of a SID: not like one itself.

    Raises Invalid 50390 for the look of a conversation SID, 50004 over `chars_max` characters.
    """
    if ids.is_sid(text, ids.CONVERSATION):
        raise Invalid(50390, "Unique name should not match conversation sid pattern")
    if len(text) > chars_max:
        raise Invalid(50004, "Unique Name too long")
    return text


def check_attributes(text: str, *, bytes_max: int = ATTRIBUTES_BYTES_MAX) -> str:
    """The caller's own JSON, unchanged. Raises Invalid 50303 (too long), 50304 (not JSON).

    Conversations may have 16 KB (`CONVERSATION_ATTRIBUTES_BYTES_MAX`), everything else 4 KB.
    """
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        raise Invalid(50304, "Attributes not valid JSON") from None
    if len(raw) > bytes_max:
        raise Invalid(50303, "Attributes too long")
    try:
        orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise Invalid(50304, "Attributes not valid JSON") from None
    return text


def _settable(text: str) -> State:
    if not text:
        raise Invalid(50374, "'State' field can't be empty")
    wanted = SETTABLE.get(text)
    if wanted is None:
        raise Invalid(50378, "'State' parameter value is invalid")
    return wanted
