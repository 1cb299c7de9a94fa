"""Subscriptions to entities, and the replay of what a client missed.

A client says of each entity how far it has seen it. What came after is computed from the rows as
they are now (states in between are passed over), pushed in the order of the ids, and then the
client is told that it is subscribed, under the number that it gave its request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from app.clock import iso_millis
from app.errors import Invalid, Refused, TooMany
from app.realtime import entities, events, reading, shapes
from app.realtime.asked import BAD_REQUEST, Answer
from app.realtime.entities import CHANNEL, MESSAGES, MINE, TYPES, Named
from app.realtime.events import SYNC_EVENT, UPDATED, Event
from app.realtime.follow import Follower
from app.realtime.happened import Reading, changed, membership, note, person
from app.realtime.reading import Person, Seen
from app.realtime.topics import Desk, Listener, Room, Subscription, Topics
from app.runtime import Runtime
from app.store import sync, sync_people
from app.store.sync import Access

BATCH_MAX = 100
DELIVERY_MS = 10_000
"""How long a client waits for its confirmations before it asks again."""
DAY_US = 86_400_000_000
FOLLOWS_S = 0.005
HELD_MAX = 10_000
"""Subscriptions of one client: three for each conversation, and people."""
MISSED_MAX = 1000
"""How many messages, and how many changes, one replay goes back; of more, the latest come."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One entity that a client subscribes to, and how far it has seen it (None: all of it)."""

    sid: str
    type: str
    seen: int | None


def requests(body: dict[str, Any]) -> tuple[str, Any, list[Wanted]]:
    """Action, correlation id (given back as it came), and what is wanted. Raises Invalid."""
    asked = body.get("requests")
    if not isinstance(asked, list) or len(asked) > BATCH_MAX:
        raise Invalid(BAD_REQUEST, f"Invalid requests: at most {BATCH_MAX}")
    wanted = []
    for one in asked:
        if not isinstance(one, dict) or one.get("object_type") not in entities.MISSING:
            raise Invalid(BAD_REQUEST, "Invalid requests: object_type")
        last = one.get("last_event_id")
        if last is not None and (not isinstance(last, int) or isinstance(last, bool)):
            raise Invalid(BAD_REQUEST, "Invalid requests: last_event_id")
        wanted.append(Wanted(str(one.get("object_sid")), one["object_type"], last))
    return str(body.get("action", "establish")), body.get("correlation_id"), wanted


def accepted() -> Answer:
    """What a request for subscriptions is answered at once."""
    shown = {
        "max_batch_size": BATCH_MAX,
        "ttl_in_s": -1,
        "estimated_delivery_in_ms": DELIVERY_MS,
    }
    return Answer(202, shown)


class Subscriber:
    """The subscriptions of one socket."""

    def __init__(
        self,
        runtime: Runtime,
        topics: Topics,
        follower: Follower,
        listener: Listener,
        who: Person,
    ) -> None:
        self._runtime, self._topics, self._follower = runtime, topics, follower
        self._listener, self._who = listener, who
        self._held: dict[str, tuple[Room | Desk, Subscription]] = {}
        self._asked: dict[str, Any] = {}

    async def follows(self, sid: str, revision: int, seconds: float) -> bool:
        """Whether this entity is subscribed to; waits until what happened in it up to this revision
        was pushed, at most so long."""
        if sid not in self._held:
            return False
        clock = self._runtime.clock
        until = clock.monotonic() + seconds
        while (held := self._held.get(sid)) is not None and clock.monotonic() < until:
            topic, subscription = held
            told = topic.revision
            if isinstance(topic, Desk) and subscription.kind == MINE:
                told = topic.since
            if subscription.pending is None and (told or 0) >= revision:
                break
            await clock.sleep(FOLLOWS_S)
        return True

    def leave(self) -> None:
        """Give them all up."""
        for topic, subscription in self._held.values():
            self._topics.leave(topic, subscription)
        self._held.clear()

    def ask(self, correlation_id: Any, wanted: Sequence[Wanted]) -> None:
        """These are wanted: of an entity that is asked for again meanwhile, the last request
        counts."""
        for one in wanted:
            self._asked[one.sid] = correlation_id

    def cancel(self, correlation_id: Any, wanted: Sequence[Wanted]) -> None:
        """Push nothing more of these."""
        for one in wanted:
            self._asked.pop(one.sid, None)
            self._drop(one.sid)
            entity = {"object_sid": one.sid, "object_type": one.type}
            self._say("subscription_canceled", correlation_id, entity)

    async def establish(self, correlation_id: Any, wanted: Sequence[Wanted]) -> None:
        """Replay what was missed of each, and push what happens from then on. Conversations are
        read together: clients come back with all that they have."""
        asked = [one for one in wanted if self._is_asked(one, correlation_id)]
        places = {one.sid: entities.named(one.sid, one.type) for one in asked}
        async with self._runtime.db.read() as tx:
            known = await self._known(tx.sql, places.values())
            for one in asked:
                entity: dict[str, Any] = {"object_sid": one.sid, "object_type": one.type}
                try:
                    last = await self._one(tx.sql, one, places[one.sid], known)
                except Refused as refused:
                    self._drop(one.sid)
                    status = 429 if isinstance(refused, TooMany) else 404
                    error = {"status": status, "code": refused.code, "message": refused.message}
                    self._say("subscription_failed", correlation_id, {**entity, "error": error})
                    continue
                entity |= {"replay_status": "completed", "last_event_id": last}
                self._say("subscription_established", correlation_id, entity)
                held = self._held.get(one.sid)
                if held is not None:
                    held[1].establish(last if held[1].kind != MINE else 0)

    def _is_asked(self, one: Wanted, correlation_id: Any) -> bool:
        """Whether it was neither cancelled nor asked for again meanwhile."""
        if one.sid not in self._asked or self._asked[one.sid] != correlation_id:
            return False
        del self._asked[one.sid]
        return True

    def _drop(self, sid: str) -> None:
        held = self._held.pop(sid, None)
        if held is not None:
            self._topics.leave(*held)

    async def _known(
        self, sql: asyncpg.Connection, places: Iterable[Named | None]
    ) -> dict[str, tuple[Access, Any]]:
        """The conversations among these: what the client is to each, and its document."""
        sids = {one.of for one in places if one and one.kind in entities.OF_CONVERSATIONS}
        if not sids:
            return {}
        grant = self._who.grant
        accesses = await sync.accesses(sql, grant.service_sid, sorted(sids), grant.identity)
        documents = await sync.documents(sql, list(accesses))
        return {sid: (one, documents[sid]) for sid, one in accesses.items() if sid in documents}

    async def _one(
        self,
        sql: asyncpg.Connection,
        wanted: Wanted,
        place: Named | None,
        known: Mapping[str, tuple[Access, Any]],
    ) -> int:
        """Enter the subscription, then replay; gives how far it went. Raises Refused."""
        if place is None or place.kind not in entities.OF_CONVERSATIONS:
            seen = await reading.find(sql, self._who, wanted.sid, wanted.type)
            topic = self._enter(wanted.sid, seen)
            assert isinstance(topic, Desk)
            if seen.kind == MINE:
                return await self._mine(sql, topic, wanted.seen)
            return await self._info(sql, topic, seen, wanted.seen)
        access, row = known.get(place.of, (None, None))
        if access is None or not await reading.is_open(sql, self._who, place.kind, access):
            raise reading.missing(wanted.type)
        seen = Seen(place.kind, place.of, place.of, access.revision, access)
        topic = self._enter(wanted.sid, seen)
        assert isinstance(topic, Room)
        return await self._room(sql, topic, seen, wanted.seen, row)

    def _enter(self, sid: str, seen: Seen) -> Room | Desk:
        self._drop(sid)
        if len(self._held) >= HELD_MAX:
            raise TooMany(20429, "Too many subscriptions")
        topic: Room | Desk
        if seen.kind in entities.OF_CONVERSATIONS:
            topic = self._topics.room(seen.of)
        else:
            topic = self._topics.desk(self._who.grant.service_sid, seen.name, seen.of)
        subscription = Subscription(self._listener, seen.kind, seen.of)
        topic.subscriptions[seen.kind].add(subscription)
        self._held[sid] = (topic, subscription)
        return topic

    async def _room(
        self, sql: asyncpg.Connection, room: Room, seen: Seen, last: int | None, row: Any
    ) -> int:
        """Of a conversation, as it was read: what was told since then, before we followed it, was
        missed, so that it is read again."""
        room.begin(row["revision"], row["message_count"])
        while row["revision"] < (room.revision or 0):
            row = (await sync.documents(sql, [room.sid])).get(room.sid)
            if row is None:
                raise reading.missing(TYPES[seen.kind])
        self._follower.hear([room.sid])
        revision: int = row["revision"]
        if last is None or last >= revision:
            return revision
        at = iso_millis(self._runtime.clock.now())
        if seen.kind == CHANNEL:
            data = shapes.document(row)
            self._push([Event(CHANNEL, room.sid, room.sid, revision, UPDATED, None, data, at)])
            return revision
        read = Reading()
        changes = await _changes(sql, room.sid, last)
        await read.fill(sql, changes)
        added = []
        if seen.kind == MESSAGES:
            added = await _missed(sql, room.sid, row["message_count"], last)
        found = changed(room.sid, added, changes, read, at)
        self._push([one for one in found[seen.kind] if one.id <= revision])
        return revision

    async def _mine(self, sql: asyncpg.Connection, desk: Desk, last: int | None) -> int:
        """Of what the client is in."""
        service_sid, identity = self._who.grant.service_sid, self._who.grant.identity
        latest = await sync_people.latest(sql, service_sid, identity)
        since = latest if last is None else last
        moved = await sync_people.moved(sql, service_sid, identity, min(since, latest))
        if desk.since is None:
            desk.since = latest
            note(desk, moved.rows)
        self._follower.hear([desk.name])
        if last is None:
            return latest
        if not moved.whole or last < await self._kept_since(sql):
            await self._all_of_mine(sql, desk, last + 1)
            latest = max(latest, last + 1)
        sids = [one.conversation_sid for one in moved.rows]
        current = await sync_people.these(sql, service_sid, identity, sids)
        at = iso_millis(self._runtime.clock.now())
        happened = []
        for one in moved.rows:
            added = one.added > last or (one.added > 0 and one.stamp <= last)
            row = current.get(one.conversation_sid)
            happened.append(membership(desk, one, row, added, at))
        self._push(happened)
        return max([latest, *(one.stamp for one in moved.rows)])

    async def _kept_since(self, sql: asyncpg.Connection) -> int:
        """The stamp of the oldest changes that are kept for certain."""
        days = self._runtime.settings.retention.changes_days
        return await sync_people.now_us(sql) - days * DAY_US

    async def _all_of_mine(self, sql: asyncpg.Connection, desk: Desk, least: int) -> None:
        """Everything that the client is in, as it is, under ids that are new to it: it was away for
        too long, or too much happened, to say what changed."""
        at = iso_millis(self._runtime.clock.now())
        start: str | None = None
        more = True
        while more:
            who = (desk.service_sid, desk.identity)
            page, stamps = await sync_people.memberships(sql, *who, start, MISSED_MAX, down=False)
            happened = []
            for row in page.rows:
                sid = row["conversation_sid"]
                one = sync_people.Moved(sid, max(least, stamps.get(sid, 0)), 0)
                happened.append(membership(desk, one, row, True, at))
            self._push(sorted(happened, key=lambda event: event.id))
            more = page.after
            start = page.rows[-1]["conversation_sid"] if page.rows else None

    async def _info(self, sql: asyncpg.Connection, desk: Desk, seen: Seen, last: int | None) -> int:
        """Of what is shown of somebody."""
        rows = await sync_people.users(sql, self._who.grant.service_sid, [seen.name])
        if not rows:
            raise reading.missing("map")
        revision: int = rows[0]["revision"]
        if desk.revision is None:
            desk.revision = revision
        self._follower.hear([desk.name])
        if last is not None and revision > last:
            self._push(person(rows[0], iso_millis(self._runtime.clock.now())))
        return revision

    def _push(self, happened: Iterable[Event]) -> None:
        for _, frame in events.word(happened, live=False):
            self._listener.push(frame)

    def _say(self, what: str, correlation_id: Any, entity: dict[str, Any]) -> None:
        payload = {
            "event_type": what,
            "correlation_id": correlation_id,
            "event_protocol_version": events.PROTOCOL,
            "events": [entity],
        }
        self._listener.push(events.notification(SYNC_EVENT, payload))


async def _missed(sql: asyncpg.Connection, sid: str, count: int, last: int) -> list[Any]:
    """The messages that came after a revision; of very many the latest."""
    first = await sync.first_newer(sql, sid, count, last, MISSED_MAX)
    index = max(0, count - MISSED_MAX) if first is None else first
    found: list[Any] = []
    while index < count:
        rows = await sync.newer(sql, [(sid, index)])
        found += [row for row in rows if row["revision"] > last]
        if len(rows) < sync.ROWS_MAX:
            break
        index = rows[-1]["index"] + 1
    return found


async def _changes(sql: asyncpg.Connection, sid: str, last: int) -> list[Any]:
    """What changed after a revision."""
    found: list[Any] = []
    after = last
    while len(found) < MISSED_MAX:
        rows = await sync.changed(sql, [(sid, after)])
        if len(rows) < sync.ROWS_MAX:
            return found + rows
        cut = rows[-1]["revision"]  # of this one there may be more
        whole = [row for row in rows if row["revision"] < cut] or rows
        found += whole
        after = whole[-1]["revision"]
    return found
