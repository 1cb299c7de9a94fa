"""A command of a client, as the call of the resource that does it for REST, too: the same checks,
the same transaction, the same webhooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote

from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from app.api.call import SERVICE, Call, Verb, perform
from app.api.limits import Buckets, Counting, counted_by
from app.realtime.session import Session
from app.road.items import Road
from app.runtime import Runtime

Sent = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Inner:
    """What a call reads of its request."""

    method: str
    rel_url: URL
    match_info: Mapping[str, str]
    scheme: str
    host: str
    headers: CIMultiDict[str]


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the API: its method, its path below a service, and its verb."""

    method: str
    path: str
    verb: Verb


class Caller:
    """Calls resources for clients."""

    def __init__(self, runtime: Runtime, road: Road, actions: Buckets) -> None:
        self._runtime, self._road, self._actions = runtime, road, actions

    async def call(
        self, session: Session, operation: Operation, keys: Mapping[str, str], sent: Sent = ()
    ) -> dict[str, Any]:
        """What the resource answers. `keys` are the segments of its path. Raises Refused,
        Unavailable."""
        grant = session.grant
        match = {SERVICE: grant.service_sid, **keys}
        path = "/v1/Services/{ChatServiceSid}" + operation.path
        for name, value in match.items():
            path = path.replace(f"{{{name}}}", quote(value, safe=""))
        url = URL(path, encoded=True)
        known = URL(self._runtime.public_url)
        inner = Inner(operation.method, url, match, known.scheme, known.authority, CIMultiDict())
        call = Call(
            self._runtime.of(grant.account_sid),
            self._road,
            cast(web.Request, inner),
            operation.verb,
            sent,
            Counting(self._actions, counted_by(operation.method, operation.path)),
            client=grant.identity,
        )
        shown = await perform(call)
        return shown if isinstance(shown, dict) else {}
