"""A file as an answer: whole or a range of it (RFC 9110 14), read as it is written.

It is somebody else's: a browser must not take it for a page of ours.
"""

from __future__ import annotations

from contextlib import aclosing
from urllib.parse import quote

from aiohttp import web

from app.errors import NotFound, Unavailable, Unsealable
from app.files import sniff
from app.files.store import Kept
from app.media.scaling import scaled
from app.observe import Failed
from app.rules.content import SCALED
from app.runtime import Runtime
from app.store.media import Found

SHOWN = ("image/", "audio/", "video/")
"""What a browser may show in its place; everything else is saved."""
ACTIVE = frozenset({"image/svg+xml"})
HEADERS = {
    "Accept-Ranges": "bytes",
    "Access-Control-Allow-Origin": "*",
    "Cache-Control": "private, max-age=300",
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "cross-origin",
    "X-Content-Type-Options": "nosniff",
}

WHOLE = {name: value for name, value in HEADERS.items() if name != "Accept-Ranges"}


async def serve(runtime: Runtime, request: web.Request, found: Found) -> web.StreamResponse:
    """The file of these media. Raises NotFound while it is not ours."""
    row = found.row
    if found.content is not None:
        disposition = {"Content-Disposition": _disposition(row.content_type, None)}
        return web.Response(
            body=found.content, content_type=row.content_type, headers=WHOLE | disposition
        )
    if found.shelf is None:
        raise NotFound(50507, "Media not found", {"status": row.status, "error": row.error})
    kept = Kept(row.file_key, found.shelf, row.kept_size)
    tag = f'"{kept.key}"'
    headers = {
        **HEADERS,
        "ETag": tag,
        "Content-Disposition": _disposition(row.content_type, row.filename),
    }
    if request.headers.get("If-None-Match") == tag:
        return web.Response(status=304, headers=headers)
    wanted = _range(request, kept.size, tag)
    if wanted is None:
        return web.Response(status=416, headers={"Content-Range": f"bytes */{kept.size}"})
    start, end = wanted
    response = web.StreamResponse(headers=headers)
    response.headers["Content-Type"] = row.content_type
    response.content_length = end - start
    if end - start < kept.size:
        response.set_status(206)
        response.headers["Content-Range"] = f"bytes {start}-{end - 1}/{kept.size}"
    if request.method == "HEAD":
        await response.prepare(request)
        return response
    return await _stream(runtime, request, response, kept, start, end)


async def serve_smaller(
    runtime: Runtime, request: web.Request, found: Found, bytes_max: int
) -> web.StreamResponse:
    """A picture in at most so many bytes; as it is when it cannot be made so: its carrier will say
    what it thinks of it."""
    if found.shelf is None:
        return await serve(runtime, request, found)
    kept = Kept(found.row.file_key, found.shelf, found.row.kept_size)
    try:
        made = await scaled(runtime, kept, bytes_max)
    except (OSError, Unsealable) as error:
        runtime.observe(Failed("reading a media file", error))
        raise Unavailable("the file cannot be read") from error
    if made is None:
        return await serve(runtime, request, found)
    return web.Response(body=made, content_type=SCALED, headers=WHOLE)


async def _stream(
    runtime: Runtime,
    request: web.Request,
    response: web.StreamResponse,
    kept: Kept,
    start: int,
    end: int,
) -> web.StreamResponse:
    """What breaks before the first byte is an error answer; after it the connection breaks."""
    try:
        async with aclosing(runtime.files.read(kept, start, end)) as chunks:  # type: ignore[type-var]
            async for chunk in chunks:
                if not response.prepared:
                    await response.prepare(request)
                await response.write(chunk)
        await response.write_eof()
    except ConnectionError:
        return response
    except (OSError, Unsealable, Unavailable) as error:
        if not isinstance(error, Unavailable):
            runtime.observe(Failed("reading a media file", error))
        if not response.prepared:
            raise Unavailable("the file cannot be read") from error
        if request.transport is not None:
            request.transport.abort()
    return response


def _range(request: web.Request, size: int, tag: str) -> tuple[int, int] | None:
    """First and behind-the-last byte; None when the file has no such range. A range that is not
    understood, or that is of another file (If-Range), counts as none."""
    given = request.headers.get("If-Range")
    if "Range" not in request.headers or (given is not None and given != tag):
        return 0, size
    try:
        asked = request.http_range
    except ValueError:
        return 0, size
    start = asked.start if asked.start is not None else 0
    if start < 0:
        return max(0, size + start), size
    end = size if asked.stop is None else min(asked.stop, size)
    return (start, end) if start < end else None


def _disposition(content_type: str, filename: str | None) -> str:
    kind = sniff.plain(content_type)
    shown = kind.startswith(SHOWN) and kind not in ACTIVE
    how = "inline" if shown or kind == "application/pdf" else "attachment"
    return f"{how}; filename*=UTF-8''{quote(filename, safe='')}" if filename else how
