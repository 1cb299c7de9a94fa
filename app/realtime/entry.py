"""Who may come in: a token that is good, a service that is there, not too many at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.api.access_tokens import Tokens
from app.api.auth import Gate
from app.api.limits import Buckets
from app.errors import Denied
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
OTHER = (20101, "Invalid Access Token", {"reason": "it is of somebody else"})


class Door:
    """Lets clients in."""

    def __init__(self, runtime: Runtime, gate: Gate) -> None:
        self._runtime, self._gate = runtime, gate
        self._tokens = Tokens(runtime, gate.keys)
        self._coming = Buckets(runtime.settings.realtime.connections_per_s, runtime.clock)

    async def enter(self, token: str, session: Session) -> Person:
        """Who this token lets in; their user is made when it is not there yet. Raises Refused,
        Unavailable."""
        runtime = self._runtime
        grant = await self._tokens.read(token)
        if session.known:
            before = session.grant
            if (before.identity, before.service_sid) != (grant.identity, grant.service_sid):
                raise Denied(*OTHER)
            return session.person._replace(grant=grant)
        self._coming.take(grant.account_sid)
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
