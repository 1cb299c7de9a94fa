"""Files on the road: those that a posted message takes with it, and those to be fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from mimetypes import guess_type
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlsplit

import asyncpg

from app import ids
from app.errors import Conflict, NotFound, Refused
from app.model import Conversation, Media
from app.model.outbox import MEDIA, media_lane
from app.model.traffic import MediaPart
from app.road.convoy import Carriage, Load
from app.road.items import Arrival, Draft
from app.store import mail, media
from app.store.outbox import NewItem

NOT_FOUND = (50507, "Media not found")
TAKEN = (50508, "Media already sent with another message")
UNKNOWN = "application/octet-stream"
TOO_LATE = "the message waited so long that the file was removed"


async def attach(sql: asyncpg.Connection, load: Load) -> None:
    """Lock the media that posted messages name, and give each to the first that names it. Refuses
    NotFound 50507 (not of this service, or gone), Conflict 50508 (another message has it)."""
    wanted = [
        (carriage, carriage.item)
        for carriage in load.going()
        if isinstance(carriage.item, Draft) and carriage.item.media_sids
    ]
    sids = sorted({sid for _, draft in wanted for sid in draft.media_sids})
    rows = await media.lock(sql, sids) if sids else {}
    taken: set[str] = set()
    for carriage, draft in wanted:
        try:
            carriage.media = tuple(
                _attached(rows.get(sid), taken, carriage, draft, position)
                for position, sid in enumerate(draft.media_sids)
            )
        except Refused as refused:
            carriage.refuse(refused)
        else:
            taken.update(draft.media_sids)


def check_free(row: Any, account_sid: str, service_sid: str) -> None:
    """Whether a message of this service may take these media (None: there are none). Raises
    NotFound 50507, Conflict 50508."""
    if row is None or (row["account_sid"], row["chat_service_sid"]) != (account_sid, service_sid):
        raise NotFound(*NOT_FOUND)
    if row["message_sid"] is not None:
        raise Conflict(*TAKEN)
    if row["conversation_sid"] is not None:  # of a message that is deleted
        raise NotFound(*NOT_FOUND)


async def adopt(sql: asyncpg.Connection, load: Load) -> None:
    """Take the files that came with messages, and lie on our shelf already, for good."""
    came = [
        (part.kept, part.size or 0)
        for carriage in load.going()
        if isinstance(carriage.item, Arrival)
        for part in carriage.item.inbound.media
        if part.kept is not None
    ]
    if came:
        load.files = await mail.adopt(sql, came, load.now)


def received(
    conversation: Conversation, carriage: Carriage, files: Mapping[str, str], *, fetched: bool
) -> tuple[Media, ...]:
    """The media of an inbound, as its carrier names them; `files` are those that came along."""
    return tuple(
        _row(
            conversation,
            carriage,
            position=position,
            content_type=part.content_type,
            filename=part.filename,
            size=part.size,
            source_url=part.url or None,
            **_place(part, files, fetched),
        )
        for position, part in enumerate(carriage.arrival.inbound.media)
    )


def linked(
    conversation: Conversation, carriage: Carriage, urls: Sequence[str]
) -> tuple[Media, ...]:
    """The media of a message that a flow says: they stay where they are, carriers fetch them there,
    and what they are is told by their names."""
    return tuple(
        _row(
            conversation,
            carriage,
            position=position,
            content_type=guess_type(urlsplit(url).path)[0] or UNKNOWN,
            filename=None,
            size=None,
            source_url=url,
            status="linked",
            error=None,
            file_key=None,
        )
        for position, url in enumerate(urls)
    )


def _row(conversation: Conversation, carriage: Carriage, **columns: Any) -> Media:
    named = SimpleNamespace(
        sid=ids.new(ids.MEDIA),
        account_sid=conversation.account_sid,
        chat_service_sid=conversation.chat_service_sid,
        conversation_sid=conversation.sid,
        message_sid=carriage.message_sid,
        **columns,
    )
    return cast(Media, named)


def fetches(load: Load, carriage: Carriage) -> list[NewItem]:
    """What the fetching loop has to do for this message."""
    if not isinstance(carriage.item, Arrival) or not load.settings.media.fetch:
        return []
    return [
        NewItem(
            lane=media_lane(medium.sid),
            kind=MEDIA,
            token=medium.sid,
            account_sid=medium.account_sid,
            conversation_sid=carriage.conversation_sid,
            message_sid=carriage.message_sid,
            scope=carriage.item.inbound.carrier,
        )
        for medium in carriage.media
        if medium.status == "pending"
    ]


def _place(part: MediaPart, files: Mapping[str, str], fetched: bool) -> dict[str, str | None]:
    """Where a file of an inbound is."""
    if part.kept is None:
        status = "pending" if fetched else "linked"
        return {"status": status, "error": None, "file_key": None}
    if part.kept.key in files:
        return {"status": "stored", "error": None, "file_key": files[part.kept.key]}
    return {"status": "failed", "error": TOO_LATE, "file_key": None}


def _attached(row: Any, taken: set[str], carriage: Carriage, draft: Draft, position: int) -> Media:
    check_free(row, draft.account_sid, draft.service_sid)
    if row["sid"] in taken:
        raise Conflict(*TAKEN)
    changed = {
        "conversation_sid": carriage.conversation_sid,
        "message_sid": carriage.message_sid,
        "position": position,
    }
    return cast(Media, SimpleNamespace(**{**row, **changed}))
