"""What a user of an SDK needs for a command ("Role Resource": service and conversation roles).

A permission of the service role holds in every conversation, one of the conversation role in the
one where the user is a participant. Who has neither is refused: 50430 when they are not in it, else
50107, or 50531 for what a channel told about a message.
"""

from __future__ import annotations

from collections.abc import Set

from app.errors import Forbidden

NOT_AUTHORIZED = (50107, "User not authorized for command")
NOT_PARTICIPANT = (50430, "User not participant of conversation")
NOT_READER = (50531, "Not Authorized to make this request")

CREATE = ("createConversation",)
JOIN = ("joinConversation", "addParticipant")
ADD = ("addParticipant",)
ADD_NON_CHAT = ("addNonChatParticipant", "addParticipant")
REMOVE = ("removeParticipant",)
LEAVE = ("leaveConversation", "removeParticipant")
RENAME = ("editConversationName",)
REDESCRIBE = ("editConversationAttributes",)
DELETE = ("deleteConversation",)
SEND = ("sendMessage",)
SEND_MEDIA = ("sendMediaMessage",)
EDIT_OWN, EDIT_ANY = ("editOwnMessage", "editAnyMessage"), ("editAnyMessage",)
ATTRIBUTES_OWN = ("editOwnMessageAttributes", "editAnyMessageAttributes")
ATTRIBUTES_ANY = ("editAnyMessageAttributes",)
DELETE_OWN, DELETE_ANY = ("deleteOwnMessage", "deleteAnyMessage"), ("deleteAnyMessage",)
PARTICIPANT_OWN = ("editOwnParticipantAttributes", "editAnyParticipantAttributes")
PARTICIPANT_ANY = ("editAnyParticipantAttributes",)
METADATA = ("readChannelMetadata",)
NOTIFY = ("editNotificationLevel",)
USER_OWN, USER_ANY = ("editOwnUserInfo", "editAnyUserInfo"), ("editAnyUserInfo",)


def check(
    any_of: tuple[str, ...], service: Set[str], conversation: Set[str], *, member: bool
) -> None:
    """Whether one of these permissions is held, by a role in the service or, for a member, in the
    conversation. Raises Forbidden 50107, 50430."""
    if service & set(any_of) or (member and conversation & set(any_of)):
        return
    raise Forbidden(*(NOT_AUTHORIZED if member else NOT_PARTICIPANT))


def check_service(any_of: tuple[str, ...], service: Set[str]) -> None:
    """The same of what is not done in a conversation. Raises Forbidden 50107."""
    if not service & set(any_of):
        raise Forbidden(*NOT_AUTHORIZED)


def check_member(*, member: bool) -> None:
    """What every participant may do, and nobody else. Raises Forbidden 50430."""
    if not member:
        raise Forbidden(*NOT_PARTICIPANT)


def check_reader(service: Set[str], conversation: Set[str]) -> None:
    """Whether a participant may read what channels told about messages. Raises Forbidden 50531."""
    if not (service | conversation) & set(METADATA):
        raise Forbidden(*NOT_READER)
