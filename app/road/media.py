"""Files on the road: those that a posted message takes with it, and those to be fetched."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import asyncpg

from app import ids
from app.errors import Conflict, NotFound, Refused
from app.model import Conversation, Media
from app.model.outbox import MEDIA, media_lane
from app.road.convoy import Carriage, Load
from app.road.items import Arrival, Draft
from app.store import media
from app.store.outbox import NewItem

NOT_FOUND = (50507, "Media not found")
TAKEN = (50508, "Media already sent with another message")


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


def received(conversation: Conversation, carriage: Carriage, *, fetched: bool) -> tuple[Media, ...]:
    """The media of an inbound, as its carrier names them."""
    inbound = carriage.arrival.inbound
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
                content_type=part.content_type,
                filename=part.filename,
                size=part.size,
                source_url=part.url,
                status="pending" if fetched else "linked",
                file_key=None,
            ),
        )
        for position, part in enumerate(inbound.media)
    )


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
    ]


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
