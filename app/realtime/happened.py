"""What happened, read from the rows: the events that those who follow it are told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import asyncpg

from app import ids
from app.realtime import events, shapes
from app.realtime.entities import INFO, MESSAGES, MINE, ROSTER, Kind
from app.realtime.events import ADDED, REMOVED, UPDATED, Event
from app.realtime.topics import Desk, Room
from app.store import sync, sync_people

Row = Any


class Reading:
    """What was read of several rooms at once: new messages and changes by conversation, messages
    and participants by SID, and who (conversation, identity) of those who changed is there."""

    def __init__(self) -> None:
        self.newer: dict[str, list[Row]] = {}
        self.changes: dict[str, list[Row]] = {}
        self.messages: dict[str, Row] = {}
        self.members: dict[str, Row] = {}
        self.present: set[tuple[str, str]] = set()

    @classmethod
    async def of(
        cls, sql: asyncpg.Connection, rooms: Sequence[Room], documents: dict[str, Row]
    ) -> Reading:
        """Read what these rooms have not told yet."""
        read = cls()
        grown = [
            (room.sid, room.count)
            for room in rooms
            if documents[room.sid]["message_count"] > room.count
        ]
        for row in await sync.newer(sql, grown) if grown else ():
            read.newer.setdefault(row["conversation_sid"], []).append(row)
        # Each message is one revision: where they are all, nothing else changed.
        others = [
            (room.sid, room.revision or 0)
            for room in rooms
            if documents[room.sid]["revision"] - (room.revision or 0)
            != len(read.newer.get(room.sid, ()))
        ]
        changes = await sync.changed(sql, others) if others else []
        for row in changes:
            read.changes.setdefault(row["conversation_sid"], []).append(row)
        await read.fill(sql, changes)
        return read

    async def fill(self, sql: asyncpg.Connection, changes: Sequence[Row]) -> None:
        """Read what these changes are about, as it is now."""
        kept = [one["thing_sid"] for one in changes if one["kind"] != REMOVED]
        of_messages = [sid for sid in kept if sid.startswith(ids.MESSAGE)]
        of_members = [sid for sid in kept if sid.startswith(ids.PARTICIPANT)]
        self.messages = await sync.messages_of(sql, of_messages)
        self.members = await sync.roster_of(sql, of_members)
        people = [one for one in changes if one["identity"] is not None]
        if people:
            sids = sorted({one["conversation_sid"] for one in people})
            identities = sorted({one["identity"] for one in people})
            self.present = await sync.members(sql, sids, identities)

    def horizon(self, room: Room, revision: int) -> int:
        """How far a room can be told: where one part of it was too much to read at once, the rest
        waits for another turn."""
        newer, changes = self.newer.get(room.sid, []), self.changes.get(room.sid, [])
        if len(newer) == sync.ROWS_MAX:
            revision = min(revision, newer[-1]["revision"])
        if len(changes) == sync.ROWS_MAX:
            last = changes[-1]["revision"]
            revision = min(revision, last - 1 if last > changes[0]["revision"] else last)
        return revision


def push(topic: Room | Desk, kind: Kind, happened: Sequence[Event]) -> None:
    """Push these events of one entity to everybody who follows it."""
    subscriptions = topic.subscriptions[kind]
    if not subscriptions or not happened:
        return
    for event_id, frame in events.word(happened, live=True):
        for subscription in list(subscriptions):
            subscription.push(event_id, frame)


def _messages(
    sid: str, added: Sequence[Row], changes: Sequence[Row], rows: dict[str, Row], at: str
) -> Iterator[Event]:
    """What happened to the messages of a conversation."""
    for row in added:
        data = shapes.message(row)
        yield Event(MESSAGES, sid, sid, row["revision"], ADDED, row["index"], data, at)
    for one in changes:
        if not one["thing_sid"].startswith(ids.MESSAGE):
            continue
        place: tuple[Kind, str, str, int] = (MESSAGES, sid, sid, one["revision"])
        if one["kind"] == REMOVED:
            yield Event(*place, REMOVED, one["index"], {"sid": one["thing_sid"]}, at)
        elif (row := rows.get(one["thing_sid"])) is not None:
            yield Event(*place, UPDATED, row["index"], shapes.message(row), at)


def _roster(sid: str, changes: Sequence[Row], rows: dict[str, Row], at: str) -> Iterator[Event]:
    """What happened to the roster of a conversation."""
    for one in changes:
        thing = one["thing_sid"]
        if not thing.startswith(ids.PARTICIPANT):
            continue
        place: tuple[Kind, str, str, int] = (ROSTER, sid, sid, one["revision"])
        if one["kind"] == REMOVED:
            yield Event(*place, REMOVED, thing, {"identity": one["identity"]}, at)
        elif (row := rows.get(thing)) is not None:
            yield Event(*place, one["kind"], thing, shapes.member(row), at)


def changed(
    sid: str, added: Sequence[Row], changes: Sequence[Row], read: Reading, at: str
) -> dict[Kind, list[Event]]:
    """What happened to messages and roster of a conversation, each in the order of the ids."""
    found: dict[Kind, list[Event]] = {
        MESSAGES: list(_messages(sid, added, changes, read.messages, at)),
        ROSTER: list(_roster(sid, changes, read.members, at)),
    }
    return {kind: sorted(some, key=lambda event: event.id) for kind, some in found.items()}


def membership(desk: Desk, one: sync_people.Moved, row: Row | None, added: bool, at: str) -> Event:
    """Somebody came into a conversation, sees it otherwise, or left it."""
    sid = one.conversation_sid
    place: tuple[Kind, str, str, int] = (MINE, desk.user_sid, desk.identity, one.stamp)
    if row is None:
        return Event(*place, REMOVED, sid, {"status": "notParticipating"}, at)
    return Event(*place, ADDED if added else UPDATED, sid, shapes.membership(row), at)


def note(desk: Desk, moved: Sequence[sync_people.Moved]) -> None:
    """These memberships were told; what is long past is forgotten."""
    for one in moved:
        desk.sent[one.conversation_sid] = max(one.stamp, desk.sent.get(one.conversation_sid, 0))
    desk.since = max([desk.since or 0, *desk.sent.values()])
    horizon = desk.since - 2 * sync.BACK_US
    desk.sent = {sid: stamp for sid, stamp in desk.sent.items() if stamp > horizon}


def person(row: Row, at: str) -> list[Event]:
    """What is shown of a user, all of it, as it is at its revision."""
    place: tuple[Kind, str, str, int] = (INFO, row["sid"], row["identity"], row["revision"])
    return [Event(*place, UPDATED, key, data, at) for key, data in shapes.user(row).items()]
