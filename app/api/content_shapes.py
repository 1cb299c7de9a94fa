"""What answers look like: the keys of content templates and their approvals."""

from __future__ import annotations

from collections.abc import Mapping

from app import ids
from app.api.schemas import (
    ACCOUNT,
    DATES,
    FLAG,
    OBJECT,
    TEXT,
    URL,
    Schema,
    links,
    null,
    sid,
    whole,
    words,
)
from app.model.contents import APPROVAL_STATUSES

_CONTENT: Mapping[str, Schema] = {
    "sid": sid(ids.CONTENT),
    "account_sid": ACCOUNT,
    "friendly_name": null(TEXT),
    "language": TEXT,
    "variables": {"type": "object", "additionalProperties": TEXT},
    "types": OBJECT,
    **DATES,
}
_APPROVAL: Mapping[str, Schema] = {
    "name": TEXT,
    "category": TEXT,
    "content_type": TEXT,
    "status": words(*APPROVAL_STATUSES),
    "rejection_reason": TEXT,
    "allow_category_change": FLAG,
}

CONTENTS: Mapping[str, Mapping[str, Schema]] = {
    "Content": {**_CONTENT, "url": URL, "links": links("approval_create", "approval_fetch")},
    "ContentAndApprovals": {**_CONTENT, "approval_requests": whole(**_APPROVAL)},
    "ContentApproval": _APPROVAL,
    "ContentApprovals": {
        "sid": sid(ids.CONTENT),
        "account_sid": ACCOUNT,
        "whatsapp": whole(type=words("whatsapp"), **_APPROVAL),
        "url": URL,
    },
    "LegacyContent": {
        **_CONTENT,
        "legacy_template_name": TEXT,
        "legacy_body": TEXT,
        "url": URL,
    },
}
