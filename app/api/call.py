"""One request: who calls was checked -> scope -> form -> resource -> JSON.

A resource file exports its verbs, `page create fetch update delete`: each takes the call, opens
its own transaction (or none), and gives the JSON of its answer. The form is read when the verb
asks for it: a path that leads nowhere is said before a parameter that is wrong.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import asyncpg
import orjson
from aiohttp import web
from sqlalchemy.exc import DBAPIError

from app import ids
from app.api import errors, forms
from app.api.forms import Form, Parameter
from app.api.page import Listing, Wanted, wanted
from app.api.parameters import lowered
from app.api.scope import Links, host
from app.errors import Invalid, NotFound, Unavailable
from app.road.items import Road
from app.runtime import Runtime
from app.store import scope as scopes
from app.store.database import Tx
from app.store.scope import Scope
from app.webhooks.events import Event
from app.webhooks.tell import tell

T = TypeVar("T")

FORM = "application/x-www-form-urlencoded"
TOLD = "X-Twilio-Webhook-Enabled"
SERVICE = "ChatServiceSid"
KEY_CHARS_MAX = 512
ATTEMPTS = 3  # of a transaction that PostgreSQL ended to break a deadlock


@dataclass(frozen=True, slots=True)
class Verb:
    """What a resource does for one method, and the parameters that it takes."""

    run: Callable[[Call], Awaitable[dict[str, Any] | None]]
    parameters: tuple[Parameter[Any], ...] = ()


def takes(
    *parameters: Parameter[Any],
) -> Callable[[Callable[[Call], Awaitable[dict[str, Any] | None]]], Verb]:
    """Declares a verb and its parameters."""

    def declare(run: Callable[[Call], Awaitable[dict[str, Any] | None]]) -> Verb:
        return Verb(run, parameters)

    return declare


@dataclass(frozen=True)
class Call:
    """One request to one verb. `sent` are the parameters as they came."""

    runtime: Runtime
    road: Road
    request: web.Request
    verb: Verb
    sent: Sequence[tuple[str, str]]

    @cached_property
    def form(self) -> Form:
        """The values of the verb's parameters. Raises Refused."""
        return Form(self.sent, self.verb.parameters)

    @cached_property
    def service(self) -> str | None:
        """The service that the path names; None in the account's tree."""
        sid = self.request.match_info.get(SERVICE)
        if sid is None:
            return None
        if not ids.is_sid(sid, ids.SERVICE):
            raise self.missing()
        return lowered(sid)

    @cached_property
    def links(self) -> Links:
        """The URLs of the tree that the request came by."""
        return Links(host(self.request, self.runtime.settings.server), self.service)

    @property
    def account_sid(self) -> str:
        """The account whose credentials were given."""
        return self.runtime.settings.account.sid

    @property
    def told(self) -> bool:
        """Whether the caller wants this change told: REST is silent by default."""
        return self.request.headers.get(TOLD, "").strip().lower() == "true"

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[tuple[Tx, Scope]]:
        """A transaction, and the scope that the path leads into."""
        async with self.runtime.db.begin() as tx:
            yield tx, self.found(await scopes.find(tx, self.account_sid, self.service))

    def key(self, name: str) -> str:
        """A segment of the path: a SID, or the name that may stand in its place."""
        key = self.request.match_info[name]
        if "\x00" in key or len(key) > KEY_CHARS_MAX or not _encodable(key):
            raise self.missing()
        return key

    def found(self, row: T | None) -> T:
        """The row that the path leads to; raises NotFound when it is not there."""
        if row is None:
            raise self.missing()
        return row

    def missing(self) -> NotFound:
        """The refusal of a path that leads nowhere."""
        return errors.not_found(self.request)

    def wanted(self, listing: Listing) -> Wanted:
        """The page that the query asks for."""
        path = self.links.host + self.request.rel_url.raw_path
        filters = [parameter.name for parameter in self.verb.parameters]
        return wanted(listing, path, self.sent, filters)

    async def tell(self, tx: Tx, *events: Event) -> None:
        """Tell the customer of these changes, if the caller asked for that. Call it last."""
        if self.told and events:
            await tell(tx, self.runtime.settings, events)


def door(runtime: Runtime, road: Road, verb: Verb, status: int) -> errors.Handler:
    """The handler of one verb, which answers with this status when all went well."""

    async def handle(request: web.Request) -> web.StreamResponse:
        call = Call(runtime, road, request, verb, await _sent(request, runtime))
        shown = await _run(call)
        if shown is None:
            return web.Response(status=status)
        return web.Response(
            status=status,
            body=orjson.dumps(shown),
            content_type="application/json",
            charset="utf-8",
        )

    return handle


async def _run(call: Call) -> dict[str, Any] | None:
    """Run the verb, and again when its transaction was the victim of a deadlock."""
    for _ in range(ATTEMPTS):
        try:
            return await call.verb.run(call)
        except asyncpg.DeadlockDetectedError:
            continue
        except DBAPIError as error:
            if error.orig is None or not isinstance(
                error.orig.__cause__, asyncpg.DeadlockDetectedError
            ):
                raise
    raise Unavailable("deadlocked again and again")


async def _sent(request: web.Request, runtime: Runtime) -> list[tuple[str, str]]:
    """The parameters: of the body where there may be one, of the query where there is none."""
    server = runtime.settings.server
    if request.method != "POST":
        return forms.decode(request.rel_url.raw_query_string, server.form_fields_max)
    body = await _body(request, server.body_bytes_max)
    if body and request.content_type not in (FORM, "application/octet-stream"):
        raise Invalid(forms.INVALID, f"Invalid Content-Type: parameters are sent as {FORM}")
    return forms.decode(body.decode("utf-8", "replace"), server.form_fields_max)


async def _body(request: web.Request, bytes_max: int) -> bytes:
    """The whole body. Raises HTTPRequestEntityTooLarge before it reads too much."""
    length = request.content_length or 0
    body = bytearray()
    if length <= bytes_max:
        async for chunk in request.content.iter_any():
            body += chunk
            if len(body) > bytes_max:
                break
    if max(length, len(body)) > bytes_max:
        raise web.HTTPRequestEntityTooLarge(bytes_max, max(length, len(body)))
    return bytes(body)


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
