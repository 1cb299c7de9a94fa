"""Who in this process follows what: a room for each conversation that somebody has open, a desk for
each person of whom somebody sees something.

A subscription is entered before its replay is read. What happens meanwhile waits in it and follows
the replay: an overlap is harmless, since clients pass over what they have, and nothing is missed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from app.realtime.entities import CHANNEL, INFO, MESSAGES, MINE, ROSTER, Kind
from app.store import moves

PENDING_MAX = 1000
"""Frames that may wait for one replay: beyond, the client starts again."""


class Listener(Protocol):
    """A socket, as those see it who push to it."""

    @property
    def identity(self) -> str:
        """Who is at the other end."""

    def push(self, frame: bytes) -> None:
        """Send this, sometime; never waits."""

    def give_up(self) -> None:
        """Close: it cannot follow any more. The client comes back and asks for what it missed."""


@dataclass(eq=False, slots=True)
class Subscription:
    """One client's subscription to one entity of this conversation or user (`of`). `pending` is
    what happened while its replay is read; None: it is read."""

    listener: Listener
    kind: Kind
    of: str
    pending: list[tuple[int, bytes]] | None = field(default_factory=list)

    def push(self, event_id: int, frame: bytes) -> None:
        """An event happened."""
        if self.pending is None:
            self.listener.push(frame)
            return
        self.pending.append((event_id, frame))
        if len(self.pending) > PENDING_MAX:
            self.pending = []
            self.listener.give_up()

    def establish(self, shown: int) -> None:
        """Its replay went out, as far as `shown`: what happened after that follows."""
        pending, self.pending = self.pending or [], None
        for event_id, frame in pending:
            if event_id > shown:
                self.listener.push(frame)


@dataclass(eq=False, slots=True)
class Room:
    """A conversation that is followed. `revision` is what was told of it so far (None: nobody has
    read it yet), `count` the index of the next message; `shown` is its document as it was told
    last."""

    sid: str
    revision: int | None = None
    count: int = 0
    shown: bytes | None = None
    subscriptions: dict[Kind, set[Subscription]] = field(
        default_factory=lambda: {CHANNEL: set(), MESSAGES: set(), ROSTER: set()}
    )

    def begin(self, revision: int, count: int) -> None:
        """Somebody has read it at this revision: what comes after is told."""
        if self.revision is None:
            self.revision = revision
            self.count = count

    @property
    def empty(self) -> bool:
        """Whether nobody follows it."""
        return not any(self.subscriptions.values())


@dataclass(eq=False, slots=True)
class Desk:
    """A person who is followed: what they are in (`since` is the stamp told last, `sent` the last
    stamp by conversation, those of a little before that, too), and what is shown of them
    (`revision`). None: nobody has read it yet."""

    service_sid: str
    identity: str
    user_sid: str
    since: int | None = None
    revision: int | None = None
    sent: dict[str, int] = field(default_factory=dict)
    subscriptions: dict[Kind, set[Subscription]] = field(
        default_factory=lambda: {MINE: set(), INFO: set()}
    )

    @property
    def name(self) -> str:
        """As processes call this person."""
        return moves.person(self.service_sid, self.identity)

    @property
    def empty(self) -> bool:
        """Whether nobody follows this person."""
        return not any(self.subscriptions.values())


class Topics:
    """All rooms and desks of this process; one that nobody follows is forgotten."""

    def __init__(self) -> None:
        self.rooms: dict[str, Room] = {}
        self.desks: dict[str, Desk] = {}

    def __contains__(self, name: str) -> bool:
        return name in self.rooms or name in self.desks

    def room(self, sid: str) -> Room:
        """The room of this conversation."""
        return self.rooms.setdefault(sid, Room(sid))

    def desk(self, service_sid: str, identity: str, user_sid: str) -> Desk:
        """The desk of this person."""
        name = moves.person(service_sid, identity)
        return self.desks.setdefault(name, Desk(service_sid, identity, user_sid))

    def leave(self, topic: Room | Desk, subscription: Subscription) -> None:
        """Take a subscription out."""
        topic.subscriptions[subscription.kind].discard(subscription)
        if not topic.empty:
            return
        if isinstance(topic, Room):
            if self.rooms.get(topic.sid) is topic:
                del self.rooms[topic.sid]
        elif self.desks.get(topic.name) is topic:
            del self.desks[topic.name]
