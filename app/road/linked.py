"""Media that a flow names by their URLs: they stay where they are; carriers fetch them there."""

from __future__ import annotations

from collections.abc import Sequence
from mimetypes import guess_type
from types import SimpleNamespace
from typing import cast
from urllib.parse import urlsplit

from app import ids
from app.model import Conversation, Media
from app.road.convoy import Carriage

UNKNOWN = "application/octet-stream"


def linked(
    conversation: Conversation, carriage: Carriage, urls: Sequence[str]
) -> tuple[Media, ...]:
    """The media of a message that a flow says; what they are is told by their names."""
    return tuple(
        cast(
            Media,
            SimpleNamespace(
                sid=ids.new(ids.MEDIA),
                account_sid=conversation.account_sid,
                chat_service_sid=conversation.chat_service_sid,
                conversation_sid=conversation.sid,
                message_sid=carriage.message_sid,
                position=position,
                content_type=guess_type(urlsplit(url).path)[0] or UNKNOWN,
                filename=None,
                size=None,
                source_url=url,
                status="linked",
                error=None,
                file_key=None,
            ),
        )
        for position, url in enumerate(urls)
    )
