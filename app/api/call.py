"""One request: who calls was checked -> scope -> form -> resource -> JSON.

A resource file exports its verbs, `page create fetch update delete`: each takes the call, opens
its own transaction (or none), and gives the JSON of its answer. The form is read when the verb
asks for it: a path that leads nowhere is said before a parameter that is wrong.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import Any, TypeVar

import asyncpg
import orjson
from aiohttp import web
from sqlalchemy.exc import DBAPIError

from app import ids
from app.api import asking, errors, forms, idempotency
from app.api.auth import CALLER
from app.api.forms import Form, Parameter
from app.api.limits import SERVICE as OF_SERVICE
from app.api.limits import Counting
from app.api.page import Listing, Wanted, wanted
from app.api.scope import Links, host
from app.errors import Invalid, NotFound, Unavailable
from app.road.items import Road
from app.runtime import Runtime
from app.store import scope as scopes
from app.store.database import Tx
from app.store.idempotency import Key
from app.store.scope import Scope
from app.webhooks import origin as origins
from app.webhooks.events import Event
from app.webhooks.origin import QUIET_REST, REST, Origin
from app.webhooks.tell import tell

T = TypeVar("T")

FORM, JSON = "application/x-www-form-urlencoded", "application/json"
TOLD = "X-Twilio-Webhook-Enabled"
SERVICE = "ChatServiceSid"
KEY_CHARS_MAX = 512
CREATED = 201
READING = "GET"
ATTEMPTS = 3  # of a transaction that PostgreSQL ended to break a deadlock

# The JSON of the answer, nothing, or a response that the verb has streamed itself.
Answer = dict[str, Any] | web.StreamResponse | None


@dataclass(frozen=True, slots=True)
class Verb:
    """What a resource does for one method, and the parameters that it takes: of a form, or with
    `json` the members of a JSON object. `asks` puts into words what is about to happen, in a
    transaction that changes nothing: the customer may be asked before `run` does it. With `streams`
    it reads the body itself, of any size, and its parameters are those of the query; it cannot be
    repeated by an idempotency key."""

    run: Callable[[Call], Awaitable[Answer]]
    parameters: tuple[Parameter[Any], ...] = ()
    on_the_road: bool = False
    asks: Callable[[Call, Tx, Scope], Awaitable[Sequence[Event]]] | None = None
    json: bool = False
    streams: bool = False


def takes(
    *parameters: Parameter[Any],
    on_the_road: bool = False,
    asks: Callable[[Call, Tx, Scope], Awaitable[Sequence[Event]]] | None = None,
    json: bool = False,
    streams: bool = False,
) -> Callable[[Callable[[Call], Awaitable[Answer]]], Verb]:
    """Declares a verb, its parameters, whether what it creates comes into being on the road, what
    the customer is asked before, whether its requests are JSON, and whether it reads the body
    itself."""

    def declare(run: Callable[[Call], Awaitable[Answer]]) -> Verb:
        return Verb(run, parameters, on_the_road, asks, json, streams)

    return declare


@dataclass(frozen=True)
class Call:
    """One request to one verb. `sent` are the parameters as they came, or as the customer changed
    them; `outer` is the transaction in which a create with an idempotency key runs, `counted` what
    this call was counted by, `minted` the SIDs of what it makes, by prefix. `client` is the
    identity that asks by an SDK: None for REST."""

    runtime: Runtime
    road: Road
    request: web.Request
    verb: Verb
    sent: Sequence[tuple[str, str]]
    counting: Counting | None = None
    idempotency_key: Key | None = None
    outer: Tx | None = None
    counted: set[str] = field(default_factory=set)
    minted: dict[str, str] = field(default_factory=dict)
    client: str | None = None

    @cached_property
    def form(self) -> Form:
        """The values of the verb's parameters. Raises Refused."""
        return Form(self.sent, self.verb.parameters, self.runtime.settings.limits)

    @cached_property
    def service(self) -> str | None:
        """The service that the path names; None in the account's tree."""
        sid = self.request.match_info.get(SERVICE)
        if sid is None:
            return None
        if not ids.is_sid(sid, ids.SERVICE):
            raise self.missing()
        return ids.lowered(sid)

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
        """Whether the caller wants this change told: REST is silent by default, SDKs never are."""
        return (
            self.client is not None or self.request.headers.get(TOLD, "").strip().lower() == "true"
        )

    @property
    def origin(self) -> Origin:
        """Where the changes of this call come from: an SDK, or REST, quiet unless the caller wants
        them told."""
        if self.client is not None:
            return origins.sdk(self.client)
        return REST if self.told else QUIET_REST

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[tuple[Tx, Scope]]:
        """A transaction, and the scope that the path leads into; a change is counted. Raises
        TooMany."""
        async with self.transaction() as tx:
            scope = self.found(await scopes.find(tx, self.account_sid, self.service))
            self.count(OF_SERVICE, scope.service_sid)
            yield tx, scope

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        """A transaction: the one that claimed the idempotency key, when there is one. Reading needs
        none."""
        if self.request.method == READING:
            async with self.runtime.db.read() as tx:
                yield tx
            return
        if self.outer is None:
            async with self.runtime.db.begin() as tx:
                yield tx
            return
        async with self.outer.sql.transaction():  # a savepoint: who is refused may go on
            yield self.outer

    def count(self, by: str, sid: str) -> None:
        """Count this call, once, if this is what its operation is counted by. Raises TooMany."""
        if self.counting is None or self.counting.by != by or sid in self.counted:
            return
        self.counting.buckets.take(sid)
        self.counted.add(sid)

    def mint(self, prefix: str) -> str:
        """The SID of the one thing of its kind that this call makes: the same when the customer is
        asked about it and when it is made."""
        return self.minted.setdefault(prefix, ids.new(prefix))

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
        """Tell of these changes whom they concern. Call it last, with all of them: their origin
        says who hears of what the caller did not ask to be told."""
        await tell(tx, self.runtime.settings, events)


async def perform(call: Call) -> Answer:
    """Ask who must be asked, and run the verb. Raises Refused, Unavailable."""
    return await _run(await asking.consented(call), call.verb.run)


def door(
    runtime: Runtime, road: Road, verb: Verb, status: int, counting: Counting | None = None
) -> errors.Handler:
    """The handler of one verb, which answers with this status when all went well."""

    async def handle(request: web.Request) -> web.StreamResponse:
        account_sid = request[CALLER].account_sid
        sent = await _sent(request, verb, runtime)
        call = Call(runtime.of(account_sid), road, request, verb, sent, counting)
        keyed = status == CREATED and not verb.streams
        key = idempotency.key_of(request, account_sid, sent) if keyed else None
        if key is not None:
            kept, replayed = await _once(replace(call, idempotency_key=key), status)
            headers = idempotency.REPLAYED if replayed else None
            return _json(kept.status, kept.answer.encode(), headers)
        shown = await perform(call)
        if shown is None:
            return web.Response(status=status)
        if isinstance(shown, web.StreamResponse):
            return shown
        return _json(status, orjson.dumps(shown))

    return handle


def _json(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> web.Response:
    return web.Response(
        status=status,
        body=body,
        headers=headers,
        content_type="application/json",
        charset="utf-8",
    )


async def _once(call: Call, status: int) -> idempotency.Answered:
    """A create that carries a key. The customer is asked about it once: who comes with the same key
    meanwhile waits, and what was answered before is said before anybody is asked."""
    if not asking.concerned(call):
        return await _run(call, partial(idempotency.once, status=status))
    async with idempotency.turn(call):
        answered = await idempotency.known(call)
        if answered is not None:
            return answered
        consented = await asking.consented(call)
        return await _run(consented, partial(idempotency.once, status=status))


async def _run(call: Call, work: Callable[[Call], Awaitable[T]]) -> T:
    """Run the verb, and again when its transaction was the victim of a deadlock. What goes away
    between being found and being referred to was not there."""
    for _ in range(ATTEMPTS):
        try:
            return await work(call)
        except (asyncpg.PostgresError, DBAPIError) as error:
            cause = _cause(error)
            if isinstance(cause, asyncpg.ForeignKeyViolationError):
                raise call.missing() from error
            if not isinstance(cause, asyncpg.DeadlockDetectedError):
                raise
    raise Unavailable("deadlocked again and again")


def _cause(error: Exception) -> BaseException | None:
    """What the driver raised, whichever way it came."""
    if isinstance(error, DBAPIError):
        return error.orig.__cause__ if error.orig is not None else None
    return error


async def _sent(request: web.Request, verb: Verb, runtime: Runtime) -> list[tuple[str, str]]:
    """The parameters: of the body where there may be one, of the query where there is none."""
    server = runtime.settings.server
    if request.method not in ("POST", "PUT") or verb.streams:
        return forms.decode(request.rel_url.raw_query_string, server.form_fields_max)
    body = await _body(request, server.body_bytes_max)
    if verb.json:
        return _members(request, body)
    if body and request.content_type not in (FORM, "application/octet-stream"):
        raise Invalid(forms.INVALID, f"Invalid Content-Type: parameters are sent as {FORM}")
    return forms.decode(body.decode("utf-8", "replace"), server.form_fields_max)


def _members(request: web.Request, body: bytes) -> list[tuple[str, str]]:
    """The members of a JSON object, each as the text of its value; what is null was not sent."""
    if body and request.content_type != JSON:
        raise Invalid(forms.INVALID, f"Invalid Content-Type: the body is sent as {JSON}")
    try:
        sent = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError:
        sent = None
    if not isinstance(sent, dict):
        raise Invalid(forms.INVALID, "Invalid body: it is not a JSON object")
    return [(name, orjson.dumps(one).decode()) for name, one in sent.items() if one is not None]


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
