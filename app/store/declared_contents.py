"""The content templates that the YAML declares, and what it says of their approvals."""

from __future__ import annotations

from datetime import datetime

from app import ids
from app.channels.templates import APPROVABLE
from app.model import Content, ContentApproval
from app.settings.models import Settings
from app.settings.problems import dotted


def contents(settings: Settings, now: datetime) -> list[Content]:
    """The content templates that the file declares."""
    return [
        Content(
            sid=content_sid(settings, name),
            account_sid=settings.account.sid,
            friendly_name=name,
            language=content.language,
            variables=content.variables,
            types=content.types,
            carriers={
                carrier: called.model_dump(exclude_none=True)
                for carrier, called in content.carriers.items()
            },
            declared_as=dotted(("contents", name)),
            ask_at=now,
            date_created=now,
            date_updated=now,
        )
        for name, content in settings.contents.items()
    ]


def content_sid(settings: Settings, name: str) -> str:
    """The SID of a declared template: the one given, or one that is the same for ever."""
    given = settings.contents[name].sid
    return given or ids.stable(ids.CONTENT, settings.account.sid, "content", name)


def approvals(settings: Settings, now: datetime) -> list[ContentApproval]:
    """What the file says of the approval of its templates."""
    return [
        ContentApproval(
            content_sid=content_sid(settings, name),
            account_sid=settings.account.sid,
            name=content.approval.name or name,
            category=content.approval.category,
            content_type=next((one for one in reversed(APPROVABLE) if one in content.types), ""),
            status=content.approval.status,
            declared_as=dotted(("contents", name, "approval")),
            date_created=now,
            date_updated=now,
        )
        for name, content in settings.contents.items()
        if content.approval is not None
    ]
