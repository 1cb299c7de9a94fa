"""The one place that knows the order of the road.

A convoy of inbounds and posted messages goes through these steps together, in one transaction:

    enter       the ledger: what came before is a duplicate; so is a post whose key was used
    note        how people stand now: whose session opens, who opts out or in
    decide      whose pair is it, which rule takes it; set aside what somebody wants to be asked
                about first
    lock        claim the pairs, or number groups, of new conversations and create them; then lock
                the others, in the order of their SIDs, with who is in them and who is told; what
                changed meanwhile, or was claimed by somebody else, walks again; what is the copy
                of another goes no further
    keep        where the flows stand whose messages these are
    attach      the files that posted messages name, each to one message; those that came with
                their message
    number      each message gets the next index of its conversation
    fan out     one receipt for each external recipient, a place in its lane
    reply       where a word like HELP is answered by us: one more message, for its author alone
    tell        post-events to whom they concern, and the account's event stream
    write       all of it, the decisions, and the answers to keyed posts
    commit      then everybody is answered

Plain convoys walk lightly first (app/road/light.py): what enter, decide and lock ask is read, and
locks nothing; what they write, and the check that all is still so, is in the last statement.

Locks come in one order everywhere: ledger, keys, bindings, number groups, users, conversations,
executions, media, lanes. (Whoever waits for an account or a service holds none of these.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence

import asyncpg

from app.errors import Refused, Unavailable
from app.model.streams import STREAM
from app.road import (
    asking,
    copies,
    creation,
    fanout,
    flowing,
    keys,
    ledger,
    light,
    media,
    messages,
    replies,
    standing,
)
from app.road.convoy import Load, Stale, pair_of
from app.road.items import Arrival, Draft, Posted, Taken
from app.runtime import Runtime
from app.store import road, road_write, stream_log
from app.store.road_light import Changed
from app.webhooks import tell

HEAVY_S, HEAVY_MOST_S = 0.01, 1.0
"""How long a walker walks with locks after a convoy could not walk lightly: at first, and at most,
when it never can."""
ROUNDS = 5
"""How often a convoy walks again because a conversation closed or a participant left under it, or
somebody else's conversation took a pair: whoever was in the way has made progress."""

Result = Taken | Posted | Exception


def order_of(item: Arrival | Draft) -> Hashable:
    """What keeps its order: the messages of one pair or number group; those that are posted to one
    conversation."""
    if isinstance(item, Draft):
        return item.conversation_sid
    account_sid, proxy_address, address, numbers = pair_of(item)
    return (account_sid, numbers) if numbers else (account_sid, proxy_address, address)


class Walker:
    """Walks convoys on a connection of its own. `more` says whether another one soon follows."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._held = runtime.db.hold(pinned=True)
        self.more: Callable[[], bool] = bool
        self._heavy_s, self._heavy_until = 0.0, -math.inf

    async def __call__(self, convoy: Sequence[Arrival | Draft]) -> Sequence[Result]:
        """Take the convoy through; gives what became of each, committed."""
        if light.plain(convoy) and (load := await self._lightly(convoy)) is not None:
            return self._done(load)
        for left in reversed(range(ROUNDS)):
            load = Load.of(convoy, self._runtime.settings, self._runtime.clock.now())
            try:
                async with self._held.begin(self.more) as sql:
                    await walk(sql, load)
            except Stale:
                if not left and len(convoy) > 1:
                    raise  # walked one by one: one that cannot settle holds nobody else up
                continue
            return self._done(load)
        raise Unavailable("the conversation keeps changing; try again")

    async def rest(self) -> None:
        """Another one does not follow so soon."""
        await self._held.rest()

    async def close(self) -> None:
        """Give the connection back."""
        await self._held.close()

    async def _lightly(self, convoy: Sequence[Arrival | Draft]) -> Load | None:
        """Take a plain convoy through without locks; None when that does not do, nothing was
        written then. The more often it did not of late, the longer it is not tried."""
        clock = self._runtime.clock
        if clock.monotonic() < self._heavy_until:
            return None
        load = Load.of(convoy, self._runtime.settings, clock.now())
        try:
            async with self._held.alone() as sql:
                await walk_lightly(sql, load)
        except (light.Heavy, Changed, Stale):
            self._heavy_s = min(2 * self._heavy_s or HEAVY_S, HEAVY_MOST_S)
            self._heavy_until = clock.monotonic() + self._heavy_s
            return None
        self._heavy_s = self._heavy_s / 2 if self._heavy_s > HEAVY_S else 0.0
        return load

    def _done(self, load: Load) -> Sequence[Result]:
        self._ring(load)
        return [carriage.result() for carriage in load.carriages]

    def _ring(self, load: Load) -> None:
        for kind in load.flowed | {item["kind"] for item in load.items}:
            self._runtime.wakes.ring(kind)
        if load.streamed:
            self._runtime.wakes.ring(STREAM)
        if load.conversations:
            self._runtime.db.moved(load.moved())


async def walk(sql: asyncpg.Connection, load: Load) -> None:
    """The road, step by step."""
    await ledger.enter(sql, load)
    await keys.claim(sql, load)
    standing.note(load)
    await creation.decide(sql, load)
    await lock(sql, load)
    await copies.find(sql, load, load.going(), locked=True)
    await flowing.keep(sql, load)
    await media.attach(sql, load)
    await media.adopt(sql, load)
    publish(load)
    await asking.fence(sql, load)
    await flowing.fence(sql, load)
    await road_write.write(sql, ledger.rows(load), load.items, load.now)
    await asking.settle(sql, load)
    await flowing.settle(sql, load)
    await keys.keep(sql, load)
    await stream_log.add(sql, load.streamed, load.now)


async def walk_lightly(sql: asyncpg.Connection, load: Load) -> None:
    """The same for a convoy of plain inbounds. Raises Heavy when it is none, Stale or Changed when
    it does not fit any more: nothing was written then. `sql` is in no transaction: the last
    statement is one."""
    await light.look(sql, load)
    publish(load)
    await light.write(sql, load)


def publish(load: Load) -> None:
    """From number to tell: what needs no database."""
    for carriage in load.going():
        messages.number(load, carriage)
        fanout.plan(load, carriage)
        replies.reply(load, carriage)
        load.items += media.fetches(load, carriage)
    told = load.told()
    load.items += tell.items(load.events, told, load.settings, load.now)
    load.streamed += tell.streamed(load.events, told)


async def lock(sql: asyncpg.Connection, load: Load) -> None:
    """Claim pairs and lock the conversations; a message to one that closed is refused. An inbound
    to one walks again, like one that has none, whose claim was lost: with conversations locked,
    nothing more may be claimed."""
    named = _named(load)
    wanted = {carriage.conversation_sid for carriage in load.going()}
    there = sorted(wanted - load.new_conversations.keys())
    if load.claims:
        locked, load.roles, load.met = await road.create(sql, load.claims, there, named, load.now)
        load.conversations, load.below = locked
    elif there:
        load.conversations, load.below = await road.lock(sql, there, named)
    standing.open_sessions(load)
    for carriage in load.going():
        if isinstance(carriage.item, Arrival):
            messages.check_bound(load, carriage)
            continue
        try:
            conversation = load.conversations.get(carriage.conversation_sid)
            messages.check_postable(conversation, carriage.item)
        except Refused as refused:
            carriage.refuse(refused)


def _named(load: Load) -> list[tuple[str, str]]:
    """The identities that matter: authors, and those that a rule put into new conversations."""
    drafts = [one for one in load.going() if isinstance(one.item, Draft)]
    named = [(one.conversation_sid, one.author) for one in drafts]
    for sid, carriage in load.new_conversations.items():
        identities = carriage.created.identities if carriage.created else ()
        named += [(sid, identity) for identity in identities]
    return named
