"""Who may come in: a token that is good, a service that is there, not too many at once."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from app.api.limits import Buckets
from app.errors import Forbidden
from app.realtime import grants
from app.realtime.frames import Frame
from app.realtime.reading import Person
from app.realtime.session import Session
from app.runtime import Runtime
from app.store import scope, users
from app.webhooks import events
from app.webhooks import origin as origins
from app.webhooks.tell import tell

CONNECTIONS_PER_S = 110.0
""""Conversations Limits": new connections of one account."""
REVOKED = "SELECT sid FROM api_keys WHERE sid = ANY ($1::text[]) AND revoked_at IS NOT NULL"
LOOK_S = 5.0
CAPABILITIES = ("client_update",)


class Door:
    """Lets clients in."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._coming = Buckets(CONNECTIONS_PER_S, runtime.clock)
        self._looked_at = -LOOK_S
        self._revoked: frozenset[str] = frozenset()

    async def enter(self, token: str, session: Session) -> Person:
        """Who this token lets in; their user is made when it is not there yet. Raises Refused,
        Unavailable."""
        runtime = self._runtime
        grant = await grants.read(runtime, token)
        if session.known:
            before = session.grant
            if (before.identity, before.service_sid) != (grant.identity, grant.service_sid):
                raise Forbidden(20101, "The new token is of somebody else")
            return session.person._replace(grant=grant)
        self._coming.take(grant.account_sid)
        async with runtime.db.begin() as tx:
            found = await scope.find(tx, grant.account_sid, grant.service_sid)
            if found is None:
                raise Forbidden(20106, "The service of the token is not there")
            user, new = await users.enrol(tx, found, grant.identity)
            if new:
                tx.moved.add(f"{grant.service_sid}/{grant.identity}")
                added = events.user_added(user, origins.sdk(grant.identity))
                await tell(tx, runtime.of(grant.account_sid).settings, [added])
        return Person(grant, user.sid)

    async def revoked(self, keys: Collection[str]) -> Collection[str]:
        """Which of these keys were taken back; asked every few seconds."""
        now = self._runtime.clock.monotonic()
        if keys and now - self._looked_at >= LOOK_S:
            self._looked_at = now
            async with self._runtime.db.read() as tx:
                rows = await tx.sql.fetch(REVOKED, sorted(keys))
            self._revoked = frozenset(row["sid"] for row in rows)
        return self._revoked


def welcome(frame: Frame) -> dict[str, Any]:
    """The answer to an init that was good."""
    wanted = frame.header.get("capabilities")
    kept = [one for one in CAPABILITIES if isinstance(wanted, list) and one in wanted]
    return {"status": {"code": 200, "status": "OK"}, "capabilities": kept}
