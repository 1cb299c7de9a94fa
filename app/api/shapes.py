"""What answers look like: the keys of conversations, of what is in them and of people, with types.

A shape is closed: each of its keys is always there, and no other.
"""

from __future__ import annotations

from collections.abc import Mapping

from app import ids
from app.api.schemas import (
    DATE,
    DATES,
    FLAG,
    NUMBER,
    OWNED,
    TEXT,
    URL,
    Schema,
    links,
    many,
    null,
    sid,
    some,
    whole,
    words,
)

CONVERSATION, PARTICIPANT = sid(ids.CONVERSATION), sid(ids.PARTICIPANT)
TIMERS = some(date_inactive=DATE, date_closed=DATE)
SHARE = words("all", "some", "none")
STATE = words("initializing", "active", "inactive", "closed")


BINDING = some(
    type=words("sms", "whatsapp", "messenger", "instagram", "gbm", "email", "rcs", "apple", "chat"),
    address=null(TEXT),
    proxy_address=null(TEXT),
    projected_address=null(TEXT),
    name=null(TEXT),
    level=null(TEXT),
)
DELIVERY = whole(
    total=NUMBER,
    **dict.fromkeys(("sent", "delivered", "read", "failed", "undelivered"), SHARE),
)
MEDIUM = whole(sid=sid(ids.MEDIA), size=null(NUMBER), content_type=TEXT, filename=null(TEXT))

SHAPES: Mapping[str, Mapping[str, Schema]] = {
    "Media": {
        "sid": sid(ids.MEDIA),
        "account_sid": sid(ids.ACCOUNT),
        "service_sid": sid(ids.SERVICE),
        **DATES,
        "channel_sid": null(CONVERSATION),
        "message_sid": null(sid(ids.MESSAGE)),
        "size": null(NUMBER),
        "content_type": TEXT,
        "filename": null(TEXT),
        "author": TEXT,
        "status": words("stored", "pending", "failed", "linked"),
        "error": null(TEXT),
        "url": URL,
        "links": whole(content=URL, content_direct_temporary=null(URL)),
    },
    "Conversation": {
        "sid": CONVERSATION,
        **OWNED,
        "messaging_service_sid": null(sid(ids.MESSAGING_SERVICE)),
        "friendly_name": null(TEXT),
        "unique_name": null(TEXT),
        "attributes": TEXT,
        **DATES,
        "state": STATE,
        "timers": TIMERS,
        "bindings": some(email=some(address=null(TEXT), name=null(TEXT))),
        "url": URL,
        "links": links("participants", "messages", "webhooks", "export"),
    },
    "Message": {
        "sid": sid(ids.MESSAGE),
        **OWNED,
        "conversation_sid": CONVERSATION,
        "body": null(TEXT),
        "media": null(many(MEDIUM)),
        "author": TEXT,
        "participant_sid": null(PARTICIPANT),
        "attributes": TEXT,
        **DATES,
        "index": NUMBER,
        "delivery": null(DELIVERY),
        "content_sid": null(sid(ids.CONTENT)),
        "url": URL,
        "links": links("delivery_receipts", "channel_metadata"),
    },
    "Receipt": {
        "sid": sid(ids.RECEIPT),
        **OWNED,
        "conversation_sid": CONVERSATION,
        "message_sid": sid(ids.MESSAGE),
        "channel_message_sid": null(TEXT),
        "participant_sid": PARTICIPANT,
        "status": null(words("sent", "delivered", "read", "failed", "undelivered")),
        "error_code": null(NUMBER),
        **DATES,
        "url": URL,
    },
    "Participant": {
        **OWNED,
        "conversation_sid": CONVERSATION,
        "sid": PARTICIPANT,
        "identity": null(TEXT),
        "attributes": TEXT,
        "messaging_binding": null(BINDING),
        "role_sid": null(sid(ids.ROLE)),
        **DATES,
        "url": URL,
        "last_read_message_index": null(NUMBER),
        "last_read_timestamp": null(DATE),
    },
    "ScopedWebhook": {
        "sid": sid(ids.WEBHOOK),
        **OWNED,
        "conversation_sid": CONVERSATION,
        "target": words("webhook", "trigger", "studio"),
        "url": URL,
        "configuration": some(
            url=null(TEXT),
            method=words("get", "post"),
            filters=many(TEXT),
            triggers=many(TEXT),
            flow_sid=null(sid(ids.FLOW)),
            replay_after=NUMBER,
        ),
        **DATES,
    },
    "ParticipantConversation": {
        **OWNED,
        "participant_sid": PARTICIPANT,
        "participant_user_sid": null(sid(ids.USER)),
        "participant_identity": null(TEXT),
        "participant_messaging_binding": null(BINDING),
        "conversation_sid": CONVERSATION,
        "conversation_unique_name": null(TEXT),
        "conversation_friendly_name": null(TEXT),
        "conversation_attributes": TEXT,
        "conversation_date_created": DATE,
        "conversation_date_updated": DATE,
        "conversation_created_by": null(TEXT),
        "conversation_state": STATE,
        "conversation_timers": TIMERS,
        "links": links("participant", "conversation"),
    },
    "Role": {
        "sid": sid(ids.ROLE),
        **OWNED,
        "friendly_name": TEXT,
        "type": words("conversation", "service"),
        "permissions": many(TEXT),
        **DATES,
        "url": URL,
    },
    "User": {
        "sid": sid(ids.USER),
        **OWNED,
        "role_sid": null(sid(ids.ROLE)),
        "identity": TEXT,
        "friendly_name": null(TEXT),
        "attributes": TEXT,
        "is_online": null(FLAG),
        "is_notifiable": null(FLAG),
        **DATES,
        "url": URL,
        "links": links("user_conversations"),
    },
    "UserConversation": {
        **OWNED,
        "conversation_sid": CONVERSATION,
        "unread_messages_count": null(NUMBER),
        "last_read_message_index": null(NUMBER),
        "participant_sid": PARTICIPANT,
        "user_sid": sid(ids.USER),
        "friendly_name": null(TEXT),
        "conversation_state": STATE,
        "timers": TIMERS,
        "attributes": TEXT,
        **DATES,
        "created_by": null(TEXT),
        "notification_level": words("default", "muted"),
        "unique_name": null(TEXT),
        "url": URL,
        "links": links("participant", "conversation"),
    },
}
IN_SERVICE_ONLY = frozenset({"Message", "Receipt", "Participant", "ScopedWebhook"})
"""These show their service only in the services' tree."""
