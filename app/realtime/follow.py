"""Follows what changes, for everybody who is connected to this process.

A name is heard: this conversation, or this person, moved. What changed is read, once for all who
follow it, in the order of the commits, and pushed to each. Names that were lost are found by a look
at the revisions of everything that is followed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Any

import asyncpg
import orjson

from app.clock import iso_millis
from app.errors import Unavailable
from app.observe import Failed
from app.realtime import shapes
from app.realtime.entities import CHANNEL, INFO, MESSAGES, MINE, ROSTER
from app.realtime.events import REMOVED, UPDATED, Event
from app.realtime.happened import Reading, changed, membership, note, person, push
from app.realtime.topics import Desk, Room, Topics
from app.runtime import Runtime
from app.store import moves, sync, sync_people

BATCH_MAX = 64
POLL_S = 2.0
"""How long something can go unseen when its name was lost."""
AGAIN_S = 0.5
LOOK_BACK_US = 10_000_000
CHUNK = 1000

Row = Any


class Follower:
    """Reads what moved and tells who follows it; one reader, so that everybody hears of everything
    in one order."""

    def __init__(self, runtime: Runtime, topics: Topics) -> None:
        self._runtime, self._topics = runtime, topics
        self._held = runtime.db.hold(pinned=True)
        self._polled = runtime.db.hold(pinned=True)
        self._moved: set[str] = set()
        self._bell = asyncio.Event()
        self._stirred_at = 0

    def hear(self, names: Collection[str]) -> None:
        """These moved."""
        for name in names:
            if name in self._topics:
                self._moved.add(name)
                self._bell.set()

    async def run(self) -> None:
        """Follow until cancelled."""
        try:
            while True:
                await self._bell.wait()
                self._bell.clear()
                names = [self._moved.pop() for _ in range(min(len(self._moved), BATCH_MAX))]
                if self._moved:
                    self._bell.set()
                try:
                    await self._turn(names)
                except Unavailable:
                    self._moved.update(names)
                    await self._runtime.clock.sleep(AGAIN_S)
                    self._bell.set()
                except Exception as error:
                    self._runtime.observe(Failed("following what changes", error))
                    await self._one_by_one(names)
        finally:
            await self._held.close()

    async def _one_by_one(self, names: Sequence[str]) -> None:
        """What cannot be told holds nothing else up; the next look tries it again."""
        for name in names if len(names) > 1 else ():
            try:
                await self._turn([name])
            except Unavailable:
                self.hear([name])
            except Exception as error:
                self._runtime.observe(Failed(f"following {name[:34]}", error))

    async def poll(self) -> None:
        """Look at everything that is followed, again and again, until cancelled."""
        try:
            while True:
                await self._runtime.clock.sleep(POLL_S)
                try:
                    await self.look()
                except Exception as error:
                    if not isinstance(error, Unavailable):
                        self._runtime.observe(Failed("looking at what is followed", error))
        finally:
            await self._polled.close()

    async def look(self) -> None:
        """Hear of everything that moved without a word."""
        rooms = [room for room in self._topics.rooms.values() if room.revision is not None]
        desks = list(self._topics.desks.values())
        if not rooms and not desks:
            return
        sql = await self._polled.live()
        for start in range(0, len(rooms), CHUNK):
            some = rooms[start : start + CHUNK]
            found = await sync.revisions(sql, [room.sid for room in some])
            self.hear([one.sid for one in some if found.get(one.sid) != one.revision])
        for start in range(0, len(desks), CHUNK):
            people = [one for one in desks[start : start + CHUNK] if one.revision is not None]
            found = await sync_people.revisions(sql, [one.user_sid for one in people])
            self.hear([one.name for one in people if found.get(one.user_sid) != one.revision])
        now = await sync_people.now_us(sql)
        since = (self._stirred_at or now) - LOOK_BACK_US
        stirred = await sync_people.stirred(sql, since)
        self.hear([moves.person(*one) for one in stirred])
        self._stirred_at = now

    async def _turn(self, names: Sequence[str]) -> None:
        rooms = [room for name in names if (room := self._topics.rooms.get(name))]
        rooms = [room for room in rooms if room.revision is not None]
        desks = {name for name in names if name in self._topics.desks}
        sql = await self._held.live()
        if rooms:
            desks |= await self._rooms(sql, rooms)
        for name in sorted(desks):
            if (desk := self._topics.desks.get(name)) is not None:
                await self._desk(sql, desk)

    async def _rooms(self, sql: asyncpg.Connection, rooms: Sequence[Room]) -> set[str]:
        """Tell what changed in these; gives the people whom it moved, as far as they are here."""
        documents = await sync.documents(sql, [room.sid for room in rooms])
        there = []
        for room in rooms:
            row = documents.get(room.sid)
            if row is None:
                self._gone(room)
            elif row["revision"] > (room.revision or 0):
                there.append(room)
        if not there:
            return set()
        read = await Reading.of(sql, there, documents)
        moved: set[str] = set()
        for room in there:
            row = documents[room.sid]
            moved |= self._people(room, row, read)
            self._tell(room, row, read)
        return {name for name in moved if name in self._topics.desks}

    def _tell(self, room: Room, row: Row, read: Reading) -> None:
        """Push what changed in a room, and note how far it was told."""
        horizon = read.horizon(room, row["revision"])
        added = [one for one in read.newer.get(room.sid, ()) if one["revision"] <= horizon]
        changes = [one for one in read.changes.get(room.sid, ()) if one["revision"] <= horizon]
        at = iso_millis(self._runtime.clock.now())
        for kind, happened in changed(room.sid, added, changes, read, at).items():
            push(room, kind, happened)
        data = shapes.document(row)
        shown = orjson.dumps(data)
        if shown != room.shown:
            document = Event(CHANNEL, room.sid, room.sid, horizon, UPDATED, None, data, at)
            push(room, CHANNEL, [document])
            room.shown = shown
        room.revision = horizon
        if horizon < row["revision"]:
            room.count = added[-1]["index"] + 1 if added else room.count
            self.hear([room.sid])
        else:
            room.count = row["message_count"]

    def _people(self, room: Room, row: Row, read: Reading) -> set[str]:
        """Whose memberships a room's changes concern. Who is no longer in it follows it no more."""
        named = {
            one["identity"]: one["kind"]
            for one in read.changes.get(room.sid, ())
            if one["identity"] is not None
        }
        left = {who for who in named if (room.sid, who) not in read.present}
        for kind in (CHANNEL, MESSAGES, ROSTER):
            for subscription in list(room.subscriptions[kind]):
                if subscription.listener.identity in left and (
                    kind != CHANNEL or subscription.listener.identity != row["created_by"]
                ):
                    self._topics.leave(room, subscription)
        return {moves.person(row["chat_service_sid"], identity) for identity in named}

    def _gone(self, room: Room) -> None:
        """A conversation is no more."""
        at = iso_millis(self._runtime.clock.now())
        last = (room.revision or 0) + 1
        for kind, subscriptions in room.subscriptions.items():
            event = Event(kind, room.sid, room.sid, last, REMOVED, None, None, at)
            push(room, kind, [event])
            for subscription in list(subscriptions):
                name = subscription.listener.identity
                self._topics.leave(room, subscription)
                self._wake(name)

    def _wake(self, identity: str) -> None:
        """Look at what somebody is in, whatever their service."""
        for name, desk in self._topics.desks.items():
            if desk.identity == identity:
                self._moved.add(name)
                self._bell.set()

    async def _desk(self, sql: asyncpg.Connection, desk: Desk) -> None:
        at = iso_millis(self._runtime.clock.now())
        if desk.since is not None and desk.subscriptions[MINE]:
            since = desk.since
            moved = await sync_people.moved(sql, desk.service_sid, desk.identity, since)
            fresh = [
                one for one in moved.rows if one.stamp > desk.sent.get(one.conversation_sid, 0)
            ]
            sids = [one.conversation_sid for one in fresh]
            current = await sync_people.these(sql, desk.service_sid, desk.identity, sids)
            happened = []
            for one in fresh:
                seen = desk.sent.get(one.conversation_sid, 0)
                row = current.get(one.conversation_sid)
                happened.append(membership(desk, one, row, one.added > seen, at))
            push(desk, MINE, happened)
            note(desk, moved.rows)
        if desk.revision is not None and desk.subscriptions[INFO]:
            rows = await sync_people.users(sql, desk.service_sid, [desk.identity])
            if rows and rows[0]["revision"] > desk.revision:
                push(desk, INFO, person(rows[0], at))
                desk.revision = rows[0]["revision"]
