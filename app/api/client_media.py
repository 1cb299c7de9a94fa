"""Files of applications that use an SDK: uploaded, shown and opened over HTTP from any page.

The SDK learns these paths when it starts and sends its access token in `X-Twilio-Token`. Its
browser asks before the first request (CORS): no cookie counts here, so every origin may. The file
itself opens by a temporary URL, without a token (`media/links.py`).

| request             | gives                                                             |
|---------------------|-------------------------------------------------------------------|
| POST .../Media      | 201: the file, for a message of its author's to take              |
| GET .../Media/{Sid} | the file, with a fresh temporary URL                              |
| POST .../MediaSet   | several, each with its own code: `{"command": "get", "list": []}` |
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from aiohttp import web

from app import ids
from app.api import errors, media, uploads
from app.api import parameters as kinds
from app.api.access_tokens import Tokens, scope_of
from app.api.auth import CALLER, Caller
from app.api.call import SERVICE, Call, door, takes
from app.api.errors import Handler
from app.api.limits import SERVICE as OF_SERVICE
from app.api.limits import Buckets, Counting
from app.clock import iso_millis
from app.errors import Denied, Forbidden, NotFound
from app.road.items import Road
from app.rules.access_tokens import GRANTS, INVALID, Grant
from app.rules.permissions import NOT_AUTHORIZED
from app.runtime import Runtime
from app.store import media as kept
from app.store import roles
from app.store.media import Found

PREFIX = "/client/v1"
MEDIA = "/Services/{ChatServiceSid}/Media"
SET = "/Services/{ChatServiceSid}/MediaSet"
BEARER = "X-Twilio-Token"
GRANT = web.RequestKey("grant", Grant)
SENDING = "sendMediaMessage"
LIST_MAX = 100
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": f"{BEARER}, Content-Type",
    "Access-Control-Max-Age": "7200",
}
NOT_FOUND = (50507, "Media not found")


def _sids(value: Any) -> list[str]:
    """The SIDs of `[{"media_sid": "ME..."}]`."""
    if not isinstance(value, list) or len(value) > LIST_MAX:
        raise ValueError
    named = [one.get("media_sid") if isinstance(one, dict) else None for one in value]
    sids = [sid for sid in named if isinstance(sid, str)]
    if len(sids) < len(value):
        raise ValueError
    return sids


def _get(value: Any) -> str:
    if value != "get":
        raise ValueError
    return "get"


CATEGORY = kinds.choice("Category", {"media": "media"}, 20001, "Invalid Category")
COMMAND = kinds.member("command", _get, {"type": "string", "enum": ["get"]}).needed()
LIST = kinds.member("list", _sids, {"type": "array", "items": {"type": "object"}}).needed()


def service_path(service_sid: str) -> str:
    """Where the files of a service are, for those who come with a token; `Set` behind it are
    several."""
    return PREFIX + MEDIA.replace("{ChatServiceSid}", service_sid)


def build(runtime: Runtime, road: Road, tokens: Tokens, buckets: Buckets) -> web.Application:
    """Everything below `PREFIX`."""
    shape = errors.shaper(runtime.observe)
    application = web.Application(middlewares=[_open_to_pages, shape, _bearer(tokens)])
    for method, path, verb, status, by in (
        ("POST", MEDIA, create, 201, OF_SERVICE),
        ("GET", MEDIA + "/{Sid}", fetch, 200, None),
        ("POST", SET, several, 200, None),
    ):
        handler = door(runtime, road, verb, status, Counting(buckets, by))
        application.router.add_route(method, path, handler)
    return application


@takes(CATEGORY, uploads.FILENAME, streams=True)
async def create(call: Call) -> dict[str, Any]:
    """Take a file in. Who may send no media anywhere may not upload any."""
    grant = call.request[GRANT]
    async with call.begin() as (tx, scope):
        filename = call.form.get(uploads.FILENAME)
        if not await roles.allows_somewhere(tx, scope, grant.identity, SENDING):
            raise Forbidden(*NOT_AUTHORIZED)
    made = await uploads.receive(call, filename, grant.identity)
    return show(call, made, grant.identity)


@takes()
async def fetch(call: Call) -> dict[str, Any]:
    """One file."""
    sid = call.key("Sid")
    found = (await _seen(call, [sid])).get(ids.lowered(sid))
    if found is None:
        raise NotFound(*NOT_FOUND)
    return show(call, found.row, found.author, found.category)


@takes(COMMAND, LIST, json=True)
async def several(call: Call) -> web.StreamResponse:
    """Files, in the order in which they were asked for."""
    sids = call.form[LIST]
    found = await _seen(call, sids)
    body = [_one(call, sid, found.get(ids.lowered(sid))) for sid in sids]
    return web.Response(body=orjson.dumps(body), content_type="application/json", charset="utf-8")


def _one(call: Call, sid: str, found: Found | None) -> dict[str, Any]:
    if found is None:
        return {"code": 404, "media_record": {"sid": sid}}
    return {"code": 200, "media_record": show(call, found.row, found.author, found.category)}


async def _seen(call: Call, sids: Sequence[str]) -> dict[str, Found]:
    """Those that the bearer may see: of conversations that it is in, and what it uploaded."""
    async with call.runtime.db.read() as tx:
        grant = call.request[GRANT]
        return await kept.seen_by(tx, scope_of(grant), grant.identity, sids)


def show(call: Call, row: Any, author: str | None, category: str = kept.MEDIA) -> dict[str, Any]:
    """The resource as the SDKs know it."""
    shown = media.show(call, row, author)
    url = f"{call.links.host}{service_path(row.chat_service_sid)}/{row.sid}"
    created, updated = iso_millis(row.date_created), iso_millis(row.date_updated)
    return {
        **shown,
        "category": category,
        "date_created": created,
        "date_updated": updated,
        "date_upload_updated": updated,
        "is_multipart_upstream": False,
        "url": url,
    }


def _bearer(tokens: Tokens) -> Any:
    """The middleware that lets those in who come with a token for the path's service."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        token = request.headers.get(BEARER)
        if not token:
            raise Denied(*INVALID, {"reason": f"the header {BEARER} is missing"})
        grant = await tokens.read(token)
        named = request.match_info.get(SERVICE)
        if named is not None and ids.lowered(named) != grant.service_sid:
            raise Denied(*GRANTS, {"reason": f"they are of {grant.service_sid}"})
        request[CALLER], request[GRANT] = Caller(grant.account_sid), grant
        return await handler(request)

    return check


@web.middleware
async def _open_to_pages(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every page may ask, and read the answer, whatever it is."""
    if request.method == "OPTIONS":
        return web.Response(status=204, headers=CORS)
    response = await handler(request)
    response.headers.update(CORS)
    return response
