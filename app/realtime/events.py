"""What happened to an entity, as clients are told of it.

An event's id is a number that grows with every change of its entity: a client passes over what is
not newer than what it has, and says when it comes back how far it saw. Of a conversation's entities
it is the conversation's revision, of somebody's memberships a stamp, of a user the user's revision.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, NamedTuple

import orjson

from app import ids
from app.realtime import entities, frames
from app.realtime.entities import TYPES, Kind

PROTOCOL = 4
SYNC_EVENT = "twilio.sync.event"
LIVE = "com.twilio.rtd.cds."
TYPING = "twilio.ipmsg.typing_indicator"
AT_ONCE_MAX = 50
"""Events in one frame: clients read it in one go."""

ADDED, UPDATED, REMOVED = "added", "updated", "removed"


class Event(NamedTuple):
    """One event of one entity. `what` is added, updated or removed; `key` is the item's (none: it
    is about the entity itself), `of` the SID of the conversation or user, `name` what the unique
    name begins with."""

    kind: Kind
    of: str
    name: str
    id: int
    what: str
    key: str | int | None
    data: Any
    at: str


def word(events: Iterable[Event], *, live: bool) -> Iterator[tuple[int, bytes]]:
    """The frames that say these events of one entity, in their order, and the id of the last event
    in each."""
    for (kind, event_type), group in groupby(events, key=_type):
        together = list(group)
        for start in range(0, len(together), AT_ONCE_MAX):
            some = together[start : start + AT_ONCE_MAX]
            payload = {
                "event_type": event_type,
                "events": [_worded(event) for event in some],
                "event_protocol_version": PROTOCOL,
                "strictly_ordered": False,
            }
            message_type = f"{LIVE}{TYPES[kind]}" if live else SYNC_EVENT
            yield some[-1].id, notification(message_type, payload)


def notification(message_type: str, payload: Any) -> bytes:
    """A push, as one WebSocket message. Clients acknowledge it under its id."""
    header = {
        "method": "notification",
        "id": "RT" + ids.token().replace("-", ""),
        "message_type": message_type,
        "notification_protocol_version": 0,
    }
    return frames.message(frames.pack(header, orjson.dumps(payload)))


def _type(event: Event) -> tuple[Kind, str]:
    thing: str = TYPES[event.kind]
    if event.key is not None:
        thing += "_item"
    return event.kind, f"{thing}_{event.what}"


def _worded(event: Event) -> dict[str, Any]:
    thing = TYPES[event.kind]
    sid = entities.sid(event.kind, event.of)
    said: dict[str, Any] = {
        "id": event.id,
        f"{thing}_sid": sid,
        f"{thing}_unique_name": entities.name(event.kind, event.name),
        f"{thing}_revision": str(event.id),
        "created_by": "system",
        "date_created": event.at,
        "date_expires": None,
    }
    if event.key is None:
        if event.what == UPDATED:
            said[f"{thing}_data"] = event.data
        return said
    said["item_index" if thing == "list" else "item_key"] = event.key
    said["item_data"] = event.data
    if event.what != REMOVED:
        said["item_revision"] = str(event.id)
        plural = "Lists" if thing == "list" else "Maps"
        said["item_url"] = f"https://sync/v3/{plural}/{sid}/Items/{event.key}"
    return said
