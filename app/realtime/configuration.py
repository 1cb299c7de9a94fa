"""What a client is told at its start: where everything is, and what it may do at most."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import asyncpg

from app.api.client_media import service_path
from app.realtime import entities
from app.realtime.entities import INFO, MINE
from app.realtime.reading import Person
from app.runtime import Runtime

MEDIA_MAX = 10
USERS_MAX = 100
"""Other people whom a client keeps open."""
MIME_TYPES = ["text/plain", "text/html"]
REACHABLE = "SELECT reachability_enabled FROM services WHERE sid = $1"


async def shown(
    runtime: Runtime, sql: asyncpg.Connection, who: Person, base: str
) -> dict[str, Any]:
    """The configuration of a client; `base` is the URL below which its commands are."""
    grant = who.grant
    reachable = await sql.fetchval(REACHABLE, grant.service_sid)
    most_mb = max(1, runtime.settings.media.bytes_max >> 20)
    media = f"{runtime.public_url}{service_path(grant.service_sid)}"
    return {
        "identity": grant.identity,
        "service_sid": grant.service_sid,
        "account_sid": grant.account_sid,
        "links": {
            "my_conversations": f"{base}/MyConversations",
            "conversations": f"{base}/Conversations",
            "users": f"{base}/Users",
            "current_user": f"{base}/Users/{quote(grant.identity, safe='')}",
            "typing": f"{base}/Typing",
            "media_service": media,
            "media_set_service": f"{media}Set",
            "messages_receipts": f"{base}/Conversations/%s/Messages/%s/Receipts",
        },
        "options": {
            "media_attachments_count_limit": MEDIA_MAX,
            "media_attachment_size_limit_in_mb": most_mb,
            "media_attachments_total_size_limit_in_mb": most_mb,
            "email_histories_allowed_mime_types": MIME_TYPES,
            "email_bodies_allowed_mime_types": MIME_TYPES,
            "user_infos_to_subscribe": USERS_MAX,
            "reachability_enabled": bool(reachable),
            "http_cache_interval": "PT5S",
            "consumption_report_interval": "PT5S",
        },
        "sync_objects": {
            "my_user_info": entities.name(INFO, grant.identity),
            "my_conversations": entities.name(MINE, grant.identity),
        },
    }
