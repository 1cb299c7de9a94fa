"""A command of a client, as the call of the resource that does it for REST, too: the same checks,
the same transaction, the same webhooks."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, cast
from urllib.parse import parse_qs, quote, urlsplit

import orjson
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from app.api.call import SERVICE, Call, Verb, perform
from app.api.limits import Buckets, Counting, counted_by
from app.errors import Invalid
from app.realtime.asked import BAD_REQUEST, Asked, segment
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


PARAMETERS: Mapping[str, str] = {
    "friendly_name": "FriendlyName",
    "unique_name": "UniqueName",
    "attributes": "Attributes",
    "body": "Body",
    "subject": "Subject",
    "content_sid": "ContentSid",
    "content_variables": "ContentVariables",
}


class Errand(NamedTuple):
    """A command: whose it is, the request, the URL below which commands are, and what its path
    named."""

    session: Session
    asked: Asked
    base: str
    found: re.Match[str]

    @property
    def key(self) -> str:
        """The conversation or person in the path."""
        return segment(self.found["key"])

    @property
    def sid(self) -> str:
        """What is below that."""
        return segment(self.found["sid"])


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


def sent(body: Mapping[str, Any], *names: str) -> list[tuple[str, str]]:
    """The parameters that these members of a body stand for; null was not sent. Raises Invalid."""
    found = []
    for name in names:
        value = body.get(name)
        if value is None:
            continue
        if name in ("attributes", "content_variables") and not isinstance(value, str):
            value = orjson.dumps(value).decode()
        if not isinstance(value, str):
            raise Invalid(BAD_REQUEST, f"Invalid {PARAMETERS[name]}")
        found.append((PARAMETERS[name], value))
    return found


def paged(shown: dict[str, Any]) -> dict[str, Any]:
    """A page of the API, with the tokens that clients ask on with in place of its URLs."""
    meta = shown["meta"]
    tokens = {
        "previous_token": _token(meta["previous_page_url"]),
        "next_token": _token(meta["next_page_url"]),
    }
    return {**shown, "meta": tokens}


def _token(url: str | None) -> str | None:
    found = parse_qs(urlsplit(url or "").query).get("PageToken")
    return found[0] if found else None
