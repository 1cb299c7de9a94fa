"""`Idempotency-Key`: a create that is sent again is answered again, and done once.

The same key with the same request gets the first answer, status and body, for 24 hours; with
another request it is refused (422). A refused create did nothing and keeps no key.

A create runs within the transaction that claims its key, and its answer is kept in there: either
both are committed or nothing is, also when we die before we could answer. Who comes with the same
key meanwhile waits for the claim. A message joins the road, whose transaction is another one: the
key goes along in its draft, and the answer is put into words there.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import orjson
from aiohttp import web

from app.api.forms import INVALID
from app.errors import Invalid, Unavailable
from app.road.items import Repeated
from app.store import idempotency
from app.store.idempotency import Kept, Key

if TYPE_CHECKING:
    from app.api.call import Call

HEADER = "Idempotency-Key"
REPLAYED: Mapping[str, str] = {"Idempotency-Replayed": "true"}
KEY_CHARS_MAX = 255
WAITING_MAX = 64  # requests with one key that wait for the first of them
ROUNDS = 5
"""How often we look again: each time, somebody else's create with this key was refused."""

Answered = tuple[Kept, bool]
"""An answer, and whether it is one that was given before."""


def key_of(request: web.Request, account_sid: str, sent: Sequence[tuple[str, str]]) -> Key | None:
    """The key of a create that carries one. Raises Invalid 20001 for one that cannot be a key."""
    given = request.headers.get(HEADER)
    if given is None:
        return None
    given = given.strip()
    if not given or len(given) > KEY_CHARS_MAX or not (given.isascii() and given.isprintable()):
        raise Invalid(INVALID, f"Invalid {HEADER}")
    return Key(account_sid, given, _fingerprint(request, sent))


async def once(call: Call, status: int) -> Answered:
    """Run a create that carries a key, or give the answer that it got before.

    Raises HTTPUnprocessableEntity when it was another request that carried the key.
    """
    run = _on_the_road if call.verb.on_the_road else _here
    for _ in range(ROUNDS):
        answered = await run(call, status)
        if answered is not None:
            return answered
    raise Unavailable("others keep using this key")


def worded(shown: Mapping[str, Any] | None) -> str:
    """The text of an answer."""
    return "" if shown is None else orjson.dumps(shown).decode()


async def known(call: Call) -> Answered | None:
    """What was answered to the call's key before. Raises HTTPUnprocessableEntity when another
    request carried it."""
    key = _key(call)
    async with call.runtime.db.begin() as tx:
        return _again(key, await idempotency.find(tx.sql, key, tx.now))


def turn(call: Call) -> AbstractAsyncContextManager[None]:
    """Within it, nobody else in this process does a create with the call's key. Raises Unavailable
    when too many want to."""
    key = _key(call)
    return call.runtime.turns.take(f"{HEADER} {key.account_sid} {key.key}", 1, WAITING_MAX)


async def _here(call: Call, status: int) -> Answered | None:
    """In the transaction that claims the key."""
    key = _key(call)
    async with call.runtime.db.begin() as tx:
        if not await idempotency.claim(tx.sql, [key], tx.now):
            return _again(key, await idempotency.find(tx.sql, key, tx.now))
        shown = await call.verb.run(replace(call, outer=tx))
        assert not isinstance(shown, web.StreamResponse)
        kept = Kept(key.fingerprint, status, worded(shown))
        await idempotency.answer(tx.sql, [(key.account_sid, key.key, status, kept.answer)])
    return kept, False


async def _on_the_road(call: Call, status: int) -> Answered | None:
    """The verb puts the key into its draft; what was answered is said before anything is checked,
    because the conversation may have changed since."""
    key, answered = _key(call), await known(call)
    if answered is not None:
        return answered
    try:
        shown = await call.verb.run(call)
    except Repeated:
        return None
    assert not isinstance(shown, web.StreamResponse)
    return Kept(key.fingerprint, status, worded(shown)), False


def _again(key: Key, kept: Kept | None) -> Answered | None:
    if kept is None:
        return None
    if kept.fingerprint != key.fingerprint:
        said = f"{HEADER} was used with another request"
        raise web.HTTPUnprocessableEntity(reason=said)
    return kept, True


def _key(call: Call) -> Key:
    assert call.idempotency_key is not None
    return call.idempotency_key


def _fingerprint(request: web.Request, sent: Sequence[tuple[str, str]]) -> str:
    """A hash of what is asked for; the order of differently named parameters asks for nothing."""
    pairs = sorted(sent, key=lambda pair: pair[0].lower())
    asked = orjson.dumps([request.method, request.rel_url.raw_path, pairs])
    return hashlib.sha256(asked).hexdigest()
