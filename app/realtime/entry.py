"""Who may come in: a token that is good, a service that is there, not too many at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from app.api.access_tokens import Tokens
from app.api.auth import Gate
from app.api.limits import TOO_MANY, Buckets
from app.errors import Denied, TooMany
from app.realtime.frames import Frame
from app.realtime.reading import Person
from app.realtime.session import Session
from app.rules.access_tokens import GRANTS, Grant
from app.runtime import Runtime
from app.store import scope, users
from app.webhooks import events
from app.webhooks import origin as origins
from app.webhooks.tell import tell

CAPABILITIES = ("client_update",)
ALL = "all"
FULL = "Too many connections"
OTHER = (20101, "Invalid Access Token", {"reason": "it is of somebody else"})


class Door:
    """Lets clients in, and counts those of each account ("Conversations Limits")."""

    def __init__(self, runtime: Runtime, gate: Gate) -> None:
        self._runtime, self._gate = runtime, gate
        self._tokens = Tokens(runtime, gate.keys)
        limits, clock = runtime.settings.realtime, runtime.clock
        self._inside: Counter[str] = Counter()
        self._inside_max = limits.account_connections_max
        self._coming = Buckets(limits.connections_per_s, clock)
        self._all_coming = Buckets(limits.all_connections_per_s, clock)

    async def enter(self, token: str, session: Session) -> Person:
        """Who this token lets in, until they have `left`; their user is made when it is not there
        yet. Raises Refused (TooMany: not now), Unavailable."""
        grant = await self._tokens.read(token)
        if session.known:
            before = session.grant
            if (before.identity, before.service_sid) != (grant.identity, grant.service_sid):
                raise Denied(*OTHER)
            return session.person._replace(grant=grant)
        self._take(grant)
        try:
            return await self._person(grant)
        except BaseException:
            self.left(grant)
            raise

    def left(self, grant: Grant) -> None:
        """Somebody who was let in has gone."""
        self._inside[grant.account_sid] -= 1
        if not self._inside[grant.account_sid]:
            del self._inside[grant.account_sid]

    def _take(self, grant: Grant) -> None:
        """Make room for one more of this account. Raises TooMany."""
        if self._inside_max and self._inside[grant.account_sid] >= self._inside_max:
            raise TooMany(TOO_MANY, FULL)
        self._coming.take(grant.account_sid)
        try:
            self._all_coming.take(ALL)
        except TooMany:
            self._coming.give(grant.account_sid)  # when there is room for all, it may come
            raise
        self._inside[grant.account_sid] += 1

    async def _person(self, grant: Grant) -> Person:
        runtime = self._runtime
        async with runtime.db.begin() as tx:
            found = await scope.find(tx, grant.account_sid, grant.service_sid)
            if found is None:
                raise Denied(*GRANTS, {"reason": "the service is not there"})
            user, new = await users.enrol(tx, found, grant.identity)
            if new:
                tx.moved.add(f"{grant.service_sid}/{grant.identity}")
                added = events.user_added(user, origins.sdk(grant.identity))
                await tell(tx, runtime.of(grant.account_sid).settings, [added])
        return Person(grant, user.sid)

    async def fallen(self, grants: Iterable[Grant]) -> frozenset[str]:
        """The keys of these grants that were taken back. Raises Unavailable."""
        one_of_each = {grant.key_sid: grant for grant in grants}
        fallen = [sid for sid, grant in one_of_each.items() if not await self._tokens.stands(grant)]
        return frozenset(fallen)

    def forget(self) -> None:
        """A key was taken back: what was known of them is not known any more."""
        self._gate.keys.forget()


def welcome(frame: Frame) -> dict[str, Any]:
    """The answer to an init that was good."""
    wanted = frame.header.get("capabilities")
    kept = [one for one in CAPABILITIES if isinstance(wanted, list) and one in wanted]
    return {"status": {"code": 200, "status": "OK"}, "capabilities": kept}
