"""What a role may allow, by its type, and the roles that every service begins with (docs/09).

The names that the documentation leaves out are those that public callers send and the original's
own roles hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, NamedTuple

RoleType = Literal["conversation", "service"]

CONVERSATION: RoleType = "conversation"
SERVICE: RoleType = "service"

# In either type: documented, then not.
SHARED = frozenset(
    {
        "addParticipant",
        "deleteAnyMessage",
        "deleteConversation",
        "editAnyMessage",
        "editAnyMessageAttributes",
        "editAnyUserInfo",
        "editConversationAttributes",
        "editConversationName",
        "editOwnMessage",
        "editOwnMessageAttributes",
        "editOwnUserInfo",
        "removeParticipant",
        *("addNonChatParticipant", "editAnyParticipantAttributes", "readChannelMetadata"),
    }
)

PERMISSIONS: Mapping[str, frozenset[str]] = {
    SERVICE: SHARED | {"createConversation", "joinConversation"},
    CONVERSATION: SHARED
    | {
        "deleteOwnMessage",
        "leaveConversation",
        "sendMediaMessage",
        "sendMessage",
        *("editNotificationLevel", "editOwnParticipantAttributes"),
    },
}


class Beginning(NamedTuple):
    """A role that every service begins with, and the services' columns that make it a default."""

    friendly_name: str
    type: RoleType
    permissions: tuple[str, ...]
    default_of: tuple[str, ...] = ()


BEGINNINGS = (
    Beginning(
        "service admin",
        SERVICE,
        (
            "addParticipant",
            "createConversation",
            "deleteAnyMessage",
            "deleteConversation",
            "editAnyMessage",
            "editAnyMessageAttributes",
            "editAnyParticipantAttributes",
            "editAnyUserInfo",
            "editConversationAttributes",
            "editConversationName",
            "joinConversation",
            "readChannelMetadata",
            "removeParticipant",
        ),
    ),
    Beginning(
        "service user",
        SERVICE,
        ("createConversation", "editOwnUserInfo", "joinConversation"),
        ("default_chat_service_role_sid",),
    ),
    Beginning(
        "channel admin",
        CONVERSATION,
        (
            "addParticipant",
            "deleteAnyMessage",
            "deleteConversation",
            "editAnyMessage",
            "editAnyMessageAttributes",
            "editAnyParticipantAttributes",
            "editConversationAttributes",
            "editConversationName",
            "editNotificationLevel",
            "leaveConversation",
            "readChannelMetadata",
            "removeParticipant",
            "sendMediaMessage",
            "sendMessage",
        ),
        ("default_conversation_creator_role_sid",),
    ),
    Beginning(
        "channel user",
        CONVERSATION,
        (
            "deleteOwnMessage",
            "editNotificationLevel",
            "editOwnMessage",
            "editOwnMessageAttributes",
            "editOwnParticipantAttributes",
            "leaveConversation",
            "readChannelMetadata",
            "sendMediaMessage",
            "sendMessage",
        ),
        ("default_conversation_role_sid",),
    ),
)
