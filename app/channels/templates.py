"""What of a content template each channel can show, and what it is where it cannot be shown: text.

https://www.twilio.com/docs/content/content-types-overview; Messenger's own bounds from its Send
API. A template with several types is shown as the richest that its channel can.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Fields = Mapping[str, Any]

TEXT, MEDIA, LOCATION, QUICK_REPLY, CALL_TO_ACTION, LIST_PICKER, CARD = (
    "twilio/text",
    "twilio/media",
    "twilio/location",
    "twilio/quick-reply",
    "twilio/call-to-action",
    "twilio/list-picker",
    "twilio/card",
)
RISING = (TEXT, MEDIA, LOCATION, QUICK_REPLY, CALL_TO_ACTION, LIST_PICKER, CARD)
"""What conversations take, the poorest first."""

SESSION_ONLY = frozenset({LOCATION, LIST_PICKER})
"""WhatsApp approves none of these: they cannot start a conversation."""
APPROVABLE = tuple(one for one in RISING if one not in SESSION_ONLY)

SHOWN: Mapping[str, frozenset[str]] = {
    "sms": frozenset({TEXT, MEDIA}),
    "mms": frozenset({TEXT, MEDIA}),
    "rcs": frozenset({TEXT, MEDIA, CARD}),
    "messenger": frozenset({TEXT, MEDIA, QUICK_REPLY, CALL_TO_ACTION, CARD}),
    "instagram": frozenset({TEXT, MEDIA}),
    "email": frozenset({TEXT, MEDIA}),
    "whatsapp": frozenset(RISING),
}

BODY_CHARS_MAX: Mapping[str, int] = {
    TEXT: 1600,
    MEDIA: 1600,
    QUICK_REPLY: 1024,
    CALL_TO_ACTION: 640,
    LIST_PICKER: 1024,
    CARD: 1024,
}
"""Of the text with its variables filled in."""

MESSENGER_REPLIES_MAX, MESSENGER_BUTTONS_MAX, MESSENGER_TITLE_CHARS_MAX = 13, 3, 80
MESSENGER_BUTTONS = frozenset({"URL", "PHONE_NUMBER", "QUICK_REPLY"})


def richest(types: Mapping[str, Any]) -> str | None:
    """The richest of these types that conversations take."""
    return next((one for one in reversed(RISING) if one in types), None)


def shows(channel: str, kind: str, fields: Fields) -> bool:
    """Whether the channel can show this type with these fields."""
    if kind not in SHOWN.get(channel, ()):
        return False
    return channel != "messenger" or _in_messenger(kind, fields)


def main_text(kind: str, fields: Fields) -> str | None:
    """What the message says: its body."""
    if kind == LOCATION:
        return fields.get("label") or None
    if kind == CARD:
        return fields.get("title") or fields.get("body") or None
    return fields.get("body") or None


def as_text(kind: str, fields: Fields) -> str:
    """The same in words, with a line for each choice and for where each button leads."""
    lines = LINES.get(kind, _body)(fields)
    return "\n".join(line for line in lines if line)


def media_urls(fields: Fields) -> list[str]:
    """The files that are shown."""
    return list(fields.get("media", ()))


def _in_messenger(kind: str, fields: Fields) -> bool:
    actions = fields.get("actions", ())
    if kind == QUICK_REPLY:
        return len(actions) <= MESSENGER_REPLIES_MAX
    few = len(actions) <= MESSENGER_BUTTONS_MAX
    known = all(action.get("type") in MESSENGER_BUTTONS for action in actions)
    if kind == CARD:
        title = str(fields.get("title") or fields.get("body") or "")
        return few and known and len(title) <= MESSENGER_TITLE_CHARS_MAX
    return kind != CALL_TO_ACTION or (few and known)


def _body(fields: Fields) -> list[str]:
    return [fields.get("body", "")]


def _location(fields: Fields) -> list[str]:
    place = f"{fields['latitude']}, {fields['longitude']}"
    return [fields.get("label", ""), fields.get("address", ""), place]


def _with_buttons(fields: Fields) -> list[str]:
    """A button that leads nowhere outside of the channel is a choice."""
    return [*_body(fields), *(_button(action) for action in fields.get("actions", ()))]


def _button(action: Fields) -> str:
    leads = action.get("url") or action.get("phone") or action.get("code")
    return f"{action['title']}: {leads}" if leads else f"- {action['title']}"


def _list(fields: Fields) -> list[str]:
    return [*_body(fields), *(_item(item) for item in fields["items"])]


def _item(item: Fields) -> str:
    more = item.get("description")
    return f"- {item['item']}: {more}" if more else f"- {item['item']}"


def _card(fields: Fields) -> list[str]:
    first, *others = _with_buttons(fields)
    return [fields.get("title", ""), first, fields.get("subtitle", ""), *others]


LINES: Mapping[str, Callable[[Fields], list[str]]] = {
    LOCATION: _location,
    QUICK_REPLY: _with_buttons,
    CALL_TO_ACTION: _with_buttons,
    LIST_PICKER: _list,
    CARD: _card,
}
