"""What a convoy carries while it walks: a carriage per item, and what was learned on the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from app.errors import Refused
from app.model import Conversation, Media, Message
from app.model.streams import STREAM
from app.road.items import Arrival, Draft, Posted, Taken
from app.road.resolve import Create, Decision
from app.rules.groups import numbers_of
from app.settings.models import Settings
from app.settings.opt_outs import Kind
from app.store import moves
from app.store.outbox import NewItem
from app.store.road import Below, Facts, Met, Pair
from app.store.stream_log import Happened
from app.store.webhooks import Target
from app.webhooks.events import Event


def pair_of(arrival: Arrival) -> Pair:
    """Where an arrival comes from, as the store's questions name it."""
    inbound = arrival.inbound
    numbers = numbers_of(inbound)
    return arrival.account_sid, inbound.proxy_address, inbound.address, numbers


class Stale(Exception):
    """What the convoy decided on changed before its lock: it rolls back and walks again."""


@dataclass(slots=True, eq=False)
class Carriage:
    """One item on its way. If it is an `arrival`, it has a `pair` (or number group) and gets a
    `decision`; whoever goes on has a conversation.
    `changes` is what the customer wants changed, by the original's keys; `digest` is what a copy
    is known by (app/road/copies.py). `columns` are what is written of the message: of an inbound's
    not what it has none of, and no date, which is the convoy's. `answers` is the participant whose
    word like HELP it answers: nobody else receives it."""

    item: Arrival | Draft
    message_sid: str
    author: str
    conversation_sid: str = ""
    pair: Pair = field(init=False)
    participant_sid: str | None = None
    decision: Decision | None = None
    created: Create | None = None
    message: Message | None = None
    columns: dict[str, Any] = field(default_factory=dict)
    media: tuple[Media, ...] = ()
    statuses: list[str] = field(default_factory=list)
    taken: Taken | None = None
    refused: Refused | None = None
    changes: Mapping[str, str] = field(default_factory=dict)
    answers: str | None = None
    digest: str | None = None

    def __post_init__(self) -> None:
        if isinstance(self.item, Arrival):
            self.pair = pair_of(self.item)

    @property
    def arrival(self) -> Arrival:
        """Its item, which is an arrival."""
        assert isinstance(self.item, Arrival)
        return self.item

    def refuse(self, refused: Refused) -> None:
        """This one must not happen; its neighbours go on."""
        self.refused = refused

    @property
    def goes(self) -> bool:
        """Whether a message comes of it."""
        return self.refused is None and self.taken is None

    def result(self) -> Taken | Posted | Exception:
        """What its sender is answered."""
        if self.refused is not None:
            return self.refused
        if self.taken is not None:
            return self.taken
        if isinstance(self.item, Draft):
            assert self.message is not None
            return Posted(self.message, self.media, tuple(self.statuses))
        assert self.decision is not None
        return Taken(
            outcome="created" if self.created else "joined",
            rule=self.decision.rule,
            conversation_sid=self.conversation_sid,
            message_sid=self.message_sid,
            autocreate=self.created.type if self.created else None,
        )


@dataclass(slots=True)
class Load:
    """The convoy: its carriages in the order in which they came, and what the steps found.

    `new_conversations` are by their SID the carriages that create them, by the rows of `claims`.
    `windows` are the sessions that its inbounds open (when they were written), `chosen` who opts
    out or in by them (account, sender or messaging service, address), `late` who did so in a
    recovered message, and when; `replies` what we answer, `files` the names under which the files
    that came along are kept, by their own. `flowed`: the kinds of the lanes that go on with it.
    `seen`: the revisions of conversations that were read without a lock.
    """

    carriages: list[Carriage]
    settings: Settings
    now: datetime
    facts: dict[Pair, Facts] = field(default_factory=dict)
    conversations: dict[str, Conversation] = field(default_factory=dict)
    new_conversations: dict[str, Carriage] = field(default_factory=dict)
    claims: list[dict[str, Any]] = field(default_factory=list)
    roles: dict[str, str | None] = field(default_factory=dict)
    met: dict[str, list[Met]] = field(default_factory=dict)
    below: dict[str, Below] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    items: list[NewItem] = field(default_factory=list)
    streamed: list[Happened] = field(default_factory=list)
    receipts: list[dict[str, Any]] = field(default_factory=list)
    forwarded: list[Carriage] = field(default_factory=list)
    windows: dict[tuple[str, str, str], datetime] = field(default_factory=dict)
    chosen: dict[tuple[str, str, str], Kind] = field(default_factory=dict)
    late: dict[tuple[str, str, str], tuple[Kind, datetime]] = field(default_factory=dict)
    replies: list[Carriage] = field(default_factory=list)
    files: Mapping[str, str] = field(default_factory=dict)
    flowed: set[str] = field(default_factory=set)
    seen: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, convoy: Sequence[Arrival | Draft], settings: Settings, now: datetime) -> Load:
        """A fresh load."""
        from app.road.messages import board

        return cls([board(item) for item in convoy], settings, now)

    def going(self) -> list[Carriage]:
        """Those of which a message comes."""
        return [one for one in self.carriages if one.goes]

    def told(self) -> dict[str, Sequence[Target]]:
        """Who is told of what happened, by where it did: in a conversation, or, with a new user,
        in a service."""
        found: dict[str, Sequence[Target]] = {sid: one.targets for sid, one in self.below.items()}
        for sid in self.met:
            shared = [one for one in found[sid] if one.scope in ("global", "service", STREAM)]
            found[self.conversations[sid].chat_service_sid] = shared
        return found

    def moved(self) -> set[str]:
        """What connected clients may see change: the conversations, and for who came into new ones
        that there is one more."""
        people = {
            moves.person(self.conversations[sid].chat_service_sid, identity)
            for sid, carriage in self.new_conversations.items()
            if sid in self.conversations and carriage.created
            for identity in carriage.created.identities
        }
        return people | self.conversations.keys()

    def wants(self, conversation_sid: str, event: str) -> bool:
        """Whether anybody is told of this event; if not, it need not be put into words."""
        return any(event in target.filters for target in self.below[conversation_sid].targets)
