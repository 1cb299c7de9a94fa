"""What a client can open: a conversation's document, messages and roster, and of people what they
are in and what is shown of them. Views of our rows under names of their own.

| entity   | kind     | name                 | SID                        |
|----------|----------|----------------------|----------------------------|
| channel  | document | CH....channel        | ET + the conversation's    |
| messages | list     | CH....messages       | ES + the conversation's    |
| roster   | map      | CH....roster         | MP + the conversation's    |
| mine     | map      | bob.my_conversations | MC + the user's            |
| info     | map      | bob.info             | MU + the user's            |

SIDs follow from those of the rows: every process, now and later, knows the same ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from app import ids

Kind = Literal["channel", "messages", "roster", "mine", "info"]
Type = Literal["document", "list", "map"]

CHANNEL: Kind = "channel"
MESSAGES: Kind = "messages"
ROSTER: Kind = "roster"
MINE: Kind = "mine"
INFO: Kind = "info"

TYPES: dict[Kind, Type] = {
    CHANNEL: "document",
    MESSAGES: "list",
    ROSTER: "map",
    MINE: "map",
    INFO: "map",
}
PREFIXES: dict[Kind, str] = {CHANNEL: "ET", MESSAGES: "ES", ROSTER: "MP", MINE: "MC", INFO: "MU"}
SUFFIXES: dict[Kind, str] = {
    CHANNEL: ".channel",
    MESSAGES: ".messages",
    ROSTER: ".roster",
    MINE: ".my_conversations",
    INFO: ".info",
}
OF_CONVERSATIONS: tuple[Kind, ...] = (CHANNEL, MESSAGES, ROSTER)
PLURALS: dict[str, Type] = {"Documents": "document", "Lists": "list", "Maps": "map"}
MISSING: dict[str, tuple[int, str]] = {
    "document": (54100, "Document not found"),
    "list": (54150, "List not found"),
    "map": (54200, "Map not found"),
}

HEX = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Named:
    """What a path or a subscription names: an entity's kind, and whose it is: a conversation's or
    user's SID, or an identity (`by_identity`)."""

    kind: Kind
    of: str
    by_identity: bool = False


def sid(kind: Kind, of_sid: str) -> str:
    """The SID of the entity of this conversation or user."""
    return PREFIXES[kind] + of_sid[2:]


def name(kind: Kind, of: str) -> str:
    """The unique name of the entity of this conversation or identity."""
    return of + SUFFIXES[kind]


def named(key: str, wanted: str) -> Named | None:
    """What a SID or unique name means, among entities of the wanted type."""
    for kind, kind_type in TYPES.items():
        if kind_type != wanted:
            continue
        of_conversation = kind in OF_CONVERSATIONS
        if key.startswith(PREFIXES[kind]) and HEX.fullmatch(key[2:]):
            prefix = ids.CONVERSATION if of_conversation else ids.USER
            return Named(kind, prefix + key[2:])
        if not key.endswith(SUFFIXES[kind]):
            continue
        of = key.removesuffix(SUFFIXES[kind])
        if not of_conversation:
            return Named(kind, of, by_identity=True)
        if ids.is_sid(of, ids.CONVERSATION):
            return Named(kind, ids.lowered(of))
    return None
