"""What answers look like: the keys of services, their settings and what they are reached by."""

from __future__ import annotations

from collections.abc import Mapping

from app import ids
from app.api.schemas import (
    ACCOUNT,
    DATES,
    FLAG,
    NUMBER,
    OWNED,
    PUSH,
    SERVICE,
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

METHOD = words("GET", "POST")
NEWS = {"enabled": FLAG, "template": TEXT, "sound": null(TEXT)}

SETTINGS: Mapping[str, Mapping[str, Schema]] = {
    "Service": {
        "sid": SERVICE,
        "account_sid": ACCOUNT,
        "friendly_name": TEXT,
        **DATES,
        "url": URL,
        "links": {"type": "object", "additionalProperties": URL},
    },
    "ServiceConfiguration": {
        "chat_service_sid": SERVICE,
        "default_conversation_creator_role_sid": null(sid(ids.ROLE)),
        "default_conversation_role_sid": null(sid(ids.ROLE)),
        "default_chat_service_role_sid": null(sid(ids.ROLE)),
        "reachability_enabled": FLAG,
        "url": URL,
        "links": links("notifications", "webhooks"),
    },
    "Notifications": {
        **OWNED,
        "log_enabled": FLAG,
        "new_message": whole(
            **NEWS, badge_count_enabled=FLAG, with_media=whole(enabled=FLAG, template=TEXT)
        ),
        "added_to_conversation": whole(**NEWS),
        "removed_from_conversation": whole(**NEWS),
        "url": URL,
    },
    "Configuration": {
        "account_sid": ACCOUNT,
        "default_chat_service_sid": SERVICE,
        "default_messaging_service_sid": null(sid(ids.MESSAGING_SERVICE)),
        "default_inactive_timer": null(TEXT),
        "default_closed_timer": null(TEXT),
        "url": URL,
        "links": links("service", "webhooks"),
    },
    "AccountWebhooks": {
        "account_sid": ACCOUNT,
        "target": words("webhook", "flex"),
        "pre_webhook_url": null(TEXT),
        "post_webhook_url": null(TEXT),
        "filters": many(TEXT),
        "method": METHOD,
        "url": URL,
    },
    "ServiceWebhooks": {
        **OWNED,
        "pre_webhook_url": null(TEXT),
        "post_webhook_url": null(TEXT),
        "filters": many(TEXT),
        "method": METHOD,
        "url": URL,
    },
    "AddressConfiguration": {
        "account_sid": ACCOUNT,
        "sid": sid(ids.ADDRESS_CONFIGURATION),
        "address": TEXT,
        "type": TEXT,
        "friendly_name": null(TEXT),
        "address_country": null(TEXT),
        "auto_creation": some(
            enabled=FLAG,
            type=words("default", "webhook", "studio"),
            conversation_service_sid=SERVICE,
            webhook_url=null(TEXT),
            webhook_method=METHOD,
            webhook_filters=many(TEXT),
            studio_flow_sid=null(sid(ids.FLOW)),
            studio_retry_count=null(NUMBER),
        ),
        **DATES,
        "url": URL,
    },
    "Credential": {
        "sid": sid(ids.CREDENTIAL),
        "account_sid": ACCOUNT,
        "friendly_name": null(TEXT),
        "type": words(*PUSH),
        "sandbox": null(words("true", "false")),
        **DATES,
        "url": URL,
    },
    "PushBinding": {
        "sid": sid(ids.PUSH_BINDING),
        **OWNED,
        "credential_sid": null(sid(ids.CREDENTIAL)),
        **DATES,
        "endpoint": null(TEXT),
        "identity": TEXT,
        "binding_type": words(*PUSH, "twilsock"),
        "message_types": many(TEXT),
        "url": URL,
    },
    "Channel": {
        "sid": sid(ids.CONVERSATION),
        "account_sid": ACCOUNT,
        "service_sid": SERVICE,
        "friendly_name": null(TEXT),
        "unique_name": null(TEXT),
        "attributes": TEXT,
        "type": words("private"),
        **DATES,
        "created_by": null(TEXT),
        "members_count": NUMBER,
        "messages_count": NUMBER,
        "messaging_service_sid": null(sid(ids.MESSAGING_SERVICE)),
        "url": URL,
    },
}
