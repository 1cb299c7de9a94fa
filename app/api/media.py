"""Media ("Conversations Media Resource"): files on their way into messages, and out of them.

A file comes as the body itself (the original's way), as a file of a multipart form, or (ours) from
the URL that `MediaUrl` names (`uploads.py`).
"""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Any

from aiohttp import web

from app.api import serving, uploads
from app.api.call import Call, takes
from app.clock import iso_seconds
from app.errors import Forbidden
from app.media import links
from app.runtime import Runtime
from app.store import media
from app.store.media import Found

SYSTEM = "system"


@takes(uploads.MEDIA_URL, uploads.FILENAME, streams=True)
async def create(call: Call) -> dict[str, Any]:
    """Take a file in. It is there until a message takes it, and goes when none does in time."""
    async with call.begin():
        filename = call.form.get(uploads.FILENAME)
    return show(call, await uploads.receive(call, filename), None)


@takes()
async def fetch(call: Call) -> dict[str, Any]:
    """One file: what it is, where it is attached, and URLs that open it."""
    found = await _named(call)
    return show(call, found.row, found.author)


@takes()
async def content(call: Call) -> web.StreamResponse:
    """The file itself."""
    return await serving.serve(call.runtime, call.request, await _named(call))


async def opened(runtime: Runtime, request: web.Request) -> web.StreamResponse:
    """The file that a temporary URL opens. Raises HTTPNotFound for one that is over, or never
    was."""
    sid = request.match_info["Sid"]
    passed, now = request.match_info["Pass"], runtime.clock.now()
    most = links.opens(runtime.vault, sid, passed, now)
    if most is None:
        raise web.HTTPNotFound
    async with runtime.db.read() as tx:
        found = await media.find(tx, sid)
    if found is None:
        raise web.HTTPNotFound
    if most and found.row.size > most:
        return await serving.serve_smaller(runtime, request, found, most)
    return await serving.serve(runtime, request, found)


def show(call: Call, row: Any, author: str | None) -> dict[str, Any]:
    """The resource. Its temporary URL is good for `media.url_s`; null while the file is not ours
    (`status` says why), and where there is no key to sign it with."""
    url = f"{call.links.host}/v1/Services/{row.chat_service_sid}/Media/{row.sid}"
    direct = None
    if row.status == "stored":
        until = call.runtime.clock.now() + timedelta(seconds=call.runtime.settings.media.url_s)
        vault = call.runtime.vault
        with suppress(Forbidden):  # what a message says by a template is there without a key, too
            path = links.path(vault, row.sid, row.content_type, row.filename, until=until)
            direct = call.links.host + path
    return {
        "sid": row.sid,
        "account_sid": row.account_sid,
        "service_sid": row.chat_service_sid,
        "date_created": iso_seconds(row.date_created),
        "date_updated": iso_seconds(row.date_updated),
        "channel_sid": row.conversation_sid,
        "message_sid": row.message_sid,
        "size": row.size,
        "content_type": row.content_type,
        "filename": row.filename,
        "author": author or SYSTEM,
        "status": row.status,
        "error": row.error,
        "url": url,
        "links": {"content": f"{url}/Content", "content_direct_temporary": direct},
    }


async def _named(call: Call) -> Found:
    sid = call.key("Sid")
    async with call.begin() as (tx, scope):
        return call.found(await media.find(tx, sid, scope))
